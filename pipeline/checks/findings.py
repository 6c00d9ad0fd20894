"""Findings about a dataset, and their table."""

from collections.abc import Sequence
from dataclasses import dataclass

from featurestack.commandline.quantities import counted
from featurestack.commandline.tables import text_table

SEVERITIES = LEAK, WARNING, NOTE = "leak", "warning", "note"
SHOWN = 8  # most names shown in a finding
SHOWN_LEAKS = 10  # a leak's names have a line each


@dataclass(frozen=True)
class Finding:
    """One finding, with the names of its clips, pairs, recordings, classes or measures,
    or with the name of the option that it proposes.
    """

    kind: str
    severity: str  # one of SEVERITIES
    what: str
    names: Sequence[str]
    remedy: str = ""  # a note has none
    of: str = "clip"  # noun for each name
    # mean over folds of a classifier that sees only artefacts; AUROC for tags
    accuracy: float | None = None
    # accuracy of the constant answer, the commonest class; 0.5 for tags
    chance: float | None = None
    about: str = ""  # subject of a finding that counts nothing, as "file names"


def report(findings: Sequence[Finding]) -> str:
    """The table of findings, then the names and the remedy of each finding that counts
    something.
    """
    if not findings:
        return "nothing was found wrong"
    rows = [
        (
            found.severity,
            found.about or counted(len(found.names), found.of),
            found.what,
        )
        for found in findings
    ]
    lines = ["", text_table(rows, ["", "where", "finding"])]
    for found in (found for found in findings if not found.about):
        most = SHOWN_LEAKS if found.severity == LEAK else SHOWN
        names = [*found.names]
        if len(names) > most + 1:
            names[most:] = [f"and {len(names) - most:,} more"]
        each = names if found.severity == LEAK else [", ".join(names)]
        lines += ["", f"{found.what}:", *(f"  {name}" for name in each)]
        lines += [f"  what to do: {found.remedy}"] if found.remedy else []
    return "\n".join(lines)
