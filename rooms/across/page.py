"""The comparison of several datasets on the entry page of the reports."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from featurestack.analysis.figures import FigureWriter
from featurestack.analysis.options import AnalysisOptions
from featurestack.analysis.overview import ComparedDatasets
from featurestack.analysis.report_inputs import ReportJob
from featurestack.analysis.runs import Problem
from featurestack.commandline.options import part_of
from featurestack.commandline.quantities import counted
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
    from featurestack.rooms.across.comparison import headline, on_these, on_unseen

    names = comparison.joint["feature_set"]
    first = comparison.gains["feature_set"].isin(names[:PANELS])
    pooled = comparison.pooled.set_index("feature_set").loc[names[:PANELS]]
    writer.submit("across_gains", gains=comparison.gains[first], pooled=pooled)
    writer.submit("across_heat_map", gains=comparison.gains, joint=comparison.joint)
    here = f"On these {comparison.best['datasets']} datasets"
    leads = {
        here: on_these(comparison),
        "On a dataset not seen": on_unseen(comparison),
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
