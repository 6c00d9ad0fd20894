"""The comparison of several datasets on the entry page of the reports."""

from featurestack.analysis.figures import FigureWriter
from featurestack.analysis.overview import Compared
from featurestack.rooms.importance import across_sentences as sentences
from featurestack.rooms.importance.across import Comparison
from featurestack.rooms.importance.random_effects import FEWEST_TO_PREDICT

PANELS = 12  # feature sets in the first figure of gains


def page_of(
    comparison: Comparison,
    writer: FigureWriter,
) -> Compared:
    """The comparison's sentences, figures and tables for the page."""
    submit_figures(writer, comparison)
    leads = {
        f"On these {comparison.best['datasets']} datasets": sentences.on_these(
            comparison
        ),
        "On a dataset not seen": sentences.on_unseen(comparison, FEWEST_TO_PREDICT),
    }
    templates = {"gains": "Gains", "every": "Every feature set"}
    return Compared(
        sentences.headline(comparison),
        comparison,
        leads,
        templates,
        values={"c": comparison},
        tables={"gains": comparison.gains, "pooled": comparison.pooled},
    )


def submit_figures(writer: FigureWriter, comparison: Comparison) -> None:
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
