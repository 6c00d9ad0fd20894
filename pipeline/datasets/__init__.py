"""Datasets: one table of clips from a known name, a folder, a CSV or a cache."""
