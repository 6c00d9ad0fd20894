"""What a report says of the runs, as numbers and verdict words: `Facts`. Templates make sentences of it.

Accuracies and differences are from 0 to 1, NaN is a number that is not known. A difference to the best run is
below zero if the run is worse; its interval excludes zero exactly if its verdict is clear.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from analysis import tables
from analysis.ablations import channel_counts
from analysis.naming import display_names
from analysis.ranking import NestedSelection, Ranking, nested_selection, reasons_outside
from analysis.results import Problem, Run
from analysis.significance import step_down
from results.bootstrap import FEWEST_RECORDINGS, fold_weights, recording_sums

State = Literal["none", "one", "untested", "chance", "tie", "winner"]
Verdict = Literal["best", "tied", "clearly worse", "not compared"]
GainVerdict = Literal["clear gain", "clear loss", "no clear difference", "not compared"]

UNEVEN = 1.5  # classes are uneven if the largest has so many times the clips of the smallest
HARDEST = 3
CONFUSIONS = 5


@dataclass(frozen=True)
class Row:
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
    precision: float
    recall: float
    f1: float
    support: int  # test clips
    correct: float  # of them, a mean over seeds
    low: float = np.nan  # 95 % interval of the recall
    high: float = np.nan


@dataclass(frozen=True)
class Confusion:
    """How many clips of a class the best run predicts as another, a mean over seeds."""

    true: str
    predicted: str
    count: float
    of: int


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
    difference: float
    low: float  # corrected as the verdict is
    high: float
    p: float
    verdict: GainVerdict
    control: bool = False  # it adds only features that the set has already


@dataclass(frozen=True)
class Excluded:
    """Runs that are not compared with the others."""

    reason: str  # dataset | task | classes | folds | groups | clips | protocol | unfinished | damaged
    count: int
    runs: tuple[str, ...]
    detail: str  # of the first run, in words


@dataclass(frozen=True)
class Threat:
    """Something that may make the result wrong."""

    kind: str  # duplicates | artefacts | failed | changed | uneven | unequal recordings
    count: int
    of: int = 0
    detail: str = ""


@dataclass(frozen=True)
class Calibration:
    """Expected calibration error of the best run, all folds pooled."""

    error: float
    floor: float  # what a perfectly calibrated model with the same confidences would have
    scaled: float  # with logits divided by the temperature of the other folds
    temperature: float


@dataclass(frozen=True)
class Facts:
    """Everything that the first screen of a report says."""

    state: State
    dataset: str = ""
    synthetic: bool = False
    clips: int = 0  # test clips of the ranked runs
    recordings: int = 0
    effective_recordings: float = np.nan  # fewer if some have many clips
    classes: int = 0
    folds: int = 0  # that the ranked runs have finished
    folds_of: int = 0  # of the protocol
    protocol: str = ""
    chance: float = np.nan  # accuracy of always predicting the commonest class
    chance_p: float = np.nan  # of the best run against it
    uneven: bool = False
    level: float = np.nan  # below which p is significant
    planned: bool = False  # two runs that were named for their comparison
    best: Row | None = None
    rows: tuple[Row, ...] = ()  # the ranked configurations, best first
    detectable: float = np.nan  # difference found with a power of 80 % against a run like the rival
    rival: str = ""  # label of the next run
    recordings_needed: int = 0  # to show the difference to the rival, or for any verdict; 0 if enough
    single_seed: bool = False  # a verdict rests on one seed
    nested: NestedSelection | None = None  # the score of selecting the best run, without its optimism
    excluded: tuple[Excluded, ...] = ()
    threats: tuple[Threat, ...] = ()
    hardest: tuple[ClassRow, ...] = ()  # classes of lowest recall
    confusions: tuple[Confusion, ...] = ()  # most frequent first
    gains: tuple[Gain, ...] = ()
    calibration: Calibration | None = None
    importance: tuple[str, ...] | None = None  # the two most important features, if they were measured

    @property
    def tied(self) -> tuple[Row, ...]:
        """The runs that do not differ clearly from the best, itself excluded."""
        return tuple(row for row in self.rows if row.verdict == "tied")


def facts(
    rankings: Sequence[Ranking],
    additions: pd.DataFrame,
    augmentation: pd.DataFrame,
    problems: Sequence[Problem] = (),
    threats: Sequence[Threat] = (),
) -> Facts:
    """The facts of the first ranking; the others are `excluded`, with the runs that `problems` left out."""
    excluded = _excluded(rankings, problems)
    if not rankings:
        return Facts("none", excluded=excluded, threats=tuple(threats))
    main = rankings[0]
    best = main.best
    counts = np.bincount(best.target)
    weights = fold_weights(best.folds)
    commonest = (best.target == counts.argmax()).astype(float)
    gain = recording_sums((weights * (best.correct - commonest))[:, None], best.groups)
    chance_p = float(step_down(gain)[0])
    rows = _rows(main)
    of_recording = np.unique(best.groups, return_counts=True)[1]
    effective = len(best.groups) ** 2 / float((of_recording**2).sum())
    state: State
    if len(rows) == 1:
        state = "one"
    elif not main.testable:
        state = "untested"
    elif chance_p >= 0.05:
        state = "chance"
    else:
        state = "tie" if main.tied else "winner"
    per_class = tables.per_class(best)
    hardest = per_class[per_class["of"] > 0].sort_values("recall", kind="stable").head(HARDEST)
    seeds = len(best.seeds)
    found = counts[counts > 0]
    uneven = bool(found.max() >= UNEVEN * found.min())
    return Facts(
        state=state,
        dataset=str(best.config["dataset"]),
        synthetic=best.synthetic,
        clips=len(best.clip_ids),
        recordings=main.recordings,
        effective_recordings=effective,
        classes=len(best.classes),
        folds=len(main.folds),
        folds_of=len(main.folds) + len(best.missing_folds),
        protocol=best.protocol,
        chance=float(weights @ commonest),
        chance_p=chance_p,
        uneven=uneven,
        level=main.level,
        planned=main.planned,
        best=rows[0],
        rows=rows,
        rival=rows[1].label if len(rows) > 1 else "",
        recordings_needed=0 if main.testable else FEWEST_RECORDINGS,
        single_seed=any(len(run.seeds) == 1 and not run.exact for run in main.runs),
        nested=nested_selection(main),
        excluded=excluded,
        threats=(*threats, *([Threat("uneven", int(found.min()), int(found.max()))] if uneven else [])),
        hardest=tuple(
            ClassRow(
                row["class"], row["precision"], row["recall"], row["f1"], row["clips"], row["correct"] / seeds
            )
            for row in hardest.to_dict("records")
        ),
        confusions=tuple(
            Confusion(row["true"], row["predicted"], row["count"] / seeds, row["of"] // seeds)
            for row in tables.confused_pairs(best, CONFUSIONS).to_dict("records")
        ),
        gains=(*_gains("features", additions, main), *_gains("augmentation", augmentation, main)),
    )


def _rows(ranking: Ranking) -> tuple[Row, ...]:
    labels = display_names(ranking)
    rows = []
    for place, run in enumerate(ranking.runs):
        scores = tables.fold_scores(run)
        pair = ranking.pair(ranking.best, run) if place else None
        verdict: Verdict = "best" if place == 0 else "tied" if run in ranking.tied else "clearly worse"
        reason = "alone" if len(ranking.runs) == 1 else "" if ranking.testable else "few recordings"
        rows.append(
            Row(
                run=run.name,
                label=labels[place],
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
                difference=np.nan if pair is None else -float(pair["difference"]),
                difference_low=np.nan if pair is None else -float(pair["high"]),
                difference_high=np.nan if pair is None else -float(pair["low"]),
                p=np.nan if pair is None else float(pair["p_best"]),
                control=has_control(run),
            )
        )
    return tuple(rows)


def has_control(run: Run) -> bool:
    """Whether a feature stands more than once in the run's set, the control for more channels."""
    return max(channel_counts(run).values()) > 1


