"""The worth of each feature: `make importance`, `make curve`, their section."""
