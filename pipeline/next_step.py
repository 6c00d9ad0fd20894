"""The next command for a dataset: compute the features that the cache lacks, or train
on those it has.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import words
from featurestack.commandline.spelling import make_command
from featurestack.features_cache import Cache
from featurestack.features_cache.advice import PROVEN, first_compared
from featurestack.features_cache.check_findings import read_check
from featurestack.features_cache.failures import WHOLE, failed_clips
from featurestack.features_cache.location import NAMED, is_cache
from featurestack.features_cache.names import parse_channel
from featurestack.features_cache.splits import untrainable
from featurestack.features_cache.table import originals
from featurestack.pipeline.datasets.load import Dataset
from featurestack.pipeline.features import FEATURES
from featurestack.pipeline.options import SourceOptions
from featurestack.results.training_data import changed_runs


def next_step(options: SourceOptions, dataset: Dataset) -> str:
    """Lines on the next step for a loaded dataset: commands and, if so, why it cannot
    be trained on.
    """
    folder = dataset.folder
    features = list[str]()
    # no cache yet, a damaged one, or features of another rate or duration
    with suppress(RequestError):
        cache = Cache(folder)
        computed = []
        for name in cache.features:
            if parse_channel(name).name in FEATURES:
                computed.append(name)
        if computed and {*computed} != {*FEATURES}:
            features = [f"FEATURES={' '.join(computed)}"]
        frames = {name: cache[name].frames for name in cache.features}
        if folder == Path(options.dataset) or is_done(cache, dataset.table):
            return training_step(options, dataset, frames)
    command = features_command(options, *features)
    lines = (f"next: {command}", no_training(dataset))
    return check_first(options, dataset, "\n".join(filter(None, lines)))


def features_command(options: SourceOptions, *more: str) -> str:
    """The command that extracts this dataset's features, followed by the words
    `more`.
    """
    return make_command("features", *_source(options), *more)


def _source(options: SourceOptions) -> list[str]:
    names = ("name", "data", "audio_dir", "labels", "sample_rate", "duration")
    return [f"DATASET={options.dataset}", *words(options, names)]


def check_first(options: SourceOptions, dataset: Dataset, lines: str) -> str:
    """The `lines`; for the user's own clips that are not checked yet the command
    `check` in place of their command.

    If `check` found duplicates across folds, their remedy and another `check` replace
    the lines.
    """
    if options.dataset in NAMED or is_cache(Path(options.dataset)):
        return lines
    check = make_command("pipeline check", *_source(options))
    findings = read_check(dataset.folder, dataset.table)
    if findings is None:
        said = [line for line in lines.splitlines() if not line.startswith("next:")]
        return "\n".join([f"next: {check}", *said])
    for found in findings:
        if found["kind"] == "duplicates_across_folds":
            return f"first: {found['remedy']}\nnext: {check}"
    return lines


def no_training(dataset: Dataset) -> str:
    """A line on why the dataset cannot be trained on; '' if it can."""
    reason = untrainable(dataset.table)
    return f"no training yet: {reason}" if reason else ""


def is_done(cache: Cache, clips: pd.DataFrame) -> bool:
    """Whether the cache has all its features for these clips, except for clips that
    failed.
    """
    present = {*originals(clips)["clip_id"]}
    cached = {*originals(cache.clips)["clip_id"]}
    if present != cached or not cache.features:
        return False
    missing = missing_clips(cache, cache.features)
    return not missing.any()


def missing_clips(cache: Cache, features: Sequence[str]) -> NDArray[np.bool_]:
    """(N,) whether a clip lacks one of these features and did not fail."""
    by_feature = failed_clips(cache.folder)
    failed = set(by_feature[WHOLE])
    for feature in features:
        failed |= set(by_feature[feature])
    has_failed = cache.clips["clip_id"].isin(failed).to_numpy()
    return ~cache.readable(features) & ~has_failed


def former_runs(options: SourceOptions, dataset: Dataset) -> list[str]:
    """Names of the dataset's runs whose clips or values have changed since, sorted."""
    if not is_cache(dataset.folder):
        return []
    return changed_runs(options.runs, dataset.name, Cache(dataset.folder))


def training_step(
    options: SourceOptions,
    dataset: Dataset,
    frames: Mapping[str, int],
) -> str:
    """The command that compares a few feature sets quickly, or trains one run if the
    cache has only vectors or the waveform; the reason if the dataset cannot be
    trained on.

    If the clips of former runs have changed, RETRAIN=1 is added; who has trained
    already is not sent to `check` first.

    frames  feature -> number of its frames; a feature of one frame is a vector
    """
    if reason := no_training(dataset):
        return reason
    given = [f"DATASET={options.dataset}", *words(options, ("name", "data", "runs"))]
    outdated = former_runs(options, dataset)
    more = ["RETRAIN=1"] if outdated else []
    first = first_compared(frames)
    if not first:
        name = next(iter(frames), "mel")
        model = ["MODEL=aclnet"] if name == "waveform" else []
        command = make_command("train", *given, f"FEATURES={name}", *model, *more)
        lines = f"next: {command}"
        return lines if outdated else check_first(options, dataset, lines)
    together = "+".join(first)
    sets = [*first, together]
    if set(PROVEN.split("+")) <= set(frames):
        sets.append(PROVEN)
    features = f"FEATURES={' '.join(dict.fromkeys(sets))}"
    quick = make_command(
        "sweep" if len(first) > 1 else "train", *given, features, "MODEL=texture", *more
    )
    lines = f"next: {quick}"
    return lines if outdated else check_first(options, dataset, lines)
