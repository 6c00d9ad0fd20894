"""Audio to features: datasets, decoding, the feature registry, parallel extraction."""
