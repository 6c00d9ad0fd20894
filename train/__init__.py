"""Training, from the feature cache to run folders; prediction, explanation and export
of trained runs.
"""

from featurestack.commandline.packages import enter

enter(__name__)
