"""An ensemble of finished runs, written as a run: their mean probabilities."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from featurestack.analysis.options import AnalysisOptions
from featurestack.analysis.runs import Run, load_runs, same_clips
from featurestack.commandline.errors import RequestError
from featurestack.features_cache.names import dataset_name
from featurestack.results.config import (
    OF_DATASET,
    RUN_FORMAT,
    EnsembleConfig,
    digest,
    label,
)
from featurestack.results.run_folder import RunFolder, write_config, write_predictions
from featurestack.results.selection import select
from featurestack.scores.metrics import Floats

ENSEMBLE = "ensemble"  # value of `model` in its run.json


def requested_ensemble(options: AnalysisOptions) -> RunFolder:
    """Write and return the ensemble of the runs that ENSEMBLE names."""
    dataset = dataset_name(options.dataset, options.name)
    named = select(options.runs, " ".join(options.ensemble), dataset)
    return write_ensemble(named, options.runs)


def write_ensemble(folders: Sequence[RunFolder], runs: Path) -> RunFolder:
    """Write the ensemble of these runs below runs/<dataset>/ and return it.

    A second call with the same members in the same order replaces it. RequestError if
    the runs cannot form an ensemble.
    """
    if len(folders) < 2:
        raise RequestError('an ensemble needs at least two runs: ENSEMBLE="RUN RUN"')
    members = [read_member(folder) for folder in folders]
    first = members[0]
    for run in members:
        if run.task.multilabel:
            raise RequestError(
                f"{run.name} cannot join an ensemble: its clips have several labels or"
                " none"
            )
        if run.task.name != first.task.name or not same_clips(run, first):
            raise RequestError(
                f"{run.name} and {first.name} cannot form an ensemble: task, classes,"
                f" folds, recordings or test clips differ ({len(run.clip_ids)} and"
                f" {len(first.clip_ids)} clips); give runs of the same folds"
            )
    means = mean_probabilities(members)
    config = ensemble_config(members)
    folder = RunFolder(runs / config.dataset / config.name)
    # first: a kill in between leaves no run, and not one with folds of before
    (folder.path / "run.json").unlink(missing_ok=True)
    clips = pd.DataFrame(
        {
            "clip_id": first.clip_ids,
            "group": first.groups,
            "split": "test",
            "target": np.array(first.classes, object)[first.target],
        }
    )
    for fold in np.unique(first.folds):
        tested = first.folds == fold
        rows = [clips[tested].assign(selection=name) for name in means]
        probabilities = [mean[tested] for mean in means.values()]
        write_predictions(
            folder.fold(fold),
            pd.concat(rows),
            np.concatenate(probabilities).astype(np.float32),
            first.classes,
        )
    write_config(folder.path, config)
    return folder


def read_member(folder: RunFolder) -> Run:
    """The run in this folder; RequestError if it has no predictions."""
    results = load_runs([folder])
    if not results.runs:
        raise RequestError(
            f"{folder.name} cannot join an ensemble: {results.problems[0].text}"
        )
    return results.runs[0]


def selected_alike(members: Sequence[Run]) -> bool:
    """Whether all members selected their epoch alike: same validation, or none."""
    return len({(run.selection_protocol, run.checkpoint) for run in members}) == 1


def mean_probabilities(members: Sequence[Run]) -> dict[str, Floats]:
    """Selection -> (N, K) mean probabilities.

    If all members selected their epoch alike, last weights are averaged with last, best
    with best; otherwise those that count are averaged, as `last`.
    """
    counted = [run.probabilities[0] for run in members]
    means = {"last": np.mean(counted, axis=0)}
    if selected_alike(members):
        for name in members[0].checkpoints:
            of_members = [run.checkpoints[name][0] for run in members]
            means[name] = np.mean(of_members, axis=0)
    return means


def ensemble_config(members: Sequence[Run]) -> EnsembleConfig:
    """run.json of the ensemble; its hash covers its members."""
    first = members[0]
    configs = [run.config for run in members]
    names = [run.name for run in members]
    features = ",".join(dict.fromkeys(run.features for run in members))
    seeds = {run.seeds[0] for run in members}
    seed = seeds.pop() if len(seeds) == 1 else 0
    hash_, family = (
        digest([digest([getattr(config, key) for config in configs]), ENSEMBLE])
        for key in ("hash", "family")
    )
    differences = [f"s{seed}", hash_[:6]] if seed else [hash_[:6]]
    return EnsembleConfig(
        format_version=RUN_FORMAT,
        **{key: getattr(first.config, key) for key in OF_DATASET},
        features=features,
        model=ENSEMBLE,
        seed=seed,
        family=family,
        hash=hash_,
        name=label(features, ENSEMBLE, differences, hash_),
        protocol="; ".join(dict.fromkeys(run.protocol for run in members)),
        members=tuple(names),
        parameters=sum(config.parameters or 0 for config in configs),
        seconds=sum(config.seconds for config in configs),
        note=(
            f"ensemble of {', '.join(names)}; selected on the test folds if the members"
            " were"
        ),
        val=first.config.val if selected_alike(members) else None,
    )
