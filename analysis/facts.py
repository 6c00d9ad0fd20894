"""What a report says of the runs, as numbers and verdict words: `Facts`. Templates make sentences of it.

Accuracies and differences are from 0 to 1, NaN is a number that is not known. A difference to the best run is
below zero if the run is worse; its interval excludes zero exactly if its verdict is clear.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Literal

import numpy as np
import pandas as pd

from analysis.ranking import Ranking, nested_selection, reasons_outside
from analysis.results import Problem
from analysis.significance import LEVEL, detectable, fewest_recordings
from analysis.tables import (
    Calibration,
    calibration,
    class_report,
    fold_scores,
    member_accuracy,
)

State = Literal["none", "one", "untested", "chance", "tie", "winner"]
Verdict = Literal["best", "tied", "clearly worse", "not compared"]
GainVerdict = Literal["clear gain", "clear loss", "no clear difference", "not compared"]

UNEVEN = 1.5  # classes are uneven if the largest has so many times the clips of the smallest
HARDEST = 3


@dataclass(frozen=True)
class Configuration:
    """One configuration beside the others of its ranking."""

    run: str  # the folder of its first seed
    label: str  # what it is called: its features, and what else makes that unique in the ranking
    features: str
    model: str
    accuracy: float  # mean over folds, seeds averaged
    sd: float  # over folds
    n: int  # folds
    low: float  # 95 % interval of the accuracy
    high: float
    balanced_accuracy: float
    macro_f1: float
    log_loss: float
    seeds: tuple[int, ...]
    exact: bool  # another seed would give the same
    verdict: Verdict
    reason: str = ""  # why it is not compared: "few recordings", "alone", or one of `Excluded.reason`
    difference: float = np.nan  # to the best run
    difference_low: float = np.nan  # corrected as the verdict is
    difference_high: float = np.nan
    p: float = np.nan  # corrected for all comparisons with the best
    control: bool = False  # a feature stands in it more than once
    members: Mapping[str, float] = field(default_factory=dict)  # of an ensemble: the accuracy of each alone


@dataclass(frozen=True)
class ClassRow:
    """One class of the best run, over all its test clips, seeds averaged."""

    name: str
    recall: float
    support: int  # test clips

    @property
    def correct(self) -> float:
        """Test clips predicted correctly, a mean over seeds."""
        return self.recall * self.support


@dataclass(frozen=True)
class Gain:
    """What one change does: features added to a set, or another augmentation."""

    kind: Literal["features", "augmentation"]
    name: str  # unique in the report: `chroma added to mel+mfcc (resnet18)`
    changed: str  # the features added; or `augment none → mask`
    base: str  # features of the run without the change
    model: str
    without: str  # run folders
    with_: str
    control: bool  # it adds only features that the set has already
    difference: float
    low: float  # corrected as the verdict is
    high: float
    p: float
    verdict: GainVerdict


@dataclass(frozen=True)
class Excluded:
    """Runs that are not compared with the others."""

    reason: str  # dataset | task | classes | folds | groups | clips | protocol | unfinished | damaged
    count: int


@dataclass(frozen=True)
class Threat:
    """Something that may make the result wrong."""

    kind: str  # duplicates | artefacts | failed | changed | uneven | unequal recordings
    count: int
    of: int = 0
    detail: str = ""


@dataclass(frozen=True)
class Facts:
    """Everything that the first screen of a report says."""

    state: State
    dataset: str = ""
    synthetic: bool = False
    clips: int = 0  # test clips of the ranked runs
    recordings: int = 0
    classes: int = 0
    folds: int = 0  # that the ranked runs have finished
    folds_of: int = 0  # of the protocol
    protocol: str = ""
    chance: float = np.nan  # accuracy of always predicting the commonest class
    chance_p: float = np.nan  # of the best run against it
    uneven: bool = False
    level: float = np.nan  # below which p is significant
    planned: bool = False  # two runs that were named for their comparison
    best: Configuration | None = None
    rows: tuple[Configuration, ...] = ()  # the ranked configurations, best first
    others: tuple[Configuration, ...] = ()  # those outside the ranking
    detectable: float = np.nan  # difference found with a power of 80 % against a run like the rival
    rival: str = ""  # label of the next run
    recordings_needed: int = 0  # to show the difference to the rival, or for any verdict; 0 if enough
    single_seed: bool = False  # a verdict rests on one seed
    nested: float = np.nan  # the score of selecting the best run, without its optimism
    excluded: tuple[Excluded, ...] = ()
    threats: tuple[Threat, ...] = ()
    hardest: tuple[ClassRow, ...] = ()  # classes of lowest recall
    gains: tuple[Gain, ...] = ()
    calibration: Calibration | None = None
    importance: tuple[str, ...] | None = None  # the two most important features, if they were measured

    @property
    def tied(self) -> tuple[Configuration, ...]:
        """The runs that do not differ clearly from the best, itself excluded."""
        return tuple(row for row in self.rows if row.verdict == "tied")


def facts(
    rankings: Sequence[Ranking],
    ablations: pd.DataFrame,
    problems: Sequence[Problem] = (),
    threats: Sequence[Threat] = (),
) -> Facts:
    """The facts of the first ranking; the others are `excluded`, with the runs that `problems` left out.

    `ablations` are those of the first ranking; `threats` what is known of the dataset.
    """
    outside = {run.name: reason for run, reason in reasons_outside(rankings)}
    left_out = {problem.run: "unfinished" for problem in problems if problem.unfinished}
    left_out |= {problem.run: "damaged" for problem in problems if problem.damaged}
    reasons = Counter({**left_out, **outside}.values())
    excluded = tuple(Excluded(reason, count) for reason, count in reasons.items())
    if not rankings:
        return Facts("none", excluded=excluded, threats=tuple(threats))
    main, best = rankings[0], rankings[0].best
    rows = ranked_rows(main)
    others = [
        replace(row, verdict="not compared", reason=outside[row.run])
        for ranking in rankings[1:]
        for row in ranked_rows(ranking)
    ]
    chance, chance_p = main.chance
    effective = float(1 / (main.shares**2).sum())
    counts = np.bincount(best.target)
    counts = counts[counts > 0]
    found = list(threats)
    if uneven := bool(counts.max() >= UNEVEN * counts.min()):
        found.append(Threat("uneven", int(counts.min()), int(counts.max())))
    if effective < main.recordings / 2:
        found.append(Threat("unequal recordings", round(effective), main.recordings))
    state: State = "one" if len(rows) == 1 else "tie" if main.tied else "winner"
    if state != "one" and not main.testable:
        state = "untested"
    elif main.testable and chance_p >= LEVEL:
        state = "chance"
    found_at, needed = np.nan, 0
    if not main.testable:
        needed = fewest_recordings(main.level)
    elif len(rows) > 1:
        lead = main.leads[:, 0] / main.unit
        found_at, ratio = detectable(lead, main.shares, float(main.tests.critical[0]))
        if main.tied and lead.sum() > 0 and ratio > 1:
            needed = ceil(float(f"{ratio * main.recordings:.1e}"))  # two digits of an estimate
    by_class = class_report(best)[:-2][["class", "recall", "support"]]
    hardest = by_class[by_class["support"] > 0].sort_values("recall", kind="stable").head(HARDEST)
    gains = ablations.rename(columns={"with": "with_"}).to_dict("records")
    return Facts(
        state=state,
        dataset=best.dataset,
        synthetic=best.synthetic,
        clips=len(best.clip_ids),
        recordings=main.recordings,
        classes=len(best.classes),
        folds=len(main.folds),
        folds_of=len(best.folders[0].folds),
        protocol=best.protocol,
        chance=chance,
        chance_p=chance_p,
        uneven=uneven,
        level=main.level,
        planned=main.planned,
        best=rows[0],
        rows=rows,
        others=tuple(others),
        detectable=found_at,
        rival=rows[1].label if len(rows) > 1 else "",
        recordings_needed=needed,
        single_seed=any(len(run.seeds) == 1 and not run.exact for run in main.runs),
        nested=nested_selection(main.fold_accuracy) if len(rows) > 1 else np.nan,
        excluded=excluded,
        threats=tuple(found),
        hardest=tuple(ClassRow(*row) for row in hardest.to_numpy()),
        gains=tuple(Gain(**gain) for gain in gains),
        calibration=calibration(best),
    )


def ranked_rows(ranking: Ranking) -> tuple[Configuration, ...]:
    """The configurations of a ranking, best first."""
    rows = []
    reason = "alone" if len(ranking.runs) == 1 else "" if ranking.testable else "few recordings"
    tied = {run.name for run in ranking.tied}
    for place, run in enumerate(ranking.runs):
        scores = fold_scores(run)
        verdict: Verdict = "best" if place == 0 else "tied" if run.name in tied else "clearly worse"
        row = Configuration(
            run=run.name,
            label=ranking.labels[run.name],
            features=run.features,
            model=run.model,
            accuracy=float(ranking.accuracy[place]),
            sd=float(scores["accuracy"].std(ddof=1)),
            n=len(ranking.folds),
            low=float(ranking.interval[place, 0]),
            high=float(ranking.interval[place, 1]),
            balanced_accuracy=float(scores["balanced_accuracy"].mean()),
            macro_f1=float(scores["macro_f1"].mean()),
            log_loss=float(scores["log_loss"].mean()),
            seeds=run.seeds,
            exact=run.exact,
            verdict="not compared" if reason else verdict,
            reason=reason,
            control=max(run.channels.values()) > 1,
            members=member_accuracy(run),
        )
        if place:
            low, high = np.clip(-ranking.tests.interval[place - 1, ::-1] / ranking.unit, -1, 1).tolist()
            difference = float(ranking.accuracy[place] - ranking.accuracy[0])
            p = float(ranking.tests.p[place - 1])
            row = replace(row, difference=difference, difference_low=low, difference_high=high, p=p)
        rows.append(row)
    return tuple(rows)
