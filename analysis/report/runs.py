"""Run folders as plain arrays, which the rest of `analysis` works with, and which of
them may be ranked together.

Conventions: a `Run` is one configuration with S seeds. Its N clips are those that its
finished folds tested, sorted by id, so that runs on the same clips line up row by row.
Its K classes are in the order of run.json. A file that cannot be read becomes a
`Problem`, which names the file and says what to do; the rest is read. A damaged
predictions.csv costs one fold.

Only comparable runs share a ranking. They agree in dataset, task, classes, test clips,
source recordings, the cache's audio settings and parameters, folds and protocol (the
validation clips, the epoch that counts). The main ranking has runs that finished every
fold. If no two comparable runs did, but several finished the same folds, these are
ranked. The best run is the most accurate one, whatever its model; sign flips compare it
with each other run, and with chance (`comparison.ranking`). Features are compared
within one setting, a model with its options (`Findings.alike`).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from operator import attrgetter

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.base.errors import RequestError
from featurestack.base.options import text_of
from featurestack.base.quantities import counted, is_or_are
from featurestack.comparison import ranking
from featurestack.comparison.metrics import Ints
from featurestack.comparison.scores import Predictions
from featurestack.features_cache.feature_names import parse_set
from featurestack.results.config import RunConfig
from featurestack.results.run_folder import RunFolder, tested_fields
from featurestack.results.tasks import Task

CODE_SHOWN = 4  # digits of the digest of an own model's code


@dataclass(frozen=True)
class Problem:
    """A fact about a run, cache or folder that a report's reader must know."""

    run: str
    text: str
    damaged: bool = False  # something is left out, exit status 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Configuration(Predictions):
    """One configuration, with the predictions of its seeds for the tested clips."""

    folders: tuple[RunFolder, ...]  # (S,) sorted by seed
    clip_ids: NDArray[np.str_]  # (N,) sorted
    checkpoint: str  # the one that counts: best if validation chose one, else last
    name: str  # name of its first seed's folder
    dataset: str
    features: str
    model: str
    task: Task
    protocol: str  # training and testing, in words
    categories: tuple[str, ...]  # (K,) each class's major category, '' for none
    target: Ints  # (N,) class numbers; tags: -1 unless the clip has exactly one label
    # one row for each epoch: the columns of history.csv, fold, seed
    history: pd.DataFrame

    @property
    def config(self) -> RunConfig:
        """run.json of the first seed."""
        return self.folders[0].config

    @property
    def class_order(self) -> Ints:
        """The classes, with each category's classes side by side."""
        first = [self.categories.index(category) for category in self.categories]
        return np.argsort(first, kind="stable")

    @cached_property
    def options(self) -> dict[str, object]:
        """The training options, and the code of an own model; none of an answer."""
        code = self.config.code[:CODE_SHOWN]
        code_option = {"code": code} if code else {}
        return asdict(self.trained.options) | code_option if self.trained else {}

    @property
    def channels(self) -> Counter[str]:
        """The channels of its feature set and how often each occurs."""
        return Counter(self.features.split("+"))

    @property
    def trained(self) -> RunConfig | None:
        """run.json; None for an answer."""
        return self.config if self.config.training else None

    @property
    def members(self) -> tuple[str, ...]:
        """The runs that were trained for an answer; none of any other run."""
        return self.config.members

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(folder.config.seed for folder in self.folders)

    @property
    def missing_folds(self) -> tuple[int, ...]:
        """The folds of the protocol for which this run has no predictions."""
        tested = {*self.folds[0].tolist()}
        return tuple(fold for fold in self.config.folds if fold not in tested)


def load_runs(
    folders: Iterable[RunFolder],
) -> tuple[list[Configuration], list[Problem]]:
    """Every configuration that can be read, its seeds as one run; the problems met."""
    families: dict[str, list[Configuration]] = {}
    problems: list[Problem] = []
    for folder in folders:
        try:
            run = read_run(folder, problems)
            if run:
                families.setdefault(folder.config.family, []).append(run)
        except (RequestError, OSError) as error:
            problems.append(Problem(folder.name, str(error), damaged=True))
    return [merge_seeds(seeds, problems) for seeds in families.values()], problems


