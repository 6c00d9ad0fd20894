"""The effect of one choice (added features, or an augmentation), and the channels that
a network relies on.

Conventions: two ranked runs are a pair if their options differ in the features alone,
or in augmentation and altered copies alone. A difference is the second run's accuracy
(mAP for tags) less the first's, a mean over seeds. All pairs of a ranking are one
family of `significance.sign_flip_tests`.

In a pair of feature sets the larger has all channels of the smaller and more. A pair is
left out if another ranked set lies between the two, because the two smaller steps say
more. Channels count as often as they occur: mel+mel+mel adds mel+mel to mel, a control.

`python -m train explain` writes fold*/attribution.csv, a row for each test clip and
channel: channel, method (permuted), clip_id, correct (the share of its repeats that
were correct), selection (last | best).
"""

from itertools import combinations, permutations, product

import numpy as np
import pandas as pd

from featurestack.analysis.ranking import Ranking, setting
from featurestack.analysis.runs import Problem, Run, differing_options
from featurestack.analysis.significance import sign_flip_tests

ATTRIBUTION = {"channel": str, "clip_id": str, "correct": float, "selection": str}
# options that differ in a pair of kind `augmentation`
AUGMENTATION = frozenset({"augment", "copies"})


def ablations(ranking: Ranking) -> pd.DataFrame:
    """One row for each pair of ranked runs that differ in one choice: pairs of feature
    sets first, by rank.

    Columns: kind (features | augmentation), name, changed (added channels, or `augment
    none → mask`), base (features of the first run), model, without and with (runs),
    control, difference, low, high, p, verdict.
    """
    runs = ranking.runs
    inside = dict.fromkeys(
        (less, more)
        for more, less in permutations(runs, 2)
        if less.channels < more.channels
        and differing_options(less, more) == {"features"}
    )
    pairs = [
        (less, more)
        for less, more in inside
        if not any(
            (less, between) in inside and (between, more) in inside for between in runs
        )
    ]
    for pair in combinations(runs, 2):
        if set() < differing_options(*pair) <= AUGMENTATION:
            # The first run is the one without augmentation, or with the shorter text;
            # then likewise `copies`.
            less, more = sorted(
                pair,
                key=lambda run: [
                    (text != "none", len(text))
                    for text in map(run.option_text, ("augment", "copies"))
                ],
            )
            pairs.append((less, more))
    rows = []
    for less, more in pairs:
        keys = sorted(differing_options(less, more))
        changed = "; ".join(
            f"{key} {less.option_text(key)} → {more.option_text(key)}" for key in keys
        )
        name = f"{changed} ({less.features}, {setting(less, runs, keys)})"
        if added := "+".join((more.channels - less.channels).elements()):
            changed = added
            name = f"{added} added to {less.features} ({setting(less, runs)})"
        control = bool(added) and {*more.channels} == {*less.channels}
        kind = "features" if added else "augmentation"
        rows.append(
            (
                kind,
                name,
                changed,
                less.features,
                less.model,
                less.name,
                more.name,
                control,
            )
        )
    columns = ["kind", "name", "changed", "base", "model", "without", "with", "control"]
    table = pd.DataFrame(rows, columns=columns)
    without, added_to = ([runs.index(pair[side]) for pair in pairs] for side in (0, 1))
    differences = ranking.scores[:, added_to] - ranking.scores[:, without]
    tests = sign_flip_tests(differences, ranking.shares, ranking.level)
    table[["difference", "low", "high", "p"]] = np.clip(
        tests.numbers(ranking.unit), -1, 1
    )
    clear = np.where(table["difference"] > 0, "clear gain", "clear loss")
    verdict = np.where(tests.p < ranking.level, clear, "no clear difference")
    return table.assign(verdict=verdict if ranking.testable else "not compared")


def channel_importance(run: Run, problems: list[Problem]) -> pd.DataFrame:
    """The recall that each class loses if a channel is permuted; empty if `explain` has
    left nothing to read.

    Columns: of (the run), channel, class, clips, recall, permuted (recall with the
    channel permuted), difference (recall less permuted). Both recalls are of the epoch
    that counts, on the clips and seeds that were explained. `problems` names each file
    that cannot be read.
    """
    parts = []
    for folder, fold in product(run.folders, run.folders[0].folds):
        file = folder.fold(fold) / "attribution.csv"
        try:
            part = pd.read_csv(
                file, usecols=[*ATTRIBUTION], dtype=ATTRIBUTION, keep_default_na=False
            )
            part = part[part["selection"] == run.checkpoint]
            if part.empty:
                raise ValueError(f"it has nothing of the {run.checkpoint} epoch")
            parts.append(part.assign(seed=folder.config.seed))
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            problems.append(
                Problem(folder.name, f"{file} is left out ({error}): run explain again")
            )
    if not parts:
        return pd.DataFrame()
    clips = pd.DataFrame(
        {"clip_id": run.clip_ids, "class": np.array(run.classes)[run.target]}
    )
    right = zip(run.seeds, (run.predicted == run.target).astype(float), strict=True)
    own = pd.concat(
        [clips.assign(seed=seed, recall=correct) for seed, correct in right]
    )
    rows = pd.concat(parts).merge(own, on=["seed", "clip_id"])
    table = rows.groupby(["channel", "class"], sort=False).agg(
        clips=("clip_id", "nunique"),
        recall=("recall", "mean"),
        permuted=("correct", "mean"),
    )
    table["difference"] = table["recall"] - table["permuted"]
    return table.reset_index().assign(of=run.name)
