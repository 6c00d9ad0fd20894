"""Statistics, figures and reports of runs, without torch and librosa."""

from featurestack.commandline.packages import enter

enter(__name__)
