"""Audio to features: datasets, decoding, the feature registry, and the parallel
extraction stage.
"""
