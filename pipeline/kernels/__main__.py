"""`python -m featurestack.pipeline.kernels`: compile every kernel for this processor.

numba's compiled code depends on the processor and cannot be shipped.
"""

import numpy as np

from featurestack.features_cache.feature_names import Channel
from featurestack.pipeline import kernels
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.features import FEATURES, resolve_feature

RATE = 44100  # Hz


def main() -> None:
    clip = Clip(np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32), RATE)
    for name in FEATURES.complete():
        kernels.spectrum.to_float16(resolve_feature(Channel(name)).compute(clip))


if __name__ == "__main__":
    main()
