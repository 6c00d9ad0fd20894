"""Training reads a cache that is larger than the memory that the process may have.

The limit is `ulimit -d`: memory that is a process's own and that it may write to. A
memory map of the cache does not count there, since the kernel drops its pages when
memory is short; `ulimit -v` would count the whole map, read or not.
"""

import os
import resource
import sys

import numpy as np
import pytest

from featurestack.features_cache import external
from featurestack.results.run_folder import find
from tests.processes import python

# bytes a process; training alone takes 600 MB of them, most of it in libraries
LIMIT = 800_000_000
# of the exact model, whose training numbers take 128 MB
LIMIT_OF_EXACT = 950_000_000
CLIPS, ROWS, FRAMES = 900, 128, 4310
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux", reason="only Linux limits private memory by itself"
    ),
]


def cached(folder, feature, values):
    """A cache of this feature of clips of four classes in five folds."""
    number = np.arange(len(values))
    table = {"clip_id": number.astype(str), "label": number % 4, "fold": number % 5 + 1}
    external.create_cache(folder, table)
    external.write_feature(folder, feature, values, table["clip_id"])
    return folder


# Arrow reserves a gigabyte for the first text of pandas, glibc some for each thread
ALLOCATORS = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1"}


def limited(*words, most=LIMIT):
    """Python with at most so many bytes of private memory."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_DATA, (most, most))  # noqa: E731
    how = {"environment": os.environ | ALLOCATORS, "preexec_fn": limit}
    return python(*words, check=False, timeout=240, **how)


def test_a_process_trains_from_it(tmp_path):
    zeros = np.broadcast_to(np.float16(0), (CLIPS, ROWS, FRAMES))  # 990 MB
    large = cached(tmp_path / "large", "mel", zeros)
    copying = (
        "import sys; from featurestack.features_cache.cache import Cache;"
        " Cache(sys.argv[1])['mel'].map().copy()"
    )
    assert "Unable to allocate 947. MiB" in limited("-c", copying, str(large)).stderr
    words = (
        f"DATASET={large} RUNS={tmp_path}/runs FEATURES=mel MODEL=cnn4 EPOCHS=1 BATCH=8"
        " GRID=64x108"
    )
    words += " FOLDS=1 AUGMENT=none CURVE=0 DEVICE=cpu PRECISION=fp32 THREADS=1"
    done = limited("-m", "featurestack", "train", *words.split())
    assert done.returncode == 0, done.stderr
    (run,) = find(tmp_path / "runs")
    assert run.finished == [1]


def test_an_exact_model_holds_its_training_numbers_once(tmp_path):
    values = np.random.default_rng(0).normal(size=(1_000, 40_000))
    wide = cached(tmp_path / "wide", "layers", values)
    words = f"DATASET={wide} RUNS={tmp_path}/runs FEATURES=layers MODEL=ridge FOLDS=1"
    train = ("-m", "featurestack", "train", *words.split())
    done = limited(*train, most=LIMIT_OF_EXACT)
    assert done.returncode == 0, done.stderr
