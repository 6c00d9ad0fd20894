"""A feature whose version was raised after its values were stored."""

from contextlib import contextmanager
from dataclasses import replace

from featurestack.pipeline.features import FEATURES


@contextmanager
def newer_feature(name):
    """A context in which the feature has version 2, at its place among the features."""
    first = FEATURES[name]
    dict.__setitem__(FEATURES, name, replace(first, version=2))
    try:
        yield
    finally:
        dict.__setitem__(FEATURES, name, first)
