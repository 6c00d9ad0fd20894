"""Sentences of a report on runs of events, over `analysis.findings.Findings`."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from featurestack.commandline.quantities import counted, percent, plural

if TYPE_CHECKING:
    from featurestack.analysis.findings import Findings

SAME_PLACE = (
    "Groups are blocks of recordings: scores and intervals are for these recordings"
    " alone, and optimistic for another day or place."
)


def chance(f: "Findings") -> str:
    return "A model that finds nothing has an event F1 of 0 %"


def classes(f: "Findings") -> str:
    """The classes with the lowest F1."""
    texts = [f"{row['class']} ({percent(row['f1'])} %)" for row in f.hardest[:3]]
    absent = [row for row in f.hardest if row["support"] == 0]
    assert not absent, "classes without an event are left out"
    return f"Lowest F1: {', '.join(texts)}." if texts else ""


def method(f: "Findings") -> str:
    recordings = counted(f.recordings, f.unit)
    return (
        "Event F1 is that of all classes and folds together, by rules that were chosen"
        " on the other folds. A detection is right if it and an event of its label"
        " share half of the time that one of them lasts (IoU 0.5); points are right"
        " within 50 ms. SD is that of the folds' own F1. The 95 % interval is Wilson’s"
        f" with the standard error of a bootstrap over {recordings}; it does not"
        " include the variation between trainings, nor that of the choice of rules, and"
        " so is too narrow if there are few events. Runs are compared by jackknife"
        f" values of F1 by {f.unit}. One {f.group} is never both trained on and tested."
    )


def statistics(f: "Findings") -> str:
    return (
        "Statistics: F1 of events at IoU 0.5, all classes and folds together, by rules"
        f" of the other folds; the 95 % CI is from a bootstrap over {plural(f.unit)},"
        " which holds the variation between recordings and not that of training again;"
        f" tests use jackknife values of F1 by {f.unit}."
    )


SENTENCES: dict[str, Callable[["Findings"], str]] = {
    function.__name__: function for function in (chance, classes, method, statistics)
}
