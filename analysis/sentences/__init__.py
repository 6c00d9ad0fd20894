"""Sentences of a report, by subject: typed functions that take facts and return plain
text, which the page, the terminal and the LaTeX document share.

`page.say` finds them by name; templates place them. A sentence that is not needed is
empty. Modules on what few reports have are loaded when one of their sentences is said.
"""

from collections.abc import Callable, Sequence
from typing import Any

from featurestack.analysis.findings import Findings
from featurestack.analysis.ranking import Ranking
from featurestack.commandline.quantities import counted, points
from featurestack.commandline.registry import Registry

SENTENCES: Registry[Callable[..., str]] = Registry(
    "sentence",
    others=["featurestack.analysis.sentences.comparison"],
)
NAMED = 3  # names in a list before "and 6 more"


def sentence(function: Callable[..., str]) -> Callable[..., str]:
    """Let templates and the terminal say this function by its name."""
    SENTENCES[function.__name__] = function
    return function


def by_metric(name: str, f: Findings) -> str:
    """A sentence of the metric, or the one here that ends in its column."""
    task = ranking_of(f).best.task
    own = task.metric.sentences.get(name)
    return own(f) if own else SENTENCES[f"{name}_{task.score}"](f)


def ranking_of(f: Findings) -> Ranking:
    """The main ranking of a report that has one."""
    assert f.main is not None, "runs that are compared have a ranking"
    return f.main


def best_of(f: Findings) -> Any:
    """The row of the best run of a report that has one."""
    assert f.best is not None, "runs that are compared have a best one"
    return f.best


def folds(f: Findings) -> str:
    """`5 folds`, `2 of 5 folds`."""
    main = ranking_of(f)
    tested, protocol = len(main.folds), len(main.best.config.folds)
    of = f"{tested} of " if tested < protocol else ""
    return of + counted(protocol, "fold")


def unsigned(value: float) -> str:
    """Points without their plus sign."""
    return points(value).removeprefix("+")


def either(names: Sequence[str]) -> str:
    """`a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def listed(names: Sequence[str]) -> str:
    """`mel, mfcc, cqt and 3 more`; all if only one would be left out."""
    many = len(names) > NAMED + 1
    return either([*names[:NAMED], f"{len(names) - NAMED} more"] if many else names)


def is_or_are(number: float) -> str:
    return "is" if number == 1 else "are"
