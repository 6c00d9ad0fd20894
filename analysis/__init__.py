"""From run folders and the cache to tables, statistics, figures and a report. Neither torch nor librosa."""
