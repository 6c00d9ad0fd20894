"""Sentences about the comparison of several datasets: facts in, text out."""

from math import isnan

from featurestack.analysis.tables import format_p
from featurestack.commandline.quantities import counted, points
from featurestack.rooms.across.comparison import Comparison


def headline(comparison: Comparison) -> str:
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


def on_these(comparison: Comparison) -> str:
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


def on_unseen(c: Comparison, fewest: int) -> str:
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
