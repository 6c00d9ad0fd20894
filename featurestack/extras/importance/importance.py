"""`make importance`: what each feature is worth by itself and with the others.

Ridge is fitted to all features, to all but each one, to each one and to each one with
the base. The tables of the last call, which a report reads, are in
`runs/<dataset>/importance/importance.json`.

A clip's part of the score is 1 if its class was predicted, else 0; with tags it is the
clip's part of mAP. Averaged over the clips, the parts give the score. The set NONE has
no feature: the commonest class, or the labels' shares with tags.

Three measures are means over clips, in shares of the score: `by itself`, the gain of
one feature above chance; `lost`, the loss without it; `added`, the gain over the base.
They are tested like differences between two runs: by sign flips of source recordings,
all features of one measure as a family (maxT); the interval inverts the test. A gain
above chance is clear if a report would call the feature clearly better than chance; if
neither a feature nor all of them are, no difference is clear.

A set that is called as good as all features is the best of many, so it is optimistic.
So each fold's set is chosen on the other folds, all folds have to choose the same one,
and the words follow the upper end of the loss's interval, not the loss.

Where folds are drawn and clips are few, every set is cross-validated on several
drawings of the folds, whose variance says how much a difference varies by training.

Conventions: N test clips, F features, K classes, R drawings of the folds.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurestack.base.json_content import digest, read_json
from featurestack.base.quantities import counted, enumerated, percent, points
from featurestack.base.terminal import progress, text_table
from featurestack.cli.commands import command, documented
from featurestack.cli.parser import options_from
from featurestack.comparison import significance
from featurestack.comparison.metrics import Floats
from featurestack.comparison.ranking import AgainstChance
from featurestack.extras.importance import ImportanceOptions
from featurestack.results.config import Plain
from featurestack.results.dataset_folders import register_folder
from featurestack.train.options import FitOptions

if TYPE_CHECKING:
    from featurestack.train.fits import Fits

FOLDER, FILE = "importance", "importance.json"
NONE = "none"
BASE = "mel"
ALONE, LOST, ADDED = MEASURES = ("by itself", "lost", "added")
# least share of all features' gain above chance that a set as good as all keeps
ENOUGH = 0.95
# Clips × features up to which several drawings of the folds are fitted. This takes at
# most twice as long (3 features of 240 clips: 6.7 s instead of 3.7 s).
MOST_REPEATED = 1_000


@dataclass(frozen=True, kw_only=True)
class Importance:
    """The content of importance.json: the tables of a call, and what was measured."""

    clips: int  # test clips
    recordings: int  # that they come from
    protocol: str  # `5 drawings of 5 folds`
    tested: str  # digest of their ids
    data: str  # digest of all clips' labels, groups and folds
    score: str  # the title of the task's score
    every: float  # the score of all features together
    features: tuple[str, ...]
    rows: Mapping[str, tuple[Mapping[str, Plain], ...]]

    def __post_init__(self) -> None:
        if not (self.rows["features"] and self.rows["classes"]):
            raise ValueError("a table has no rows")

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables `features`, `classes` and `smaller`, of the functions below."""
        return {name: pd.DataFrame(list(rows)) for name, rows in self.rows.items()}


def base_of(features: Sequence[str]) -> str:
    """The feature that the others are added to: mel, or the first."""
    return BASE if BASE in features else features[0]


def pairs_of(features: Sequence[str]) -> dict[str, dict[str, tuple[str, str]]]:
    """Measure -> feature -> the sets with it and without it; the base is not `added`. A
    set is named `mel+mfcc`, in the order of the features.
    """
    every, base = "+".join(features), base_of(features)
    alone, lost, added = {}, {}, {}
    for name in features:
        alone[name] = name, NONE
        lost[name] = every, "+".join(other for other in features if other != name)
        if name != base:
            both = [other for other in features if other in (base, name)]
            added[name] = "+".join(both), base
    return {ALONE: alone, LOST: lost, ADDED: added}


