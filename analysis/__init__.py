"""Tables, statistics, figures and a report from run folders and the cache, without
torch and librosa.
"""

from featurestack.commandline.packages import enter

enter(__name__)
