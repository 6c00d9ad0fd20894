"""Faults of a dataset, `make check`: findings, and their table."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from featurestack.base.quantities import counted, first_names
from featurestack.base.terminal import text_table

SEVERITIES = LEAK, WARNING, NOTE = "leak", "warning", "note"
SHOWN = 8  # most names shown in a finding


@dataclass(frozen=True)
class Finding:
    """One finding, with the names of its clips, pairs, classes or options."""

    kind: str
    severity: str  # one of SEVERITIES
    what: str
    names: Sequence[str]
    remedy: str = ""  # a note has none
    of: str = "clip"  # noun for each name
    # score of a classifier that sees only artefacts; macro AUROC for tags
    accuracy: float | None = None
    # the same of a constant answer; 0.5 for tags
    chance: float | None = None
    about: str = ""  # subject of a finding that counts nothing, such as "file names"
    reasons: Sequence[str] = ()  # the reason of each name, or none


def findings_text(findings: Sequence[Finding]) -> str:
    """The table of findings, then the names and remedy of those that count."""
    if not findings:
        return "nothing was found wrong"
    rows = [
        (found.severity, found.about or counted(len(found.names), found.of), found.what)
        for found in findings
    ]
    lines = ["", text_table(rows, ["", "where", "finding"])]
    for found in (found for found in findings if not found.about):
        each = first_names(found.names, SHOWN)
        if found.severity != LEAK:  # a leak's names have a line each
            each = [", ".join(each)]
        if found.reasons:
            names_of = defaultdict[str, list[str]](list)
            for name, reason in zip(found.names, found.reasons):
                names_of[reason].append(name)
            each = [
                f"{counted(len(names), found.of)}: {reason}:"
                f" {', '.join(first_names(names, SHOWN))}"
                for reason, names in names_of.items()
            ]
        lines += ["", f"{found.what}:", *(f"  {name}" for name in each)]
        lines += [f"  what to do: {found.remedy}"] if found.remedy else []
    return "\n".join(lines)
