"""Training, from the feature cache to run folders."""

from featurestack.commandline.packages import enter

enter(__name__)
