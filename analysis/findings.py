"""The statistics of a dataset's runs, computed once: rankings, tables, and the facts
that a report states.

`findings` makes the `Findings` from the runs that `analysis.report.runs` has read;
sentences and templates show them.

Accuracies are from 0 to 1, differences from -1 to 1; NaN is an unknown number. A
difference from the best run is zero or below. If its interval is known, it excludes
zero if and only if the verdict is clear.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from featurestack.analysis.report.runs import (
    Configuration,
    ConfigurationRanking,
    Problem,
    rankings,
    setting,
)
from featurestack.analysis.report.tables import (
    Gain,
    ablation_gains,
    class_report,
    confused_pairs,
    cost_of,
    declare,
    settings,
)
from featurestack.analysis.report.warnings import WARNINGS, Evidence
from featurestack.base.quantities import percent
from featurestack.comparison.ranking import Verdict
from featurestack.comparison.scores import ACCURACY, Estimate, every_score
from featurestack.comparison.significance import DIFFERENCE_INTERVAL
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.hdf5 import Attributes

declare(
    "comparison",
    "a configuration",
    file={
        "run": "name of the configuration",
        "n": "folds",
        "features": "feature set",
        "model": "model",
        "seeds": "seeds that were averaged",
        "difference": "to the best configuration, below 0 if worse",
        "difference_low": f"{DIFFERENCE_INTERVAL} of the difference from",
        "difference_high": "to",
        "p": "corrected for all comparisons",
        "verdict": "best, no clear difference, clearly worse, not compared",
        "reason": "why it is not compared",
    },
    each=("score", "its value; the ranking one also with _sd, _low, _high", "file"),
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Ranked:
    """A configuration among the others."""

    run: Configuration
    label: str  # unique in its ranking
    score: Estimate  # the score that it is ranked by
    sd: float  # sample standard deviation of the folds' own scores, NaN for one fold
    n: int  # number of folds
    scores: Mapping[str, float]  # every metric
    difference: Estimate  # from the best of the main ranking
    verdict: Verdict
    reason: str  # why it is not compared
    cost: Mapping[str, Any]  # `report.tables.cost_of`

    @property
    def name(self) -> str:
        return self.run.name

    def row(self) -> dict[str, object]:
        """The row of comparison.csv. The score that ranks is first, by its name."""
        ranked_by = self.run.metric.name
        others = {k: v for k, v in self.scores.items() if k != ranked_by}
        return {
            "run": self.name,
            ranked_by: self.score.value,
            f"{ranked_by}_sd": self.sd,
            "n": self.n,
            f"{ranked_by}_low": self.score.low,
            f"{ranked_by}_high": self.score.high,
            "features": self.run.features,
            "model": self.run.model,
            "seeds": len(self.run.seeds),
            **others,
            "difference": self.difference.value,
            "difference_low": self.difference.low,
            "difference_high": self.difference.high,
            "p": self.difference.p,
            "verdict": self.verdict,
            "reason": self.reason,
        }


@dataclass(frozen=True, eq=False, kw_only=True)
class Findings:
    """The facts that a report states about runs."""

    # problems met while reading, then runs outside the main ranking
    problems: Sequence[Problem]
    warnings: Mapping[str, str]  # code in WARNINGS -> sentence
    main: ConfigurationRanking | None
    ranked: Sequence[Ranked]  # the main ranking in its order
    trained: Sequence[Configuration]  # its trained runs, and those of an answer in it
    others: Sequence[Ranked]  # configurations outside the main ranking
    tables: Mapping[str, pd.DataFrame]  # a single run's tables may be empty
    groups: str  # the dataset's word for a group, '' for a source recording
    gains: Sequence[Gain]

    @property
    def chance(self) -> bool:
        """Whether nothing is clearly better than chance, as far as that is tested."""
        main = self.main
        if main is None or (main.untested and not self.is_answer):
            return False
        return not main.against_chance.clear

    @property
    def every(self) -> Sequence[Ranked]:
        """Every configuration, in the order of the comparison table."""
        return [*self.ranked, *self.others]

    @property
    def runs(self) -> Sequence[Configuration]:
        return [entry.run for entry in self.every]

    @property
    def grouped(self) -> bool:
        """Whether somebody stated which clips come from one recording."""
        return not self.ranked or not np.array_equal(
            self.best.run.groups, self.best.run.clip_ids
        )

    @property
    def group(self) -> str:
        return self.groups or "recording"

    @property
    def unit(self) -> str:
        """The word for what the bootstrap draws and the sign-flip tests flip."""
        return self.groups or ("source recording" if self.grouped else "clip")

    @property
    def score(self) -> str:
        """The name of the score that runs are ranked by."""
        return self.main.metric.title if self.main else ACCURACY.title

    @property
    def is_answer(self) -> bool:
        """Whether the report is led by an answer, which chose features in the folds."""
        return bool(self.main and self.main.best.members)

    @property
    def best(self) -> Ranked:
        """The run that leads a report that has runs: an answer, else the highest."""
        return self.ranked[0]

    @property
    def higher(self) -> Ranked | None:
        """The highest run, if an answer leads the report and reaches less."""
        highest = max(self.ranked, key=lambda entry: entry.score.value)
        return highest if highest.score.value > self.best.score.value else None

    @property
    def recommended(self) -> str:
        """The features of the run that a leading answer recommends; '' without it."""
        if not self.is_answer:
            return ""
        member, *_ = self.best.run.members
        return next((run.features for run in self.trained if run.name == member), "")

    @cached_property
    def alike(self) -> Sequence[Ranked]:
        """The feature sets of the best setting that has several of them, best first."""
        by_setting: dict[str, list[Ranked]] = {}
        for entry in self.ranked:
            if entry.run.trained and self.main:
                how = setting(entry.run, self.main.runs, {"tag"})
                by_setting.setdefault(how, []).append(entry)
        for ranked in by_setting.values():  # the setting of the highest run comes first
            if len({entry.run.features for entry in ranked}) > 1:
                return ranked
        return []

    @property
    def unclear(self) -> list[Ranked]:
        """The others that do not differ clearly from the best."""
        return [
            entry for entry in self.ranked if entry.verdict == "no clear difference"
        ]


def findings(
    runs: Sequence[Configuration],
    problems: Sequence[Problem] = (),
    *,
    cache: Cache | None = None,
    checked: Sequence[Attributes] = (),
    old_runs: int = 0,
) -> Findings:
    """Rank and test the runs, make their tables, find what may make them wrong.

    problems  of reading
    checked   findings of `check`
    old_runs  number of runs of other data, which are left out
    """
    members = {name for run in runs for name in run.members}
    sets = rankings([run for run in runs if run.name not in members])
    others = [entry for ranking in sets[1:] for entry in ranked_in(ranking)]
    whole = [run for run in runs if run.name in members and not run.missing_folds]
    parts = [replace(each, reason="part of an answer") for each in rankings(whole)]
    of_answer = [entry for ranking in parts for entry in ranked_in(ranking)]
    main = None
    if sets:  # an answer's score is that of a choice without the tested clips
        led = sorted(sets[0].runs, key=lambda run: not run.members)
        main = replace(sets[0], runs=tuple(led))
    ranked: list[Ranked] = []
    trained: list[Configuration] = []
    gains: list[Gain] = []
    tables: dict[str, pd.DataFrame] = {}
    if main:
        ranked = ranked_in(main)
        members = {name for run in main.runs for name in run.members}
        behind = [run for run in runs if run.name in members and run not in main.runs]
        trained = [run for run in (*main.runs, *behind) if run.trained]
        gains = ablation_gains(main)
        tables = tables_of(main, [*ranked, *others, *of_answer], gains)
    evidence = Evidence(main, cache, checked, old_runs)
    sentences = {code: kind.find(evidence) for code, kind in WARNINGS.items()}
    return Findings(
        problems=[*problems, *(why_apart(entry, ranked[0]) for entry in others)],
        warnings={code: text for code, text in sentences.items() if text},
        main=main,
        ranked=ranked,
        trained=trained,
        others=[*others, *of_answer],
        tables=tables,
        groups=cache.groups if cache else "",
        gains=gains,
    )


def why_apart(entry: Ranked, best: Ranked) -> Problem:
    """Why a run is not compared with the best."""
    why = f"different {entry.reason} from {best.name}"
    if (
        entry.reason == "folds"
        and entry.run.missing_folds
        and not best.run.missing_folds
    ):
        why = f"it has {entry.n} of {best.n} folds; train its missing folds"
    score = f"{percent(entry.score.value)} %"
    return Problem(entry.name, f"{score}, not compared: {why}")


def tables_of(
    main: ConfigurationRanking,
    every: Sequence[Ranked],
    gains: Sequence[Gain],
) -> dict[str, pd.DataFrame]:
    """The tables of a report, of all runs and of each."""
    comparison = pd.DataFrame([entry.row() for entry in every])
    options = [{"run": entry.name, **settings(entry.run)} for entry in every]
    tables = {
        "comparison": comparison,
        "settings": pd.DataFrame(options).fillna(""),
    }
    if gains:
        tables["ablations"] = pd.DataFrame([gain.row() for gain in gains])
    for entry in every:
        tables[f"{entry.name}.classes"] = class_report(entry.run)
        if not entry.run.metric.multilabel:
            tables[f"{entry.name}.confused"] = confused_pairs(entry.run)
    return tables


def ranked_in(ranking: ConfigurationRanking) -> list[Ranked]:
    """The runs of a ranking in its order, with differences only in the main ranking."""
    none = Estimate(np.nan)
    differences = [none] * len(ranking.runs)
    if not ranking.reason:
        differences[1:] = ranking.differences
    reason = ranking.reason or ("alone" if len(ranking.runs) == 1 else ranking.untested)
    ranked = []
    for place, (run, difference) in enumerate(zip(ranking.runs, differences)):
        of_folds, scores = every_score(run)
        by_fold = of_folds[ranking.metric.name]
        ranked.append(
            Ranked(
                run=run,
                label=ranking.labels[run.name],
                score=run.score,
                sd=float(by_fold.std(ddof=1)),
                n=len(by_fold),
                scores=scores,
                difference=difference,
                verdict="not compared" if reason else ranking.verdict(place),
                reason=reason,
                cost=cost_of(run),
            )
        )
    return ranked
