"""The run-folder format, second of the two formats: train writes it, analysis reads it.
No torch.
"""

from featurestack.commandline.packages import enter

enter(__name__)
