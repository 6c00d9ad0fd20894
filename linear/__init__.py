"""Exact models: logistic regression, fitted to its minimum. No torch."""

from featurestack.commandline.packages import enter

enter(__name__)
