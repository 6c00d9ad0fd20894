"""The run-folder format: train writes it, analysis reads it. No torch."""

from featurestack.commandline.packages import enter

enter(__name__)
