"""The fusion of finished runs, written as a run of its own: the mean of their saved probabilities.

Either of all members, or, for each fold, of members picked by how well they fuse on the other folds, so
that no clip's own score decides who votes on it (greedy selection with replacement; Caruana et al. 2004).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.options import AnalysisOptions
from analysis.results import Run, load, same_clips
from commandline import RequestError
from features_cache.location import dataset_name
from train.runs import RunFolder, digest, label, select, write_config, write_predictions
from train.scores import Floats, Ints

FUSION = "fusion"  # what stands for the model
Votes = dict[int, Floats]  # fold -> (R,) the weight of each member, summing to one


def fuse_asked(options: AnalysisOptions) -> RunFolder:
    """The fusion that the command line asks for: FUSE names the members, PICK how many a fold may have."""
    dataset = dataset_name(options.dataset, options.name) if options.dataset or options.name else None
    return fuse(select(options.runs, " ".join(options.fuse), dataset), options.runs, options.pick)


def fuse(members: Sequence[RunFolder], runs: Path, pick: int = 0) -> RunFolder:
    """Write the fusion below runs/<dataset>/ and return it; the same members again rewrite the same folder.

    `pick` is the most members that a fold may have, picked on the other folds; 0 averages all everywhere.
    """
    loaded = _load(members)
    votes = pick_members(loaded, pick) if pick else _equal_votes(loaded)
    config = _config(loaded, votes, pick)
    folder = RunFolder(runs / config["dataset"] / config["name"])
    write_config(folder.path, config)
    for fold, weights in votes.items():
        _write_fold(folder, loaded, fold, weights)
    return folder


def _load(members: Sequence[RunFolder]) -> list[Run]:
    """The members, one run a folder, all about the same test clips."""
    if len(members) < 2:
        raise RequestError('a fusion needs at least two runs: FUSE="RUN RUN"')
    loaded = []
    for member in members:
        results = load([member])
        if not results.runs:
            raise RequestError(f"{member.name} cannot be fused: {results.problems[0].text}")
        loaded.append(results.runs[0])
    first = loaded[0]
    for run in loaded[1:]:
        if run.task != first.task or not same_clips(run, first):
            raise RequestError(
                f"{run.name} and {first.name} cannot be fused: task, classes, folds or test clips differ "
                f"({len(run.clip_ids)} and {len(first.clip_ids)} clips); fuse runs of the same folds"
            )
    return loaded


def _equal_votes(members: Sequence[Run]) -> Votes:
    return {int(fold): np.full(len(members), 1 / len(members)) for fold in np.unique(members[0].folds)}


def pick_members(members: Sequence[Run], most: int) -> Votes:
    """For each fold the votes that do best on all other folds."""
    first = members[0]
    probabilities = np.stack([run.probabilities[0] for run in members])
    folds = np.unique(first.folds)
    if len(folds) < 2:
        raise RequestError(
            "members can only be picked on other folds: train at least two folds, or leave PICK out"
        )
    return {
        int(fold): greedy_votes(
            probabilities[:, first.folds != fold], first.target[first.folds != fold], most
        )
        for fold in folds
    }


def greedy_votes(probabilities: Floats, target: Ints, most: int) -> Floats:
    """Votes (R,) of a fusion of at most `most` of R members on (R, N, K), added one by one while it gains.

    A member may be taken again, which gives it weight; equal accuracies are decided by the log loss.
    """
    clips = np.arange(len(target))
    taken = np.zeros(len(probabilities))
    total = np.zeros(probabilities.shape[1:])
    reached = (-1.0, -np.inf)
    for step in range(1, most + 1):
        sums = total + probabilities
        accuracy = (sums.argmax(axis=2) == target).mean(axis=1)
        likelihood = np.log(np.maximum(sums[:, clips, target] / step, 1e-7)).mean(axis=1)
        best = max(range(len(taken)), key=lambda one: (accuracy[one], likelihood[one]))
        if (accuracy[best], likelihood[best]) <= reached:
            break
        reached = (accuracy[best], likelihood[best])
        taken[best] += 1
        total = sums[best]
    return taken / taken.sum()


def _config(members: Sequence[Run], votes: Votes, pick: int) -> dict[str, Any]:
    """run.json of the fusion: the members' common ground, and who votes where."""
    first = members[0].config
    configs = [run.config for run in members]
    families = [digest([config["family"] for config in configs]), "fusion", pick]
    hashes = [digest([config.get("hash", config["family"]) for config in configs]), "fusion", pick]
    features = ",".join(dict.fromkeys(run.features for run in members))
    seeds = {int(config["seed"]) for config in configs}
    seed = seeds.pop() if len(seeds) == 1 else 0
    differences = [f"pick{pick}"] * bool(pick) + [f"s{seed}"] * bool(seed)
    hash_ = digest(hashes)
    copied = ("dataset", "task", "val", "folds", "classes", "sample_rate", "duration", "synthetic")
    return {
        **{key: first[key] for key in copied if key in first},
        "features": features,
        "model": FUSION,
        "seed": seed,
        "family": digest(families),
        "hash": hash_,
        # Fusions of different runs with the same features would share a label: the hash tells them apart.
        "name": label(features, FUSION, [*differences, hash_[:6]], hash_),
        "protocol": _protocol(members),
        "members": [run.name for run in members],
        "votes": {
            str(fold): dict(zip((run.name for run in members), weights.tolist(), strict=True))
            for fold, weights in votes.items()
        },
        "parameters": sum(config.get("parameters", 0) for config in configs),
        "seconds": sum(config.get("seconds", 0) for config in configs),
        "note": _note(members, pick),
    }


def _note(members: Sequence[Run], pick: int) -> str:
    named = "fusion of " + ", ".join(run.name for run in members)
    if pick:
        return f"{named}; for each fold {pick} at most, picked on the other folds"
    return f"{named}; if they were chosen by their test scores, this one is selected on test: PICK= is not"


def _protocol(members: Sequence[Run]) -> str:
    """The members' own, where it is one: the votes never see the fold that they score."""
    return "; ".join(dict.fromkeys(run.protocol for run in members))


def _write_fold(folder: RunFolder, members: Sequence[Run], fold: int, weights: Floats) -> None:
    first = members[0]
    here = first.folds == fold
    mean = sum(weight * run.probabilities[0][here] for weight, run in zip(weights, members, strict=True))
    rows = pd.DataFrame(
        {
            "clip_id": first.clip_ids[here],
            "group": first.groups[here],
            "split": "test",
            "selection": "last",
            "target": np.array(first.classes, dtype=object)[first.target[here]],
        }
    )
    folder.fold(fold).mkdir(exist_ok=True)
    write_predictions(folder.fold(fold), rows, np.asarray(mean, dtype=np.float32), first.classes)
