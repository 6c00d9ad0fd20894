"""From a trained run to answers on new audio: files, recordings, bundles, services."""

from featurestack.commandline.packages import enter

enter(__name__)
