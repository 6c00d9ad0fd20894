"""Execute the notebooks and store their outputs, so that each is a page of the
documentation.

    python -m notebooks.store                    # all of them: some minutes
    python -m notebooks.store 2_describe play    # some
    python -m notebooks.store --dry-run          # whether all of them run here; nothing
        is written
    python -m notebooks.store --dry-run --dataset ../esc10    # on other sounds

While the cells run, PREDICTIONS and the right answers of answers.py are in them.
Figures, tables and text are stored; players, sliders and the outputs of checks are not.
"""

import argparse
import base64
import io
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_output
from PIL import Image

FOLDER = Path(__file__).resolve().parent
HOME = FOLDER.parent
SECONDS = 200, 3600  # for one cell, in the first try and in the second
COLOURS, WIDTH = 32, 900  # a stored figure's colours, and its width in pixels at most
LARGEST = 400_000  # bytes of a notebook
# predictions for each cell that asks for one: examples, some wrong on purpose
PREDICTIONS = {
    "click": 8,
    "classes": [
        "hiss",
        "knocks",
        "steady_beat",
        "hollow_drone",
        "chimes_in_c",
        "swells",
    ],
    "share": {"largest": "bright_drone", "smallest": "knocks"},
    "brightest": "hiss",
    "chance": 0.1,
    "pairs": ["chroma", "tempogram", "mfcc", "mel", "onset"],
    "accuracy": 0.6,
    "confused": {"steady_beat", "galloping_beat"},
    "sets": {"mel": 0.6, "mel+mel+mel": 0.6, "mel+mfcc+chroma": 0.75},
    "optimism": 0.05,
    "gap": {"plain": 0.5, "augmented": 0.3},
    "kept": 8,
    "categories": {"classes": 0.5, "categories": 0.7},
    "theory": ["chroma", "tempogram", "chroma", "mel", "onset"],
    "significant": 3,
    "own": {"mel": 0.9, "mel+mfcc+chroma": 0.95},
    "random": 0.5,
    "mel": {"galloping_beat", "steady_beat"},
}


def names() -> list[str]:
    """The notebooks, the course in its order, then play."""
    return sorted(path.stem for path in FOLDER.glob("*.ipynb"))


def load(name: str) -> NotebookNode:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def save(name: str, notebook: NotebookNode) -> None:
    nbformat.validate(notebook)
    nbformat.write(notebook, FOLDER / f"{name}.ipynb")


def answers(notebook: NotebookNode) -> dict[str, str]:
    """Id of a cell that asks -> the source of a cell that answers."""
    sources = {}
    for cell in notebook.cells:
        kind, _, subject = cell.id.partition("-")
        if kind == "predict" and subject:
            sources[cell.id] = f"prediction = {PREDICTIONS[subject]!r}"
        if kind == "check":
            call = re.match(r'check\("([^"]+)", (\w+)', cell.source)
            assert call, f"{cell.id} is not a call of check"
            name, variable = call.groups()
            right = f"{variable} = ANSWERS[{name!r}]"
            sources[f"question-{subject}"] = f"from answers import ANSWERS\n{right}"
    return sources


def with_answers(notebook: NotebookNode) -> NotebookNode:
    """A copy in which each answer follows the cell that asks for it."""
    sources = answers(notebook)
    cells: list[NotebookNode] = []
    for cell in notebook.cells:
        cells.append(cell)
        if cell.id in sources:
            cells.append(new_code_cell(sources[cell.id], id=f"answer-to-{cell.id}"))
    return nbformat.from_dict({**notebook, "cells": cells})


def execute(notebook: NotebookNode, folder: Path = FOLDER) -> None:
    """Run all cells in this folder, as Jupyter does."""
    where = {"metadata": {"path": str(folder)}}
    inline = {**os.environ, "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    client = NotebookClient(
        notebook, timeout=SECONDS[0], record_timing=False, resources=where
    )
    try:
        client.execute(env=inline)
    except CellTimeoutError:  # nbclient may miss the reply to a cell of sliders
        client.timeout = SECONDS[1]
        client.execute(env=inline)


