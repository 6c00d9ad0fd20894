"""Files that are replaced whole, CSV files, locks, decoder messages, system calls."""
