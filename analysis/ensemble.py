"""An ensemble of finished runs, written as a run of its own.

Members' saved probabilities are averaged: either of all members, or, for each fold, of members selected by
how well they do together on the other folds, so that no clip's own score decides who predicts it (greedy
selection with replacement; Caruana et al. 2004).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.options import AnalysisOptions
from analysis.runs import Run, load_runs, same_clips
from commandline.errors import RequestError
from features_cache.location import dataset_name
from results.config import digest, label
from results.run_folder import RunFolder, select, write_config, write_predictions
from results.scores import SMALLEST_PROBABILITY, Floats, Ints

ENSEMBLE = "ensemble"  # its MODEL
SHARED = ("dataset", "task", "folds", "classes", "sample_rate", "duration", "synthetic")


def requested_ensemble(options: AnalysisOptions) -> RunFolder:
    """The ensemble of the runs that ENSEMBLE names, with at most MEMBERS of them in each fold."""
    dataset = dataset_name(options.dataset, options.name)
    named = select(options.runs, " ".join(options.ensemble), dataset)
    return write_ensemble(named, options.runs, options.members)


def write_ensemble(folders: Sequence[RunFolder], runs: Path, most: int = 0) -> RunFolder:
    """Write the ensemble below runs/<dataset>/ and return it; the same members again rewrite the same folder.

    `most` is the most members that a fold may have, selected on the other folds; 0 averages all everywhere.

        write_ensemble(find("runs", "esc10"), Path("runs"), most=3)
    """
    if len(folders) < 2:
        raise RequestError('an ensemble needs at least two runs: ENSEMBLE="RUN RUN"')
    members: list[Run] = []
    for folder in folders:
        results = load_runs([folder])
        if not results.runs:
            raise RequestError(f"{folder.name} cannot join an ensemble: {results.problems[0].text}")
        members += results.runs
    first = members[0]
    for run in members:
        if run.task != first.task or not same_clips(run, first):
            raise RequestError(
                f"{run.name} and {first.name} cannot form an ensemble: task, classes, folds, recordings "
                f"or test clips differ ({len(run.clip_ids)} and {len(first.clip_ids)} clips); give runs "
                "of the same folds"
            )
    names = [run.name for run in members]
    configs = [run.config for run in members]
    weights = {int(fold): np.full(len(members), 1 / len(members)) for fold in np.unique(first.folds)}
    note = "selected on the test folds if the members were (MEMBERS= selects on other folds)"
    if most:
        weights = select_members(members, most)
        note = f"for each fold at most {most}, selected on the other folds"
    # If the epoch that counts was chosen alike, by the same validation or by none, every checkpoint is
    # averaged; otherwise those that count, as the last.
    alike = len({(run.selection_protocol, run.selection) for run in members}) == 1
    averaged = {"last": [run.probabilities[0] for run in members]}
    if alike:
        averaged = {name: [run.checkpoints[name][0] for run in members] for name in first.checkpoints}
    features = ",".join(dict.fromkeys(run.features for run in members))
    seeds = {run.seeds[0] for run in members}
    seed = seeds.pop() if len(seeds) == 1 else 0
    hash_, family = (
        digest([digest([config[key] for config in configs]), ENSEMBLE, most]) for key in ("hash", "family")
    )
    # Ensembles of different runs with the same features would share a label: the hash distinguishes them.
    differences = filter(None, [f"members{most}" if most else "", f"s{seed}" if seed else "", hash_[:6]])
    config = {key: first.config[key] for key in SHARED if key in first.config} | {
        "features": features,
        "model": ENSEMBLE,
        "seed": seed,
        "family": family,
        "hash": hash_,
        "name": label(features, ENSEMBLE, differences, hash_),
        "protocol": "; ".join(dict.fromkeys(run.protocol for run in members)),
        "members": names,
        "member_weights": {str(fold): dict(zip(names, own.tolist())) for fold, own in weights.items()},
        "parameters": sum(config.get("parameters", 0) for config in configs),
        "seconds": sum(config.get("seconds", 0) for config in configs),
        "note": f"ensemble of {', '.join(names)}; {note}",
    }
    if alike and "val" in first.config:
        config["val"] = first.config["val"]
    folder = RunFolder(runs / config["dataset"] / config["name"])
    write_config(folder.path, config)
    target = np.array(first.classes, object)[first.target]
    clips = pd.DataFrame(
        {"clip_id": first.clip_ids, "group": first.groups, "split": "test", "target": target}
    )
    for fold, own in weights.items():
        here = first.folds == fold
        rows = pd.concat([clips[here].assign(selection=selection) for selection in averaged])
        means = [np.average([run[here] for run in of], axis=0, weights=own) for of in averaged.values()]
        folder.fold(fold).mkdir(exist_ok=True)
        write_predictions(folder.fold(fold), rows, np.concatenate(means).astype(np.float32), first.classes)
    return folder


def select_members(members: Sequence[Run], most: int) -> dict[int, Floats]:
    """fold -> (R,) the weight of each member, summing to one, that do best on all other folds."""
    first = members[0]
    probabilities = np.stack([run.probabilities[0] for run in members])
    folds = np.unique(first.folds)
    if len(folds) < 2:
        raise RequestError(
            "members can only be selected on other folds: train at least two folds, or leave MEMBERS out"
        )
    others = {int(fold): first.folds != fold for fold in folds}
    return {
        fold: greedy_weights(probabilities[:, other], first.target[other], most)
        for fold, other in others.items()
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
        best = max(range(len(counts)), key=lambda member: (accuracy[member], likelihood[member]))
        if (accuracy[best], likelihood[best]) <= reached:
            break
        reached = (accuracy[best], likelihood[best])
        counts[best] += 1
        total = sums[best]
    return counts / counts.sum()