def sizes_of(features: Sequence[str]) -> dict[str, int]:
    """Set -> its number of features: none, all, all without each one, each one, each
    one with the base.
    """
    sets = {NONE: 0}
    pairs = pairs_of(features)
    for measure in (LOST, ALONE, ADDED):
        for pair in pairs[measure].values():
            sets |= {name: name.count("+") + 1 for name in pair if name != NONE}
    return sets


@dataclass(frozen=True, eq=False)
class SetScores:
    """The parts of the score of each test clip by the fits to each set, and the mean
    over the drawings.
    """

    features: tuple[str, ...]
    clips: pd.DataFrame  # N rows: clip_id, fold, unit (what tests flip the signs of)
    weights: Floats  # (N,) the weights of the clips in the score
    labels: pd.DataFrame  # (N, K) whether a clip has each class that any clip has
    parts: Mapping[str, Floats]  # set -> (R, N)
    # all features and each one against chance
    over_chance: Mapping[str, AgainstChance]

    @property
    def useful(self) -> bool:
        """Whether anything is clearly better than chance."""
        return any(lead.clear for lead in self.over_chance.values())

    @cached_property
    def scores(self) -> pd.DataFrame:
        """N rows, a column for each set: means over the drawings."""
        return pd.DataFrame(
            {name: parts.mean(axis=0) for name, parts in self.parts.items()}
        )

    @property
    def every(self) -> Floats:
        """(R, N) the parts by all features together."""
        return self.parts["+".join(self.features)]

    def gains(self, measure: str) -> Floats:
        """(R, N, F) what each feature gives to each clip."""
        pairs = pairs_of(self.features)[measure].values()
        return np.stack([self.parts[on] - self.parts[off] for on, off in pairs], -1)

    def tests(
        self, gains: Floats, unit: float | None = 1.0, *, above_chance: bool = False
    ) -> pd.DataFrame:
        """`gain_tests` by the clips' recordings; nothing is significant if nothing is
        better than chance.
        """
        variance = significance.TRAINING_VARIANCE if above_chance else None
        units, weights = self.clips["unit"].to_numpy(), self.weights
        tests = significance.gain_tests(
            gains, units, unit, weights=weights, variance=variance
        )
        return tests if self.useful else decided(tests, np.zeros(len(tests), bool))


# ---- tests and intervals


def decided(tests: pd.DataFrame, clear: NDArray[np.bool_]) -> pd.DataFrame:
    """The tests with this verdict; an interval leaves zero out only if it is clear."""
    low = tests["low"].where(clear, tests["low"].clip(upper=0))
    high = tests["high"].where(clear, tests["high"].clip(lower=0))
    return tests.assign(low=low, high=high, significant=clear)


def measures_table(fits: SetScores) -> pd.DataFrame:
    """One row for each feature and measure: the score of the set in question (the
    feature, all without it, the base with it), mean, low, high, p, significant.
    """
    parts = []
    for measure, pairs in pairs_of(fits.features).items():
        table = fits.tests(fits.gains(measure), above_chance=measure == ALONE)
        if measure == ALONE:
            leads = [fits.over_chance[name] for name in pairs]
            clear = [lead.clear and not np.isnan(lead.p) for lead in leads]
            table = decided(table, np.array(clear))
            table["p"] = [lead.p for lead in leads]
        place = int(measure == LOST)  # in a pair
        scores = [fits.scores[pair[place]].mean() for pair in pairs.values()]
        named = {"feature": [*pairs], "measure": measure, "score": scores}
        parts.append(pd.DataFrame(named).join(table))
    return pd.concat(parts, ignore_index=True)


def classes_table(fits: SetScores) -> pd.DataFrame:
    """The mean over a class's clips by class, feature and measure, with an interval
    corrected for all of a measure. No class can gain or lose more than all its clips.
    """
    of_class = fits.labels.to_numpy()  # (N, K)
    weights = of_class / of_class.mean(axis=0) / fits.weights[:, None]
    parts = []
    for measure, pairs in pairs_of(fits.features).items():
        gains = fits.gains(measure)
        cells = weights[:, :, None] * gains[:, :, None]  # (R, N, K, F)
        tests = fits.tests(cells.reshape(*gains.shape[:2], -1), None)
        table = tests[["mean", "low", "high"]].copy()
        table.index = pd.MultiIndex.from_product(
            [fits.labels.columns, [*pairs]], names=["class", "feature"]
        )
        parts.append(table.reset_index().assign(measure=measure))
    return pd.concat(parts, ignore_index=True)


