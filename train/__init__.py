"""Training, from the feature cache to run folders, and use of trained runs."""

from featurestack.commandline.packages import enter

enter(__name__)
