"""What a report says of the runs, as numbers and verdict words: `Facts`. Templates make sentences of it.

Accuracies and differences are from 0 to 1, NaN is a number that is not known. A difference to the best run is
below zero if the run is worse; its interval excludes zero exactly if its verdict is clear.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Literal

import numpy as np
import pandas as pd

from analysis.ranking import Ranking, nested_selection
from analysis.results import Problem
from analysis.significance import LEVEL, detectable, fewest_recordings
from analysis.tables import Calibration, calibration, class_report, fold_scores, member_accuracy

State = Literal["none", "one", "untested", "chance", "tie", "winner"]
Verdict = Literal["best", "tied", "clearly worse", "not compared"]

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
    control: bool  # a feature stands in it more than once
    members: Mapping[str, float]  # of an ensemble: the accuracy of each alone
    verdict: Verdict
    reason: str = ""  # why it is not compared: "few recordings", "alone", or `Ranking.reason`
    difference: float = np.nan  # to the best run
    difference_low: float = np.nan  # corrected as the verdict is
    difference_high: float = np.nan
    p: float = np.nan  # corrected for all comparisons with the best


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
    folds: int = 0  # that the ranked runs have finished
    folds_of: int = 0  # of the protocol
    protocol: str = ""
    chance: float = np.nan  # accuracy of always predicting the commonest class
    chance_p: float = np.nan  # of the best run against it
    level: float = np.nan  # below which p is significant
    best: Configuration | None = None
    rows: tuple[Configuration, ...] = ()  # the ranked configurations, best first
    others: tuple[Configuration, ...] = ()  # those outside the ranking
    detectable: float = np.nan  # difference found with a power of 80 % against a run like the next
    recordings_needed: int = 0  # to show the difference to the next run, or for any verdict; 0 if enough
    single_seed: bool = False  # a verdict rests on one seed
    nested: float = np.nan  # the score of selecting the best run, without its optimism
    excluded: Mapping[str, int] = field(default_factory=dict)  # why runs are not compared, and how many
    threats: tuple[Threat, ...] = ()
    hardest: tuple[Mapping[str, Any], ...] = ()  # rows of `class_report`, the lowest recall first
    gains: tuple[Mapping[str, Any], ...] = ()  # rows of `ablations`
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
    compared = list(map(configurations, rankings))
    others = tuple(row for part in compared[1:] for row in part)
    reasons = {problem.run: problem.kind for problem in problems if problem.kind}
    excluded = Counter((reasons | {row.run: row.reason for row in others}).values())
    if not rankings:
        return Facts("none", excluded=excluded, threats=tuple(threats))
    main = rankings[0]
    best = rankings[0].best
    recordings = len(rankings[0].shares)
    rows = compared[0]
    report = class_report(best)[:-2].query("support > 0")
    fewest = int(report["support"].min())
    most = int(report["support"].max())
    effective = round(1 / float(main.shares @ main.shares))
    present = list(threats)
    if most >= UNEVEN * fewest:
        present.append(Threat("uneven", fewest, most))
    if effective < recordings / 2:
        present.append(Threat("unequal recordings", effective, recordings))
    state: State = "one" if len(rows) == 1 else "untested"
    shown = np.nan
    needed = 0
    chance, chance_p = main.chance
    if not main.testable:
        needed = fewest_recordings(main.level)
    elif len(rows) > 1:
        state = "tie" if any(row.verdict == "tied" for row in rows) else "winner"
        difference = main.differences[:, 0] / main.unit
        shown, ratio = detectable(difference, main.shares, float(main.tests.critical[0]))
        if state == "tie" and ratio > 1:
            needed = ceil(float(f"{ratio * recordings:.1e}"))  # two digits of an estimate
    if main.testable and chance_p >= LEVEL:
        state = "chance"
    return Facts(
        state=state,
        dataset=best.dataset,
        synthetic=best.synthetic,
        clips=len(best.clip_ids),
        recordings=recordings,
        folds=len(main.folds),
        folds_of=len(best.folders[0].folds),
        protocol=best.protocol,
        chance=chance,
        chance_p=chance_p,
        level=main.level,
        best=rows[0],
        rows=rows,
        others=others,
        detectable=shown,
        recordings_needed=needed,
        single_seed=any(len(run.seeds) == 1 and not run.exact for run in main.runs),
        nested=nested_selection(main.fold_accuracy) if len(rows) > 1 else np.nan,
        excluded=excluded,
        threats=tuple(present),
        hardest=tuple(report.nsmallest(HARDEST, "recall", keep="all").to_dict("records")),
        gains=tuple(ablations.to_dict("records")),
        calibration=calibration(best),
    )


def configurations(ranking: Ranking) -> tuple[Configuration, ...]:
    """The configurations of a ranking, best first; differences are known within the main one."""
    rows = []
    unsure = "" if ranking.testable else "few recordings"
    reason = ranking.reason or ("alone" if len(ranking.runs) == 1 else unsure)
    numbers = zip(ranking.runs, ranking.accuracy.tolist(), ranking.interval.tolist(), strict=True)
    for place, (run, accuracy, (low, high)) in enumerate(numbers):
        scores = fold_scores(run)
        verdict: Verdict = "not compared" if reason else "best"
        compared = {}
        if place and not ranking.reason:
            p = float(ranking.tests.p[place - 1])
            least, most = np.clip(ranking.tests.interval[place - 1] / ranking.unit, -1, 1).tolist()
            if not reason:
                verdict = "clearly worse" if p < ranking.level else "tied"
            compared = {"p": p, "difference_low": least, "difference_high": most}
            compared["difference"] = accuracy - ranking.accuracy[0]
        rows.append(
            Configuration(
                run=run.name,
                label=ranking.labels[run.name],
                features=run.features,
                model=run.model,
                accuracy=accuracy,
                sd=float(scores["accuracy"].std(ddof=1)),
                n=len(scores),
                low=low,
                high=high,
                **scores[["balanced_accuracy", "macro_f1", "log_loss"]].mean().to_dict(),
                seeds=run.seeds,
                exact=run.exact,
                control=max(run.channels.values()) > 1,
                members=member_accuracy(run),
                verdict=verdict,
                reason=reason,
                **compared,
            )
        )
    return tuple(rows)
