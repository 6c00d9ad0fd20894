"""Files that are replaced whole, locks, zip archives, and system calls."""
