"""Files that are replaced whole, locks, and what only some systems have."""
