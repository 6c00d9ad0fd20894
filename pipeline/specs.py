"""From `FEATURES` and a dataset to the feature files that they ask for."""

import functools
import importlib.metadata
from dataclasses import dataclass, field

from commandline import RequestError
from features_cache import parse_list
from features_cache.layout import FeatureSpec
from pipeline.datasets import Dataset
from pipeline.features import REGISTRY, Impossible, Variant, resolve

LIBRARIES = ("librosa", "numpy", "scipy", "numba", "soundfile", "soxr", "h5py")
LARGEST_FLOAT16 = 65504


@dataclass
class Wanted:
    """The features of a run, in the order that they were asked for."""

    variants: dict[str, Variant] = field(default_factory=dict)  # by stored name
    left_out: dict[str, str] = field(default_factory=dict)  # stored name -> why it cannot exist here


def wanted(features: str, dataset: Dataset) -> Wanted:
    """Every variant that occurs in the list.

    One that cannot exist at this rate or duration is left out of `all` and `small`; named, RequestError.
    """
    found = Wanted()
    for word in features.split():
        for channel in (one for channels in parse_list(word, list(REGISTRY)) for one in channels):
            variant = resolve(channel)
            try:
                rows, _ = variant.shape(dataset.sample_rate, dataset.samples)
            except Impossible as reason:
                if word not in ("all", "small"):
                    raise RequestError(f"{variant.stored} cannot exist here: {reason}") from None
                found.left_out[variant.stored] = str(reason)
                continue
            if channel.rows and channel.rows[1] >= rows:
                raise RequestError(f"{channel}: {variant.stored} has rows 0 to {rows - 1}")
            found.variants[variant.stored] = variant
    if not found.variants:
        parse_list(features)  # an empty list has its own message
        raise RequestError(f"no feature can exist at {dataset.sample_rate} Hz and {dataset.duration:g} s")
    return found


def spec_of(variant: Variant, dataset: Dataset, dtype: str) -> FeatureSpec:
    """What the feature's file says of itself."""
    if variant.units == "Hz" and dataset.sample_rate / 2 > LARGEST_FLOAT16:
        dtype = "float32"  # a frequency up to half the rate would overflow
    return FeatureSpec(
        stored=variant.stored,
        feature=variant.name,
        parameters=variant.parameters,
        code_version=variant.version,
        units=variant.units,
        row_axis=variant.row_axis(dataset.sample_rate),
        row_unit=variant.row_unit,
        frame_axis=variant.frame_axis(dataset.sample_rate, dataset.samples),
        sample_rate=dataset.sample_rate,
        samples=dataset.samples,
        hop_length=int(variant.parameters.get("hop_length") or 0),
        dtype=dtype,
        libraries=libraries(),
    )


@functools.cache
def libraries() -> str:
    """Names and versions of what computes features."""
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
