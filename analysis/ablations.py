"""What one choice changed: added features, an augmentation; and what a trained network relies on.

Conventions: two ranked runs are a pair if their options differ in the features alone, or in the augmentation
alone; they tested the same N clips. A difference is the second's accuracy less the first's, seeds averaged. All
pairs of a ranking are one family of `significance.sign_flip_tests`.

Of features, the larger set of a pair holds all channels of the smaller and more; pairs with a ranked set
between them are left out, since its steps say more. Channels count as often as they occur: mel+mel+mel adds
mel+mel to mel, a control.

`python -m train explain` leaves fold*/attribution.csv, one row a test clip and channel: channel, method
(permuted), clip_id, correct (the share of its repeats that were correct), selection (last | best).
"""

from collections.abc import Collection, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from analysis.ranking import Ranking
from analysis.results import Problem, Run, differing_options
from analysis.significance import sign_flip_tests

PERMUTED = "permuted"  # among the test clips
ATTRIBUTION_COLUMNS = ["channel", "method", "clip_id", "correct", "selection"]
AUGMENTATION = frozenset({"augment", "copies"})  # whatever else differs makes two runs no pair


def ablations(ranking: Ranking) -> pd.DataFrame:
    """One row a pair of ranked runs that differ in one choice, feature pairs first, those of the best sets first.

    Columns: kind (features | augmentation), name, changed (the added channels, or `augment none → mask`), base
    (the features without it), model, without, with, difference, low, high, p, verdict, control.
    """
    runs = ranking.runs

    def amount(run: Run) -> tuple[bool, int, str]:
        """Sorts no augmentation first, then the fewer and shorter, then no altered copies."""
        augment = run.option_text("augment")
        return augment != "none", len(augment), str(run.options.get("copies") or "")

    smaller: dict[str, list[Run]] = {run.name: [] for run in runs}  # feature sets inside each
    augmented = []
    for first, second in combinations(runs, 2):
        different = differing_options(first, second)
        for less, more in ((first, second), (second, first)):
            if different == {"features"} and less.channels < more.channels:
                smaller[more.name].append(less)
        if different and different <= AUGMENTATION:
            augmented.append(tuple(sorted((first, second), key=amount)))
    steps = [
        (less, more)
        for more in runs
        for less in smaller[more.name]
        if not any(less in smaller[between.name] for between in smaller[more.name])
    ]
    rows, differences = [], []
    for kind, pairs in (("features", steps), ("augmentation", augmented)):
        for less, more in pairs:
            different = differing_options(less, more)
            if kind == "features":
                changed = "+".join((more.channels - less.channels).elements())
                name = f"{changed} added to {less.features} ({setting(less, runs, different)})"
            else:
                keys = sorted(different)
                changed = "; ".join(
                    f"{key} {less.option_text(key)} → {more.option_text(key)}" for key in keys
                )
                name = f"{changed} ({less.features}, {setting(less, runs, different)})"
            rows.append(
                {
                    "kind": kind,
                    "name": name,
                    "changed": changed,
                    "base": less.features,
                    "model": less.model,
                    "without": less.name,
                    "with": more.name,
                    "control": kind == "features" and set(more.channels) == set(less.channels),
                }
            )
            differences.append(ranking.scores[:, [runs.index(more)]] - ranking.scores[:, [runs.index(less)]])
    columns = ["kind", "name", "changed", "base", "model", "without", "with", "control"]
    table = pd.DataFrame(rows, columns=columns)
    if table.empty:
        return table.assign(difference=0.0, low=0.0, high=0.0, p=1.0, verdict="")
    alike = table["name"].duplicated(keep=False)
    table.loc[alike, "name"] += ", " + table.loc[alike, "without"]
    sums = np.concatenate(differences, axis=1)
    tests = sign_flip_tests(sums, ranking.shares, ranking.level)
    table["difference"] = sums.sum(axis=0) / ranking.unit
    table[["low", "high"]] = np.clip(tests.interval / ranking.unit, -1, 1)
    table["p"] = tests.p
    clear = np.where(table["difference"] > 0, "clear gain", "clear loss")
    table["verdict"] = np.where(tests.p < ranking.level, clear, "no clear difference")
    if not ranking.testable:
        table["verdict"] = "not compared"
    return table


def setting(run: Run, runs: Sequence[Run], changed: Collection[str] = ()) -> str:
    """The run's model, and what tells it from those of `runs` with that model: `resnet18, augment none`.

    Left out are the features, the seed and the options in `changed`.
    """
    same = [other for other in runs if other.model == run.model]
    keys = set().union(*(differing_options(run, other) for other in same)) - {"features", *changed}
    return ", ".join([run.model, *(f"{key} {run.option_text(key)}" for key in sorted(keys))])


def channel_importance(run: Run) -> tuple[pd.DataFrame, list[Problem]]:
    """How much recall each class loses if a channel is permuted, as far as `explain` has measured it.

    Columns: of (the run), channel, class, clips, recall, permuted, difference (recall less permuted: what the trained
    network relies on), seeds, selection. Of the epoch that counts, or the last if that was not explained, and of
    the seeds of which every fold was; what is damaged or left out is named.
    """
    parts, problems = [], []
    for folder in run.folders:
        for fold in np.unique(run.folds):
            file = folder.fold(int(fold)) / "attribution.csv"
            if not file.is_file():
                continue
            try:
                part = pd.read_csv(file, dtype={"channel": str, "clip_id": str}, keep_default_na=False)
                part = part[ATTRIBUTION_COLUMNS].astype({"correct": float})
                if unknown := set(part["selection"]) - set(run.checkpoints):
                    raise ValueError(f"the run has no selection {min(map(str, unknown))!r}")
                parts.append(part[part["method"] == PERMUTED].assign(seed=int(folder.config["seed"])))
            except (OSError, ValueError, KeyError) as error:
                text = f"fold {fold}: attribution.csv is left out ({error}): run explain again"
                problems.append(Problem(folder.name, text))
    read = pd.concat([pd.DataFrame(columns=[*ATTRIBUTION_COLUMNS, "seed"]), *parts], ignore_index=True)
    selection = run.selection if (read["selection"] == run.selection).any() else "last"
    correct = run.checkpoints[selection].argmax(axis=2) == run.target  # (S, N)
    tables = []
    for channel, rows in read.groupby("channel", sort=False):
        rows = rows[rows["selection"] == selection]
        by_seed = rows.pivot_table("correct", "seed", "clip_id").reindex(columns=run.clip_ids).dropna()
        if by_seed.empty:
            text = f"{channel} is not explained in every fold, or by other epochs than {selection}: run explain again"
            problems.append(Problem(run.name, text))
            continue
        explained = [run.seeds.index(seed) for seed in by_seed.index]
        clips = pd.DataFrame({"class": run.target, "recall": correct[explained].mean(axis=0)})
        table = clips.assign(permuted=by_seed.mean().to_numpy(dtype=float)).groupby("class").mean()
        table["difference"] = table["recall"] - table["permuted"]
        seeds = " ".join(map(str, by_seed.index))
        table = table.assign(of=run.name, channel=channel, clips=clips.groupby("class").size(), seeds=seeds)
        tables.append(
            table.assign(**{"class": [run.classes[place] for place in table.index]}, selection=selection)
        )
    columns = ["of", "channel", "class", "clips", "recall", "permuted", "difference", "seeds", "selection"]
    return pd.concat([pd.DataFrame(columns=columns), *tables], ignore_index=True)[columns], problems
