"""Audio to features: datasets, decoding, the feature registry, parallel extraction."""

from featurestack.commandline.packages import enter

enter(__name__)