def smaller_sets(fits: SetScores) -> pd.DataFrame:
    """The best fitted set of each size below all, the smallest first: features, its
    score, `of` (the score of all), lost with its interval, and its verdict. If folds
    choose several sets, features counts them, and the score is that of each fold's.

    A set is `as good` if all folds choose it and the interval of the loss ends below
    the share of the gain above chance that ENOUGH gives up; `worse` if it begins above
    0; else `open`. The table is empty if all features together are not clearly better
    than chance.
    """
    sizes, scores = sizes_of(fits.features), fits.scores
    if not fits.over_chance["+".join(fits.features)].clear:
        return pd.DataFrame()
    _, fold = np.unique(fits.clips["fold"], return_inverse=True)
    of_fold = np.eye(fold.max() + 1)[fold] / len(fold)  # (N, folds)
    rows, hits = [], []
    for size in sorted({*sizes.values()} - {0, len(fits.features)}):
        names = [name for name, number in sizes.items() if number == size]
        by_fold = scores[names].to_numpy().T @ of_fold  # (sets, folds)
        every_fold = by_fold.sum(axis=1, keepdims=True)
        # the best on the other folds; rounding keeps equal sums equal
        chosen = np.argmax(np.round(every_fold - by_fold, 12), axis=0)
        sets = pd.Series(chosen).map(dict(enumerate(names))).value_counts(sort=False)
        rows.append((chosen_sets(sets), len(sets) == 1))
        of_sets = np.stack([fits.parts[name] for name in names])  # (sets, R, N)
        hits.append(of_sets[chosen[fold], :, np.arange(len(fold))].T)
    tests = fits.tests(fits.every[:, :, None] - np.stack(hits, axis=-1))
    every = fits.every.mean()
    allowed = (1 - ENOUGH) * (every - scores[NONE].mean())
    table = pd.DataFrame(rows, columns=["features", "agreed"])
    table["score"] = [column.mean() for column in hits]
    table["of"] = every
    table["lost"] = tests["mean"]
    table[["low", "high"]] = tests[["low", "high"]]
    table["verdict"] = np.select(
        [table["agreed"] & (tests["high"] <= allowed), tests["low"] > 0],
        ["as good", "worse"],
        "open",
    )
    return table


def chosen_sets(folds: "pd.Series[int]") -> str:
    """The set that all folds chose, else each with its number of folds."""
    if len(folds) == 1:
        return str(folds.index[0])
    ordered = folds.sort_values(ascending=False, kind="stable")
    counts = [
        f"{name} in {counted(number, 'fold')}" for name, number in ordered.items()
    ]
    return enumerated(counts)


# ---- the command


def measure_importance(options: FitOptions) -> Importance:
    """The tables of a call, which are kept for a report."""
    # a report, which reads the tables, does without torch
    from featurestack.train.fits import read_features

    features, fits = read_features(options, least=2)
    plan = fits.plan
    fits = replace(fits, repeats=len(plan.table) * len(features) <= MOST_REPEATED)
    own_files = register_folder(plan.path.with_name(FOLDER), plan.cache.identity)
    own_files.require(FILE, "RUNS=")
    scores = make_fits(features, fits)
    tables = {
        "features": measures_table(scores),
        "classes": classes_table(scores),
        "smaller": smaller_sets(scores),
    }
    measured = Importance(
        clips=len(scores.clips),
        recordings=scores.clips["unit"].nunique(),
        protocol=fits.protocol,
        tested=digest(sorted(scores.clips["clip_id"])),
        data=plan.config.clips,
        score=fits.metric.title,
        every=float(scores.every.mean()),
        features=features,
        rows={name: tuple(table.to_dict("records")) for name, table in tables.items()},
    )
    text = json.dumps(asdict(measured), indent=1) + "\n"
    file = own_files.folder / FILE
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        own_files.write({FILE: text})
    return measured


