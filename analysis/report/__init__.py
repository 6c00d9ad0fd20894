"""From run folders to a report."""
