"""From a trained run to answers on new audio: files, recordings, bundles, services."""
