"""How the best run was obtained, in words for a paper: the template methods.txt over run.json."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.facts import Facts
from analysis.page import render
from analysis.results import Run
from results.bootstrap import REPLICATES

OPTIMISERS = {"adamw": "AdamW", "sgd": "SGD with Nesterov momentum"}
NORMS = {
    "row": "standardised row by row over the training clips",
    "feature": "standardised feature by feature over the training clips",
    "clip": "standardised clip by clip",
}


def methods_text(facts: Facts, run: Run) -> str:
    """A paragraph about data, features, model, training, protocol, statistics and software."""
    options, config = run.options, run.config
    prepared = ["cut to each clip's own frames, without padding"] if options.get("padding") == "drop" else []
    prepared += [NORMS[str(options["norm"])]] if options.get("norm") in NORMS else []
    if "x" in (grid := str(options.get("grid") or "")):
        prepared.append(f"resized to {grid.replace('x', ' rows and ')} frames")
    text = render(
        "methods.txt",
        f=facts,
        run=run,
        config=config,
        options=options,
        dataset=Path(str(config["dataset"])).name,
        channels=[(channel["stored"], parameters(channel)) for channel in config.get("channels") or []],
        stored=sorted({str(channel.get("dtype", "")) for channel in config.get("channels") or []} - {""}),
        prepared=prepared,
        optimiser=OPTIMISERS.get(str(options.get("optimizer")), str(options.get("optimizer") or "")),
        replicates=REPLICATES,
    )
    return " ".join(text.split())


def parameters(channel: Mapping[str, Any]) -> str:
    """`hop_length 512, n_fft 2048`: defaults of librosa that are None are left out."""
    given = {key: value for key, value in (channel.get("parameters") or {}).items() if value is not None}
    return ", ".join(f"{key} {value}" for key, value in sorted(given.items()))
