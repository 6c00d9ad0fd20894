"""An ensemble of finished runs, written as a run of its own.

Members' saved probabilities are averaged: either of all members, or, for each fold, of members selected by
how well they do together on the other folds, so that no clip's own score decides who predicts it (greedy
selection with replacement; Caruana et al. 2004).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.options import AnalysisOptions
from analysis.results import Run, load_runs, same_clips
from commandline.registry import RequestError
from features_cache.location import dataset_name
from results.config import digest, label
from results.run_folder import RunFolder, select, write_config, write_predictions
from results.scores import SMALLEST_PROBABILITY, Floats, Ints

ENSEMBLE = "ensemble"  # its MODEL
Weights = dict[int, Floats]  # fold -> (R,) the weight of each member, summing to one


def requested_ensemble(options: AnalysisOptions) -> RunFolder:
    """The ensemble of the runs that ENSEMBLE names, with at most MEMBERS of them in each fold."""
    dataset = dataset_name(options.dataset, options.name) if options.dataset or options.name else None
    return write_ensemble(
        select(options.runs, " ".join(options.ensemble), dataset), options.runs, options.members
    )


def write_ensemble(members: Sequence[RunFolder], runs: Path, most: int = 0) -> RunFolder:
    """Write the ensemble below runs/<dataset>/ and return it; the same members again rewrite the same folder.

    `most` is the most members that a fold may have, selected on the other folds; 0 averages all everywhere.

        write_ensemble(find("runs", "esc10"), Path("runs"), most=3)
    """
    loaded = _load(members)
    weights_by_fold = select_members(loaded, most) if most else _equal_weights(loaded)
    config = _config(loaded, weights_by_fold, most)
    folder = RunFolder(runs / config["dataset"] / config["name"])
    write_config(folder.path, config)
    for fold, weights in weights_by_fold.items():
        _write_fold(folder, loaded, fold, weights)
    return folder


def _load(members: Sequence[RunFolder]) -> list[Run]:
    """The members, one run a folder, all on the same test clips."""
    if len(members) < 2:
        raise RequestError('an ensemble needs at least two runs: ENSEMBLE="RUN RUN"')
    loaded = []
    for member in members:
        results = load_runs([member])
        if not results.runs:
            raise RequestError(f"{member.name} cannot join an ensemble: {results.problems[0].text}")
        loaded.append(results.runs[0])
    first = loaded[0]
    for run in loaded[1:]:
        if run.task != first.task or not same_clips(run, first):
            raise RequestError(
                f"{run.name} and {first.name} cannot form an ensemble: task, classes, folds or test clips "
                f"differ ({len(run.clip_ids)} and {len(first.clip_ids)} clips); give runs of the same folds"
            )
    return loaded


def _equal_weights(members: Sequence[Run]) -> Weights:
    return {int(fold): np.full(len(members), 1 / len(members)) for fold in np.unique(members[0].folds)}


def select_members(members: Sequence[Run], most: int) -> Weights:
    """For each fold the weights that do best on all other folds."""
    first = members[0]
    probabilities = np.stack([run.probabilities[0] for run in members])
    folds = np.unique(first.folds)
    if len(folds) < 2:
        raise RequestError(
            "members can only be selected on other folds: train at least two folds, or leave MEMBERS out"
        )
    return {
        int(fold): greedy_weights(
            probabilities[:, first.folds != fold], first.target[first.folds != fold], most
        )
        for fold in folds
    }


def greedy_weights(probabilities: Floats, target: Ints, most: int) -> Floats:
    """Weights (R,) of an ensemble of at most `most` of R members on (R, N, K), added while it gains.

    A member may be added again, which gives it weight; equal accuracies are decided by the log loss.
    """
    clips = np.arange(len(target))
    counts = np.zeros(len(probabilities))
    total = np.zeros(probabilities.shape[1:])
    reached = (-1.0, -np.inf)
    for step in range(1, most + 1):
        sums = total + probabilities
        accuracy = (sums.argmax(axis=2) == target).mean(axis=1)
        likelihood = np.log(np.maximum(sums[:, clips, target] / step, SMALLEST_PROBABILITY)).mean(axis=1)
        best = max(range(len(counts)), key=lambda one: (accuracy[one], likelihood[one]))
        if (accuracy[best], likelihood[best]) <= reached:
            break
        reached = (accuracy[best], likelihood[best])
        counts[best] += 1
        total = sums[best]
    return counts / counts.sum()


def _config(members: Sequence[Run], weights_by_fold: Weights, most: int) -> dict[str, Any]:
    """run.json of the ensemble: what the members share, and their weights in each fold."""
    first = members[0].config
    configs = [run.config for run in members]
    families = [digest([config["family"] for config in configs]), ENSEMBLE, most]
    hashes = [digest([config.get("hash", config["family"]) for config in configs]), ENSEMBLE, most]
    features = ",".join(dict.fromkeys(run.features for run in members))
    seeds = {int(config["seed"]) for config in configs}
    seed = seeds.pop() if len(seeds) == 1 else 0
    differences = [f"members{most}"] * bool(most) + [f"s{seed}"] * bool(seed)
    hash_ = digest(hashes)
    val = ["val"] * _of_one_epoch(members)
    copied = ("dataset", "task", *val, "folds", "classes", "sample_rate", "duration", "synthetic")
    return {
        **{key: first[key] for key in copied if key in first},
        "features": features,
        "model": ENSEMBLE,
        "seed": seed,
        "family": digest(families),
        "hash": hash_,
        # Ensembles of different runs with the same features would share a label: the hash distinguishes them.
        "name": label(features, ENSEMBLE, [*differences, hash_[:6]], hash_),
        "protocol": _protocol(members),
        "members": [run.name for run in members],
        "member_weights": {
            str(fold): dict(zip((run.name for run in members), weights.tolist(), strict=True))
            for fold, weights in weights_by_fold.items()
        },
        "parameters": sum(config.get("parameters", 0) for config in configs),
        "seconds": sum(config.get("seconds", 0) for config in configs),
        **_known("fold_seconds", float(np.sum([run.fold_seconds for run in members]))),
        "note": _note(members, most),
    }


def _of_one_epoch(members: Sequence[Run]) -> bool:
    """Whether the epoch that counts was chosen alike, by the same validation or by none."""
    return len({(run.selection_protocol, run.selection) for run in members}) == 1


def _known(name: str, value: float) -> dict[str, float]:
    return {name: value} if np.isfinite(value) else {}  # JSON has no NaN


def _note(members: Sequence[Run], most: int) -> str:
    note = "ensemble of " + ", ".join(run.name for run in members)
    if most:
        return f"{note}; for each fold at most {most}, selected on the other folds"
    return f"{note}; selected on the test folds if the members were (MEMBERS= selects on other folds)"


def _protocol(members: Sequence[Run]) -> str:
    """The members' own, where it is one: the weights never see the fold that they score."""
    return "; ".join(dict.fromkeys(run.protocol for run in members))


def _write_fold(folder: RunFolder, members: Sequence[Run], fold: int, weights: Floats) -> None:
    """The weighted mean of every checkpoint of the members: `best` too where all were validated alike.

    Otherwise the checkpoints that count are averaged, as `last`.
    """
    first = members[0]
    here = first.folds == fold
    if _of_one_epoch(members):
        averaged = {name: [run.checkpoints[name][0] for run in members] for name in first.checkpoints}
    else:
        averaged = {"last": [run.probabilities[0] for run in members]}
    rows = pd.DataFrame(
        {
            "clip_id": first.clip_ids[here],
            "group": first.groups[here],
            "split": "test",
            "target": np.array(first.classes, dtype=object)[first.target[here]],
        }
    )
    means = [
        np.average([one[here] for one in values], axis=0, weights=weights) for values in averaged.values()
    ]
    folder.fold(fold).mkdir(exist_ok=True)
    write_predictions(
        folder.fold(fold),
        pd.concat([rows.assign(selection=selection) for selection in averaged], ignore_index=True),
        np.concatenate(means).astype(np.float32),
        first.classes,
    )