def read_run(folder: RunFolder, problems: list[Problem]) -> Configuration | None:
    """One folder as a run of one seed; None if no fold was tested."""

    @contextmanager
    def named(what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, RequestError) as error:
            problems.append(
                Problem(folder.name, f"{what} left out: {error}", damaged=True)
            )

    config = folder.config
    if config.training:
        parse_set(config.features)  # refuses names that no command writes
    columns = [*folder.task.metric.history_columns, "fold"]
    curves = [pd.DataFrame(columns=columns, dtype=float)]
    for fold in folder.folds:
        with named(f"the learning curve of fold {fold} is"):
            curves.append(folder.history(fold).assign(fold=fold))
    if not folder.finished:
        wanted = folder.config.options.resolved_epochs
        reached = f"epoch {max(map(len, curves))} of {wanted}"
        text = f"no fold is finished yet ({reached}): continue its training"
        problems.append(Problem(folder.name, text))
        return None
    tested = {}
    for fold in folder.finished:
        with named(f"fold {fold} is"):
            table = folder.predictions(fold)
            tested[fold] = table[table["split"] == "test"]
    if not tested:
        raise RequestError("none of its folds can be read")
    clips = pd.concat(tested, names=["fold"]).sort_values("clip_id", kind="stable")
    twice = clips.loc[clips.duplicated(["clip_id", "selection"]), "clip_id"]
    if len(twice):
        raise RequestError(
            f"{counted(len(twice), 'clip')}, {twice.iloc[0]!r} first,"
            f" {is_or_are(len(twice))} tested twice, so no score can be trusted: train"
            " this run again under another TAG="
        )
    checkpoint = "best" if (clips["selection"] == "best").any() else "last"
    rows = clips[clips["selection"] == checkpoint].reset_index("fold")
    probabilities = rows[list(folder.classes)].to_numpy(float)
    if not folder.task.multilabel:  # without the rounding of the file
        probabilities = probabilities / probabilities.sum(axis=-1, keepdims=True)
    return Configuration(
        **tested_fields(folder, rows),
        name=folder.name,
        dataset=folder.dataset,
        features=config.features,
        model=config.model,
        task=folder.task,
        protocol=config.protocol,
        folders=(folder,),
        clip_ids=rows["clip_id"].to_numpy(dtype=str),
        checkpoint=checkpoint,
        categories=tuple(entry.category for entry in config.classes),
        target=pd.Index(folder.classes).get_indexer(rows["target"]),
        probabilities=probabilities[None],
        history=pd.concat(curves, ignore_index=True).assign(seed=config.seed),
    )


def merge_seeds(
    seeds: Sequence[Configuration], problems: list[Problem]
) -> Configuration:
    """The seeds as one run; one that does not fit is left out, with a problem."""
    seeds = sorted(seeds, key=lambda run: run.seeds)
    fullest = max(seeds, key=lambda run: len(run.clip_ids))
    kept: list[Configuration] = []
    for run in seeds:
        why = ""
        if run.folders[0].seedless:
            why = "an exact solution does not depend on the seed"
        elif not (same_clips(run, fullest) and same_folds(run, fullest)):
            why = (
                f"it has {len(run.clip_ids)} test clips of {len(fullest.clip_ids)};"
                " train its missing folds"
            )
        elif any(run.seeds == other.seeds for other in kept):
            why = "its seed is already counted"
        if why and run is not fullest:
            problems.append(
                Problem(run.name, f"not counted together with {fullest.name}: {why}")
            )
        else:
            kept.append(run)

    return replace(
        kept[0],
        folders=tuple(run.folders[0] for run in kept),
        folds=np.concatenate([run.folds for run in kept]),
        probabilities=np.concatenate([run.probabilities for run in kept]),
        history=pd.concat([run.history for run in kept], ignore_index=True),
    )


def differing_options(first: Configuration, second: Configuration) -> set[str]:
    """Names of the options, other than the seed, in which two runs differ."""
    a, b = first.options, second.options
    keys = (a.keys() | b.keys()) - {"seed"}
    return {key for key in keys if a.get(key) != b.get(key)}


def same_clips(run: Configuration, other: Configuration) -> bool:
    """Whether two runs tested the same clips, labels and classes."""
    of_clips = attrgetter("clip_ids", "groups", "target", "labels")
    pairs = zip(of_clips(run), of_clips(other))
    return run.classes == other.classes and all(np.array_equal(*p) for p in pairs)


def same_folds(run: Configuration, other: Configuration) -> bool:
    """Whether two runs of the same clips tested them in the same folds, or in drawings
    of one table of clips.
    """
    same_table = run.config.clips == other.config.clips != ""
    return same_table or np.array_equal(run.folds[0], other.folds[0])


