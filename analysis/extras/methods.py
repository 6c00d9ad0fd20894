"""How the best run was obtained, in words for a paper: the template methods.txt over run.json."""

from analysis.findings import Findings
from analysis.page import render
from analysis.results import Run
from results.bootstrap import REPLICATES


def methods_text(found: Findings, run: Run) -> str:
    """A paragraph about data, features, model, training, protocol, statistics and software."""
    text = render(
        "methods.txt", f=found, run=run, config=run.config, options=run.options, replicates=REPLICATES
    )
    return " ".join(text.split())
