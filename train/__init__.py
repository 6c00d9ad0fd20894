"""Training, from the feature cache to run folders; prediction, explanation and export
of trained runs.
"""
