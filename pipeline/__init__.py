"""Audio to features: datasets, decoding, the feature registry, and the parallel
extraction stage.
"""

from featurestack.commandline.packages import enter

enter(__name__)
