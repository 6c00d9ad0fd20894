"""Files that are replaced whole, locks, zip archives, and system calls that only some systems have."""
