"""Exact models: logistic regression, fitted to its minimum. No torch."""
