"""How the best run was obtained, in words for a paper: the template methods.txt over run.json."""

from analysis.findings import Findings
from analysis.page import render
from results.bootstrap import REPLICATES


def methods_text(found: Findings) -> str:
    """A paragraph about data, features, model, training, protocol, statistics and software."""
    return " ".join(render("methods.txt", f=found, replicates=REPLICATES).split())
