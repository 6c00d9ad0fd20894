"""Training, from the feature cache to run folders; prediction, explanation and export
of trained runs.
"""

from featurestack.packages import enter

enter(__name__)
