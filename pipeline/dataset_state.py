"""The state of a dataset before training, which the next command depends on."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError
from featurestack.commandline.next_step import State, next_step
from featurestack.commandline.options import option_words
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.names import NAMED, has_events, parse_channel
from featurestack.features_cache.side_files import has_failed, read_check
from featurestack.features_cache.table import untrainable
from featurestack.pipeline.datasets.load import Dataset
from featurestack.pipeline.features import FEATURES
from featurestack.pipeline.options import SourceOptions
from featurestack.storage.files import may_write

# words of the commands that read a dataset's audio, in addition to PLACES
OF_AUDIO = ("audio_dir", "sample_rate", "duration", "channel")
PLACES = ("name", "data", "runs")
OF_LEAK = "duplicates_across_folds"  # kind of finding


def state_of(
    options: SourceOptions,
    dataset: Dataset,
    cache: Cache | None = None,
    features: Sequence[str] = (),
) -> State:
    """The state of a loaded dataset; `features` are those to train on, else all."""
    # the field that may be speakers, which the command after `check` groups by
    by_field = [f"GROUP={dataset.field.group}"] if dataset.field else []
    state = State(
        given=[f"DATASET={options.dataset}", *option_words(options, PLACES)],
        source=[*option_words(options, OF_AUDIO), *by_field],
        untrainable=bool(untrainable(dataset.table)),
        incomplete=True,
    )
    # no cache yet, a damaged one, or features of another rate or duration
    with suppress(RequestError):
        cache = Cache(dataset.folder) if cache is None else cache
        computed = [
            name for name in cache.features if FEATURES.knows(parse_channel(name).name)
        ]
        state = replace(state, frames={name: cache[name].frames for name in computed})
        features = features or cache.features
        present, cached = (
            {*table["clip_id"]} for table in (dataset.table, cache.clips)
        )
        done = features and present == cached
        if dataset.read_only or (done and not missing_clips(cache, features).any()):
            frames = {name: cache[name].frames for name in features}
            state = replace(
                state,
                of_clips=not has_events(cache.source),
                incomplete=False,
                frames=frames,
            )
    if options.dataset in NAMED or dataset.read_only:
        return state
    findings = read_check(dataset.folder, dataset.table)
    leak = any(found["kind"] == OF_LEAK for found in findings or ())
    # findings that cannot be kept would be asked for again and again
    missing = findings is None and may_write(dataset.folder)
    return replace(state, unchecked=missing and state.of_clips, leak=leak)


def next_lines(state: State, dataset: Dataset) -> str:
    """Lines on the next command, and why there is no training yet."""
    command, reason = next_step(state)
    lines = [f"next: {command}"]
    if reason == "untrainable":
        lines = []
    elif reason == "check" and state.leak:
        findings = read_check(dataset.folder, dataset.table) or []
        remedy = next(found["remedy"] for found in findings if found["kind"] == OF_LEAK)
        lines.insert(0, f"first: {remedy}")
    if state.untrainable:
        lines.append(f"no training yet: {untrainable(dataset.table)}")
    return "\n".join(lines)


def missing_clips(cache: Cache, features: Sequence[str]) -> NDArray[np.bool_]:
    """(N,) whether a clip lacks one of these features and did not fail."""
    failed = has_failed(cache.folder, cache.clips, features)
    return ~cache.readable(features) & ~failed
