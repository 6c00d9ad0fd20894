"""Files that are replaced whole, locks, zip archives, and system calls."""

from featurestack.commandline.packages import enter

enter(__name__)
