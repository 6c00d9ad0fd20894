"""The comparison of several datasets on the entry page of the reports, and its"""

from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING

from featurestack.analysis.figures import FigureWriter
from featurestack.analysis.options import AnalysisOptions
from featurestack.analysis.overview import ComparedDatasets
from featurestack.analysis.report_inputs import ReportJob
from featurestack.analysis.runs import Problem
from featurestack.analysis.tables import format_p
from featurestack.commandline.options import part_of
from featurestack.commandline.quantities import counted, points
from featurestack.rooms.across.options import FEWEST_DATASETS, AcrossOptions

if TYPE_CHECKING:
    from featurestack.rooms.across.comparison import Comparison

PANELS = 12  # feature sets in the figure of gains; the heat map has all


def choices(options: AnalysisOptions) -> dict[str, str]:
    """MODEL and BASE, or their defaults."""
    return vars(part_of(options, AcrossOptions))


def check(given: Sequence[ReportJob], options: AnalysisOptions) -> None:
    """RequestError for a MODEL or BASE that no run of these datasets has."""
    from featurestack.rooms.across.comparison import refuse_unknown

    refuse_unknown(given, **choices(options))


def not_compared(datasets: int) -> str:
    """Why no datasets are compared."""
    if datasets < FEWEST_DATASETS:
        have = "one has" if datasets == 1 else f"{datasets} have"
        return f"A comparison needs {FEWEST_DATASETS} datasets; {have} runs here."
    return (
        f"No {FEWEST_DATASETS} of these {datasets} datasets share a model, the base,"
        " another feature set and the score (accuracy or mAP), so that there is no"
        " comparison. MODEL= and BASE= choose them."
    )


def compare_reports(
    given: Sequence[ReportJob],
    options: AnalysisOptions,
    writer: FigureWriter,
    reports: int,
) -> ComparedDatasets:
    """The comparison of these datasets for the page, which has so many `reports`."""
    comparison: Comparison | None = None
    problems: list[Problem] = []
    if len(given) >= FEWEST_DATASETS:
        from featurestack.rooms.across.comparison import compare_datasets

        comparison, problems = compare_datasets(given, **choices(options))
    if comparison is None:
        why = not_compared(len(given))
        begin = f"{counted(reports, 'report')}. {why}"
        return ComparedDatasets(begin, leads={"Comparison": why}, problems=problems)
    from featurestack.rooms.across.random_effects import FEWEST_TO_PREDICT

    names = comparison.joint["feature_set"]
    first = comparison.gains["feature_set"].isin(names[:PANELS])
    pooled = comparison.pooled.set_index("feature_set").loc[names[:PANELS]]
    writer.submit("across_gains", gains=comparison.gains[first], pooled=pooled)
    writer.submit("across_heat_map", gains=comparison.gains, joint=comparison.joint)
    here = f"On these {comparison.best['datasets']} datasets"
    leads = {
        here: on_these(comparison),
        "On a dataset not seen": on_unseen(comparison, FEWEST_TO_PREDICT),
    }
    templates = {"gains": "Gains", "every": "Every feature set"}
    return ComparedDatasets(
        headline(comparison),
        leads,
        templates,
        values={"c": comparison},
        tables={"gains": comparison.gains, "pooled": comparison.pooled},
        problems=problems,
    )


# ---- sentences


def headline(comparison: "Comparison") -> str:
    """The first line of the page across datasets."""
    best = comparison.best
    if best["gain"] <= 0:
        return (
            f"No feature set is better than {comparison.base} on average over these"
            f" {best['datasets']} datasets"
        )
    return (
        f"{best['feature_set']} has the largest gain over {comparison.base} on these"
        f" {best['datasets']} datasets{'' if best['clear'] else ', not clearly'}"
    )


def on_these(comparison: "Comparison") -> str:
    """The best feature set on the datasets at hand."""
    best = comparison.best
    p = format_p(best["p"])
    equals = "= " if best["p"] >= 0.001 else ""
    untested = ""
    if best["untested"]:
        have = "has" if best["untested"] == 1 else "have"
        untested = f"; {best['untested']} {have} too few recordings for a test"
    return (
        f"{best['feature_set']} gains {points(best['gain'])} points over"
        f" {comparison.base} on average, each dataset weighted equally: the most of"
        f" {counted(len(comparison.joint), 'feature set')},"
        f" {'and clearly' if best['clear'] else 'but not clearly'} (p {equals}{p},"
        " corrected for all of them). Tests within each dataset find a gain on"
        f" {counted(best['gained'], 'dataset')}, a tie on {best['tied']} and a loss on"
        f" {best['lost']}{untested}."
    )


def on_unseen(c: "Comparison", fewest: int) -> str:
    """The gain to expect from the best feature set on a new dataset."""
    best = c.best
    if isnan(best["new_low"]):
        return (
            f"nothing can be said yet: an estimate needs {fewest} datasets."
            f" {best['feature_set']} is better on {best['better']} of"
            f" {best['datasets']}."
        )
    selected = ""
    if len(c.joint) > 1:
        selected = f", the largest of {len(c.joint)}, so too high"
    text = (
        f"{best['feature_set']} would gain {points(best['mean'])} points on average"
        f" ({points(best['low'])} to {points(best['high'])}{selected}); the gain of a"
        f" new dataset would lie between {points(best['new_low'])} and"
        f" {points(best['new_high'])} points"
    )
    if best["new_low"] <= 0 <= best["new_high"]:
        text += ", so it may go either way"
    return f"{text}."
