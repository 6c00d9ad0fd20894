"""Options, messages, progress and errors of the commands."""

from featurestack.commandline.packages import enter

enter(__name__)