def read_importance(folder: Path) -> Importance:
    """The last call; RequestError if its file is damaged, or there is none."""
    return read_json(folder / FILE, Importance, "measure importance again")


def make_fits(features: tuple[str, ...], fits: "Fits") -> SetScores:
    from featurestack.train.fits import ranking_of

    clips = fits.plan.cache.clips.iloc[fits.tested_clips]
    models = {}
    for name in progress(sizes_of(features), label="importance", unit="fits"):
        models[name] = fits.repeated("" if name == NONE else name)
    nothing = models[NONE]
    parts = {name: model.parts_of_seeds for name, model in models.items()}
    # the best constant answer, whatever the folds' shares are
    parts[NONE] = np.tile(fits.metric.chance(nothing), (len(fits.drawings), 1))
    over_chance: dict[str, AgainstChance] = {}
    for family in (features, ["+".join(features)]):
        ranking = ranking_of([models[name] for name in family])
        over_chance |= zip(family, ranking.leads)
    labels = pd.DataFrame(nothing.labels, columns=[*nothing.classes])
    return SetScores(
        features,
        clips[["clip_id", "fold"]].assign(unit=nothing.units),
        nothing.weights,
        labels.loc[:, labels.any()],
        parts,
        over_chance,
    )


def importance_summary(measured: Importance) -> str:
    """One line per feature, sorted by its own score: this score, the points lost
    without the feature, and the points that it adds.
    """
    tests = measured.tables["features"]
    texts = []
    for test in tests.itertuples():
        text = points(test.mean)
        if pd.notna(test.low):
            text += f" ({points(test.low)} to {points(test.high)})"
        if test.measure == ALONE:
            text = f"{percent(test.score)} %: {text}"
        texts.append(text)
    shown = tests.assign(text=texts).pivot(
        index="feature", columns="measure", values="text"
    )
    alone = tests[tests["measure"] == ALONE].set_index("feature")["score"]
    order = alone.sort_values(ascending=False, kind="stable").index
    shown = shown.loc[order, [*MEASURES]].fillna("the base")
    header = (
        "",
        "by itself: above chance",
        "lost without it",
        f"added to {base_of(measured.features)}",
    )
    unit = f"points with the {significance.DIFFERENCE_INTERVAL}"
    if tests["low"].isna().all():
        unit = "points; too few recordings for intervals"
    legend = (
        f"{measured.clips:,} test clips, {measured.protocol}; ridge on all features"
        f" reaches {percent(measured.every)} % {measured.score}; {unit}"
    )
    if len({name.partition("@")[0] for name in order}) < len(order):
        legend += "; variants replace each other, so losing one costs little"
    return f"{text_table(shown.reset_index().to_numpy().tolist(), header)}\n{legend}"


@command
@documented(ImportanceOptions)
def importance(
    dataset: str = "esc50",
    features: str | Sequence[str] = "mel mfcc chroma",
    *,
    runs: Path | str = "runs",
    data: Path | str = "data",
    name: str = "",
    task: str = "auto",
    quiet: bool = False,
) -> dict[str, pd.DataFrame]:
    """`make importance`: the worth of each feature, by itself and with the others, from
    exact fits with and without it.

    Parameters
    ----------
    features : str
        Features, or sets joined by + that count as one, separated by spaces.

    Returns
    -------
    dict of DataFrame
        `features`: what each feature gives by itself, what is lost without it and what
        it adds, with intervals; `classes`: the means by class; `smaller`: the best
        smaller sets and whether they are as good.

    Examples
    --------
    >>> tables = fs.importance("synth", "rms zcr", quiet=True)
    >>> sorted(tables)
    ['classes', 'features', 'smaller']
    """
    return measure_importance(options_from(ImportanceOptions, locals())).tables
