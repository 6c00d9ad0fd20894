"""Files that are replaced whole, CSV files, locks, decoder messages, system calls."""

from featurestack.commandline.packages import enter

enter(__name__)
