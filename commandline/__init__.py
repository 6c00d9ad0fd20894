"""Options, messages, progress and errors of the commands."""

from featurestack.packages import enter

enter(__name__)
