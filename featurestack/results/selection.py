"""The runs that RUN= names: by name, path, unique prefix, or `last`; and the data that
a run belongs to: the clips' table, the values that it read, and what else its task
trains on. No torch.

A run is of today's data if it would be trained on the same data now. Others stay as
they are, and nothing but `remove` touches them; `train` makes a run next to them.
"""

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from featurestack.base import DATA
from featurestack.base.errors import (
    ALIKE,
    RequestError,
    closest,
    make_command,
    nearest,
    quoted,
    unquoted,
)
from featurestack.base.files import is_file, may_read, require_readable
from featurestack.base.json_content import digest
from featurestack.base.terminal import tell_once
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.datasets import cache_folder, is_cache
from featurestack.features_cache.feature_names import parse_channel
from featurestack.features_cache.hdf5 import fingerprints
from featurestack.features_cache.table import CLIP_COLUMNS, originals
from featurestack.results.config import RunConfig
from featurestack.results.run_folder import PREDICTIONS_FILE, RunFolder, find


def select(
    runs: Path | str,
    wanted: str,
    dataset: str = "",
    *,
    predicting: bool = False,
    data: Path | str = DATA,
) -> list[RunFolder]:
    """The runs that the words of `wanted` name: each a name, a path, a unique prefix of
    a name, or `last`.

    `dataset/name` distinguishes runs of the same name; a single name or path may hold
    blanks. `last` and prefixes choose among the runs that are of the data of today in
    `data`, if there are some. If `predicting`, `last` is the last run that has weights
    of its own, if there is one: a choice of features has none.
    """
    found = find(runs, dataset)
    known = {f"{run.path.parent.name}/{run.name}": run for run in found}
    words = unquoted(wanted)
    if wanted in known or _is_run(wanted):
        words = [wanted]
    if not words:
        raise RequestError(
            "RUN= names no run: give a run's name, its path, a unique prefix, or last"
        )
    chosen = {}
    for word in words:
        if word == "last" and known:
            run = last_run(list(current_runs(known, data).values()), predicting)
        elif _is_run(word):
            run = RunFolder(Path(word))
        elif not known:
            place = Path(runs, dataset)
            for folder in [place] if dataset else sorted(place.glob("*")):
                require_readable(folder)
            others = [folder.name for folder in Path(runs).glob("*/")]
            if meant := closest(dataset, others) if dataset else None:
                raise RequestError(
                    f"there are no runs of {dataset}; did you mean"
                    f" {quoted(f'DATASET={meant}')}?"
                )
            raise RequestError(
                f"RUN={word}: no run folder in {place}: train one first"
                f" ({make_command('train')})"
            )
        else:
            try:
                run = fitting(word, known, data)
            except RequestError:
                whole = " ".join(words)
                meant = closest(whole, known, ALIKE) if " " in whole else None
                if not meant:
                    raise
                raise RequestError(
                    f"unknown run {whole!r}; did you mean {quoted(f'RUN={meant}')}?"
                ) from None
        chosen[run.path.resolve()] = run
    for run in of_other_data([*chosen.values()], data):
        tell_once(
            f"{run.name} was trained on other clips, labels, folds or values than"
            " today's"
        )
    return list(chosen.values())


def with_seeds(
    runs: Sequence[RunFolder], every: Iterable[RunFolder]
) -> list[RunFolder]:
    """The runs, and those of `every` that differ from one of them only in the seed."""
    kept = {run.path.resolve(): run for run in runs}
    families = set()
    for run in [*runs, *every]:
        with suppress(RequestError, OSError):  # whoever reads it names the damage
            family = run.config.family
            if run.path.resolve() in kept:
                families.add(family)
            elif family in families:
                kept[run.path.resolve()] = run
    return list(kept.values())


def last_run(runs: Sequence[RunFolder], predicting: bool) -> RunFolder:
    """The run whose run.json was written last; if `predicting`, among those that have
    the weights of a finished fold.
    """
    readable = [run for run in runs if may_read(run.path)]
    able = []
    for run in readable:
        weights = run.path.glob("fold*/last.pt")
        if any((file.parent / PREDICTIONS_FILE).is_file() for file in weights):
            able.append(run)
    chosen = (able if predicting else []) or readable or runs
    return max(chosen, key=lambda run: (run.path / "run.json").stat().st_mtime)


def current_runs(
    known: Mapping[str, RunFolder], data: Path | str
) -> Mapping[str, RunFolder]:
    """The runs of today's data; all of them if none is."""
    other = of_other_data([*known.values()], data)
    return {name: run for name, run in known.items() if run not in other} or known


def fitting(
    word: str, known: Mapping[str, RunFolder], data: Path | str = DATA
) -> RunFolder:
    """The run of this name or beginning; RequestError unless there is just one."""
    begun = [name for name in known if f"/{word}" in f"/{name}"]
    whole = [name for name in begun if f"/{name}".endswith(f"/{word}")]
    names = whole or begun
    if not names:
        known_names = [name.partition("/")[2] for name in known]
        raise RequestError(nearest("run", word, known_names))
    if len(names) > 1:
        current = current_runs({name: known[name] for name in names}, data)
        names = [*current]
        # mel means mel-linear, not mel+mfcc-linear
        ended = [name for name in names if f"/{word}-" in f"/{name}"]
        names = ended if len(ended) == 1 else names
    if len(names) > 1:
        listed = ", ".join(map(shlex.quote, names))
        raise RequestError(f"RUN={word} fits {len(names)} runs: give one of {listed}")
    return known[names[0]]


