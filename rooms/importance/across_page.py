"""The comparison of several datasets on the entry page of the reports."""

from collections.abc import Sequence

from featurestack.rooms.across.comparison import Comparison
from featurestack.rooms.across.random_effects import FEWEST_TO_PREDICT

from featurestack.analysis.figures import FigureWriter
from featurestack.analysis.options import AnalysisOptions
from featurestack.analysis.overview import Compared
from featurestack.analysis.report_inputs import ReportJob
from featurestack.rooms.importance import across_sentences as sentences
from featurestack.rooms.importance.shares import ImportanceShares, importance_shares

PANELS = 12  # feature sets in the first figure of gains


def page_of(
    given: Sequence[ReportJob],
    options: AnalysisOptions,
    comparison: Comparison,
    writer: FigureWriter,
) -> Compared:
    """The comparison's sentences, figures and tables for the page."""
    shares = importance_shares(given, options.runs)
    submit_figures(writer, comparison, shares)
    leads = {
        f"On these {comparison.best['datasets']} datasets": sentences.on_these(
            comparison
        ),
        "On a dataset not seen": sentences.on_unseen(comparison, FEWEST_TO_PREDICT),
    }
    templates = {"gains": "Gains", "every": "Every feature set"}
    values: dict[str, object] = {"c": comparison}
    if shares:
        features, datasets = shares.shares.shape
        travel = sentences.travel(
            shares.correlation, shares.low, shares.high, features, datasets
        )
        leads["Does importance travel?"] = travel
        templates["shares"] = "Importance"
        values |= {"shares": shares, "travel": travel}
    return Compared(
        sentences.headline(comparison),
        comparison,
        leads,
        templates,
        values,
        tables={"gains": comparison.gains, "pooled": comparison.pooled},
    )


def submit_figures(
    writer: FigureWriter,
    comparison: Comparison,
    shares: ImportanceShares | None,
) -> None:
    """Submit the figures of the page; gains of the first PANELS feature sets and of the
    others are two figures.
    """
    order = comparison.joint["feature_set"]
    for stem, names in (
        ("across_gains", order[:PANELS]),
        ("across_more_gains", order[PANELS:]),
    ):
        if len(names):
            kept = comparison.gains["feature_set"].isin(names)
            writer.submit(
                "across_gains",
                stem,
                gains=comparison.gains[kept],
                pooled=comparison.pooled.set_index("feature_set").loc[names],
            )
    writer.submit("across_heat_map", gains=comparison.gains, joint=comparison.joint)
    if shares:
        writer.submit("across_shares", shares=shares.shares)
