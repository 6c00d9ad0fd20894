"""Answers and targets in, numbers out: tasks, metrics, intervals. No torch."""
