"""The run-folder format, second of the two formats: train writes it, analysis reads it.
No torch.
"""