def elsewhere(notebook: NotebookNode, folder: str) -> NotebookNode:
    """The notebook with data, runs and reports in this folder."""
    for cell in notebook.cells:
        if cell.id == "setup":
            for name in ("DATA", "RUNS", "REPORTS"):
                cell.source += f"\n{name} = Path({folder!r}, {name.lower()!r})"
    return notebook


def on_dataset(notebook: NotebookNode, dataset: str) -> NotebookNode:
    """The notebook with another dataset in place of `synth`."""
    for cell in notebook.cells:
        if cell.id == "dataset-name":
            cell.source = cell.source.replace('"synth"', repr(dataset), 1)
    return notebook


def store(name: str) -> None:
    """Execute a notebook and write it with its outputs."""
    notebook = load(name)
    run = with_answers(notebook)
    execute(run)
    outputs = {cell.id: cell.outputs for cell in run.cells if cell.cell_type == "code"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = (
                [] if cell.id.startswith("check") else list(kept(outputs[cell.id]))
            )
            # folded away until the prediction is made
            hidden = cell.id.startswith("reveal")
            cell.metadata = (
                {"tags": ["hide-output"], "jupyter": {"outputs_hidden": True}}
                if hidden
                else {}
            )
    notebook.metadata.pop("widgets", None)
    size = len(nbformat.writes(notebook))
    if size > LARGEST:
        raise SystemExit(
            f"{name} would have {size:,} bytes, more than {LARGEST:,}: draw fewer"
            " figures"
        )
    save(name, notebook)
    print(f"{name}: {size:,} bytes")


def kept(outputs: Iterable[NotebookNode]) -> Iterable[NotebookNode]:
    """The stored outputs of a cell: printed text in one piece, tables, figures."""
    outputs = list(outputs)
    printed = "".join(
        one.text
        for one in outputs
        if one.output_type == "stream" and one.name == "stdout"
    )
    if printed:
        yield new_output("stream", name="stdout", text=plain(printed))
    for output in outputs:
        data = output.get("data", {})
        if "image/png" in data:
            yield new_output("display_data", {"image/png": smaller(data["image/png"])})
        elif "text/html" in data and "<audio" not in data["text/html"]:
            yield new_output("display_data", {"text/html": plain(data["text/html"])})
        elif data.keys() == {"text/plain"}:
            yield new_output("display_data", {"text/plain": plain(data["text/plain"])})


def plain(text: str) -> str:
    """The text without this machine's folder, and with only the last state of each
    progress bar.
    """
    lines = [line.rsplit("\r", 1)[-1] for line in text.split("\n")]
    return "\n".join(lines).replace(f"{HOME}/", "")


def smaller(png: str) -> str:
    """The figure with few colours and at most WIDTH pixels wide: a third of its
    size.
    """
    figure = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    figure.thumbnail((WIDTH, figure.height), Image.Resampling.LANCZOS)
    figure = figure.quantize(COLOURS)
    content = io.BytesIO()
    figure.save(content, "PNG", optimize=True)
    return base64.b64encode(content.getvalue()).decode("ascii")


def main(given: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description="Execute notebooks and store their outputs."
    )
    parser.add_argument(
        "names", nargs="*", metavar="NOTEBOOK", help="without .ipynb; all by default"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="execute them with the answers, write nothing",
    )
    parser.add_argument(
        "--dataset", default="", help="of a dry run, relative to the clone"
    )
    options = parser.parse_args(given)
    with tempfile.TemporaryDirectory() as folder:
        for name in options.names or names():
            if options.dry_run:
                notebook = elsewhere(load(name), folder)
                if options.dataset:
                    notebook = on_dataset(notebook, options.dataset)
                execute(with_answers(notebook))
                print(f"{name}: runs from start to end")
            else:
                store(name)


if __name__ == "__main__":
    main()
