"""Training, from the feature cache to run folders."""