# ---- the runs that may be ranked together


def setting(
    run: Configuration, runs: Sequence[Configuration], changed: Collection[str] = ()
) -> str:
    """The run's model, and the options that differ among the `runs` of this model:
    `resnet18, augment none`.

    Features, seed and the options in `changed` are left out. An answer has no options
    that could differ.
    """
    kind = run.model, bool(run.trained)
    same = [other for other in runs if (other.model, bool(other.trained)) == kind]
    keys = set().union(*(differing_options(run, other) for other in same))
    keys |= {"tag" for other in same if other.config.tag != run.config.tag}
    keys -= {"features", *changed}
    texts = [run.model]
    for key in sorted(keys):
        value = run.options.get(key, getattr(run.config, key, None))
        texts.append(f"{key} {text_of(value or 'none')}")
    return ", ".join(texts)


@dataclass(frozen=True, eq=False, kw_only=True)
class ConfigurationRanking(ranking.ModelRanking[Configuration]):
    """Comparable runs, best first."""

    # why its runs are not in the main ranking (`reason_apart`); '' for the main ranking
    reason: str = ""

    @cached_property
    def labels(self) -> dict[str, str]:
        """The unique label of each run, by the run's name.

        The label is the features (`mel+mfcc`). If trained runs have several models, or
        runs have the same features, the model and the options that differ follow:
        `mel+mfcc (texturenet, tag second)`.
        """
        models = {run.model for run in self.runs if run.trained}
        labels = {}
        for run in self.runs:
            alike = [other for other in self.runs if other.features == run.features]
            labels[run.name] = run.features
            if len(alike) > 1 or (run.trained and len(models) > 1):
                labels[run.name] += f" ({setting(run, alike)})"
        return labels


def rankings(runs: Sequence[Configuration]) -> list[ConfigurationRanking]:
    """Every set of comparable runs, ordered by accuracy, or tags by mAP; the main one
    first.
    """
    sets: list[list[Configuration]] = []
    for run in runs:
        for together in sets:
            if not any(reason_apart(run, other) for other in together):
                together.append(run)
                break
        else:
            sets.append([run])
    whole = [len(run.clip_ids) for run in runs if not run.missing_folds]
    sets.sort(
        key=lambda together: (
            # such as features that lack the clips added since
            not together[0].missing_folds and len(together[0].clip_ids) < max(whole),
            len(together) == 1,
            bool(together[0].missing_folds),
            -len(together[0].clip_ids),
            -len(together),
        )
    )
    main = sets[0] if sets else []
    made = []
    for together in sets:
        reasons = [reason_apart(run, other) for run in together for other in main]
        # of equal scores the smaller set comes first
        together.sort(key=lambda run: run.features.count("+"))
        reason = next(filter(None, reasons), "")
        crossed = len(np.unique(together[0].folds)) > 1
        made.append(
            ConfigurationRanking(
                runs=ranking.in_order(together), crossed=crossed, reason=reason
            )
        )
    return made


def reason_apart(run: Configuration, other: Configuration) -> str:
    """The first thing that two runs do not share; '' if they can be compared."""
    # the validation and the epoch that counts; if unknown the whole `protocol`
    protocols = [
        f"{either.config.val}, {either.checkpoint}"
        if either.config.val
        else either.protocol
        for either in (run, other)
    ]
    same_ids = np.array_equal(run.clip_ids, other.clip_ids)
    a, b = run.trained, other.trained
    same_values = True
    # a digest covers the whole table of clips, so only equal tables can be compared
    if a and b and a.clips == b.clips:
        shared = a.cache.keys() & b.cache.keys()
        same_values = all(a.cache[name] == b.cache[name] for name in shared)
    of_audio = attrgetter("sample_rate", "duration")
    same_audio = of_audio(run.config) == of_audio(other.config)
    differing = {
        "dataset": run.dataset != other.dataset,
        "task": run.task.name != other.task.name,
        "classes": run.classes != other.classes,
        "folds": run.missing_folds != other.missing_folds
        or (same_ids and not same_folds(run, other)),
        "groups": same_ids and not np.array_equal(run.groups, other.groups),
        "clips": not same_clips(run, other),
        "audio or features": not (same_values and same_audio),
        "protocol": protocols[0] != protocols[1],
    }
    return next((reason for reason, found in differing.items() if found), "")