def select_one(
    runs: Path | str,
    wanted: str,
    dataset: str = "",
    *,
    predicting: bool = True,
    data: Path | str = DATA,
) -> RunFolder:
    """The run that `wanted` names as in `select`; RequestError if it names several."""
    endings = ("pt", "onnx")
    if Path(wanted).suffix.removeprefix(".") in endings:
        if is_file(wanted):
            reason = "this command is for a run, and not for a file made of one"
        else:
            reason = "there is no such file"
        raise RequestError(f"RUN={wanted}: {reason}")
    word = wanted if "'" in wanted else shlex.quote(wanted)  # one, also with blanks
    chosen = select(runs, word, dataset, predicting=predicting, data=data)
    if len(chosen) > 1:
        raise RequestError(f"RUN={wanted} names {len(chosen)} runs: name one")
    if wanted == "last":
        tell_last(chosen[0])
    return chosen[0]


def tell_last(run: RunFolder) -> None:
    """Say if the last run was trained on synthetic clips, or lacks some folds."""
    remarks = []
    if run.config.synthetic:
        remarks.append("trained on synthetic clips")
    if len(run.finished) < len(run.config.folds):
        remarks.append(f"{len(run.finished)} of {len(run.config.folds)} folds so far")
    if remarks:
        name = f"{run.path.parent.name}/{run.name}"
        tell_once(f"RUN=last is {name}, {', '.join(remarks)}; RUN= names another")


def _is_run(path: str) -> bool:
    """Whether this is the path of a run, or of a folder that may not be read."""
    # Path's is_dir raises if the name is too long for a file
    if os.path.isdir(path) and not may_read(Path(path)):  # noqa: PTH112
        return True
    return is_file(f"{path}/run.json")


# ---- the data that a run belongs to


def clips_of_run(config: RunConfig, cache: Cache) -> pd.DataFrame:
    """The clips on which a run would be trained today."""
    return cache.clips[cache.readable([*map(parse_channel, config.cache)])]


def digest_of_clips(table: pd.DataFrame) -> str:
    """The digest of what a table says of its clips, without their paths."""
    return digest(table[[*CLIP_COLUMNS]].drop(columns="path").values.tolist())


def digests(cache: Cache, stored: Iterable[str], table: pd.DataFrame) -> dict[str, Any]:
    """The digests of what the table says of the clips, without their paths, and of each
    feature's fingerprints of them.
    """
    keys = cache.keys[table.index]
    values = {name: fingerprints(keys, cache[name].key).tolist() for name in stored}
    return {
        "cache": {name: digest(numbers) for name, numbers in values.items()},
        "clips": digest_of_clips(table),
    }


def readable_again(config: RunConfig, cache: Cache) -> bool:
    """Whether a clip that a run left out can be read now."""
    for clip in config.left_out:
        with suppress(RequestError):
            for channel in config.channels:
                cache.read(channel.channel, [clip])
            return True
    return False


def is_of_today(config: RunConfig, cache: Cache) -> bool:
    """Whether a run would be trained on the same data today, which is taken for granted
    if the cache lacks its features. Imported predictions belong to their day's labels.
    """
    if config.made_by == "import":
        return config.clips in ("", digest_of_clips(originals(cache.clips)))
    if not config.cache or not {*config.cache} <= {*cache.features}:
        return True
    try:
        now = digests(cache, config.cache, clips_of_run(config, cache))
    except RequestError:  # a feature's file is damaged
        return True
    return now == config.data and not readable_again(config, cache)


def cache_that_trained(run: RunFolder, dataset: str, data: Path) -> Cache:
    """The cache that a run was trained on, of `dataset` or its own below `data`;
    RequestError if that holds other data today.
    """
    cache = Cache(cache_folder(dataset or run.dataset, data))
    if not is_of_today(run.trained_config, cache):
        raise RequestError(
            f"{cache.folder} holds other clips or values than {run.name} was trained"
            " on: DATASET= names the cache that trained it"
        )
    return cache


def of_today(runs: Iterable[RunFolder], cache: Cache) -> list[RunFolder]:
    """The runs of today's data, and those that cannot be read: whoever reads them names
    the damage.
    """
    kept = []
    for run in runs:
        try:
            kept += [run] * is_of_today(run.config, cache)
        except (RequestError, OSError):
            kept.append(run)
    return kept


def of_other_data(runs: Sequence[RunFolder], data: Path | str) -> list[RunFolder]:
    """The runs of other data than those in the caches below `data` today."""
    other = []
    for dataset in dict.fromkeys(run.path.parent.name for run in runs):
        own = [run for run in runs if run.path.parent.name == dataset]
        folder = cache_folder(dataset, Path(data))
        with suppress(RequestError):  # a damaged cache says nothing
            if is_cache(folder):
                current = of_today(own, Cache(folder))
                other += [run for run in own if run not in current]
    return other