def _gains(kind: Literal["features", "augmentation"], table: pd.DataFrame, ranking: Ranking) -> list[Gain]:
    runs = {run.name: run for run in ranking.runs}
    gains = []
    for row in table.to_dict("records"):
        base, verdict = runs[row["without"]], "no clear difference"
        if row["differs"]:
            verdict = "clear gain" if row["difference"] > 0 else "clear loss"
        gains.append(
            Gain(
                kind=kind,
                name=row["name"],
                changed=row["changed"],
                base=base.features,
                model=row["model"],
                without=row["without"],
                with_=row["with"],
                difference=row["difference"],
                low=row["low"],
                high=row["high"],
                p=row["p_adjusted"],
                verdict=verdict if ranking.testable else "not compared",  # type: ignore[arg-type]
                control=kind == "features" and set(row["changed"].split("+")) <= set(channel_counts(base)),
            )
        )
    return gains


def _excluded(rankings: Sequence[Ranking], problems: Sequence[Problem]) -> tuple[Excluded, ...]:
    reasons: dict[str, list[tuple[str, str]]] = {}
    for run, reason, detail in reasons_outside(rankings):
        reasons.setdefault(reason, []).append((run.name, detail))
    for problem in problems:
        if problem.unfinished or problem.damaged:
            reason = "unfinished" if problem.unfinished else "damaged"
            reasons.setdefault(reason, []).append((problem.run, problem.text))
    return tuple(
        Excluded(
            reason, len({run for run, _ in runs}), tuple(dict.fromkeys(run for run, _ in runs)), runs[0][1]
        )
        for reason, runs in reasons.items()
    )
