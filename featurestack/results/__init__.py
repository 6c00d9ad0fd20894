"""The run-folder format: train writes it, analysis reads it. No torch."""
