"""What to type next, once a dataset is there: compute what the cache lacks, or train on what it holds."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from commandline.options import make_command, words
from commandline.registry import RequestError
from features_cache import Cache, cache_folder
from features_cache.cache import is_cache
from features_cache.hdf5 import DamagedFile
from features_cache.index import WHOLE, failed_clips
from features_cache.names import first_compared, parse_channel
from features_cache.table import untrainable
from pipeline.datasets import Dataset
from pipeline.features import FEATURES
from pipeline.options import SourceOptions

QUICK_MODEL = "texture"  # seconds a fold on some hundred clips
WAVE_MODEL = "m11"  # the quickest that takes waveform, which no other model does
DEFAULT_MODEL = "the default model, ResNet-18 with texture: minutes to hours without a GPU"


def next_step(options: SourceOptions, dataset: Dataset) -> str:
    """Lines on the next step for a dataset that is loaded: `next: make …`, and what may follow it."""
    folder = cache_folder(options.dataset, options.data, options.name)
    from_audio = words(options, ("name", "data", "audio_dir", "sample_rate", "duration"))
    lacking = untrainable(dataset.table)
    after = f"\n{lacking}" if lacking else ""
    if not is_cache(folder):
        features = make_command("features", f"DATASET={options.dataset}", *from_audio)
        return f"next: {features}   (into {folder}){after}"
    cache = Cache(folder)
    try:
        done = is_done(cache, dataset.table)
        frames = {name: cache[name].frames for name in cache.features}
    except (RequestError, DamagedFile):  # made at another rate or duration, or damaged
        done, frames = False, {}
    if not done and folder != Path(options.dataset):
        computed = [name for name in cache.features if parse_channel(name).name in FEATURES]
        missing = [f"FEATURES={' '.join(computed)}"] if set(computed) < set(FEATURES) else []
        features = make_command("features", f"DATASET={options.dataset}", *missing, *from_audio)
        return f"next: {features}{after}"
    return training_step(options, dataset, frames)


def training_step(options: SourceOptions, dataset: Dataset, frames: Mapping[str, int]) -> str:
    """The commands of training, or what the dataset lacks for it; `frames` of each feature in the cache."""
    return untrainable(dataset.table) or training_commands(frames, training_words(options))


def training_words(options: SourceOptions) -> list[str]:
    """Those that name the dataset in a command of training."""
    return [f"DATASET={options.dataset}", *words(options, ("name", "data"))]


def is_done(cache: Cache, clips: pd.DataFrame) -> bool:
    """Whether the cache has every one of its features for these clips, but for those that failed."""
    ids, asked, failed = cache.clips["clip_id"], set(clips["clip_id"]), failed_clips(cache.folder)
    wanted = ids.isin(asked - failed.get(WHOLE, set())).to_numpy()
    lacking = (~cache[name].done() & wanted & ~ids.isin(failed.get(name, ())) for name in cache.features)
    return asked <= set(ids) and bool(cache.features) and not any(one.any() for one in lacking)


def training_commands(frames: Mapping[str, int], given: list[str]) -> str:
    """The quick comparison of a few feature sets, then the default model on all of them together.

    frames  of each feature in the cache; one of a single frame is a vector, which has a model of its own

        training_commands({"mel": 431, "mfcc": 431}, ["DATASET=synth"])
    """
    first = first_compared(frames)
    if not first:
        name = next(iter(frames), "mel")
        model = [f"MODEL={WAVE_MODEL}"] if name == "waveform" else []
        return f"next: {make_command('train', *given, f'FEATURES={name}', *model)}"
    together, quick = "+".join(first), f"MODEL={QUICK_MODEL}"
    features = f"FEATURES={' '.join(dict.fromkeys([*first, together]))}"
    return (
        f"next: {make_command('sweep' if len(first) > 1 else 'train', *given, features, quick)}\n"
        f"then: {make_command('train', *given, f'FEATURES={together}')}   ({DEFAULT_MODEL})"
    )
