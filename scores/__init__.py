"""Answers and targets in, numbers out: tasks, metrics, intervals. No torch."""

from featurestack.commandline.packages import enter

enter(__name__)
