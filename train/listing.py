"""`make models` and `make runs`: models with their sizes and augmentations; runs, or
the runs of several folders as a table.
"""

import shlex
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import count
from featurestack.commandline.registry import first_sentence
from featurestack.commandline.spelling import make_command
from featurestack.commandline.tables import as_csv, text_table
from featurestack.commandline.terminal import tell
from featurestack.results.folders import find
from featurestack.results.run_folder import RunFolder, configuration_score
from featurestack.storage.files import is_closed
from featurestack.train.augment import AUGMENTS
from featurestack.train.models.architecture import all_models, resolve
from featurestack.train.network_input import KINDS, InputSpec
from featurestack.train.options import ListOptions, ModelsOptions

NO_FOLD = "it has no finished fold yet: continue its training"
CLASSES = 50  # the classes of the models that are counted
CONFIGURED = ("dataset", "features", "model", "seed")  # columns from run.json
DEPTH = 2  # layers down to this depth are shown: layer2.0, but not layer2.0.conv1

Stages = list[tuple[str, tuple[int, ...]]]


def describe_model(
    name: str, shape: tuple[int, int, int] | None = None, classes: int = CLASSES
) -> tuple[int, int, Stages]:
    """(parameters, multiply-adds of a clip, stages) for an input (D, H, W), by default
    the example of its kind.

    Stages are the shape of the input and the shape after each layer, down to DEPTH,
    that changes it. Multiply-adds count convolutions and linear layers, as papers do.
    The network runs on the CPU: on `meta` torch would import its compiler.
    """
    model = resolve(name)
    shape = shape or InputSpec.example(model.kind).shape
    channels, rows, frames = shape
    operations: list[int] = []
    stages: Stages = [("input", shape)]

    def note(place: str, layer: nn.Module, _: object, output: torch.Tensor) -> None:
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
            kernel = layer.weight[0]  # (inputs of a group, *kernel)
            operations.append(kernel.numel() * output[0].numel())
        _, former = stages[-1]
        shape = tuple(output.shape[1:])
        if place.count(".") < DEPTH and shape != former:
            stages.append((place or "output", shape))

    try:
        with torch.device("meta"):  # draws no weights
            network = model.build(channels, classes, (rows, frames)).eval()
        network._apply(lambda weight: torch.zeros(weight.shape, dtype=weight.dtype))
        for place, layer in network.named_modules():
            layer.register_forward_hook(partial(note, place))
        with torch.inference_mode():
            network(torch.zeros(1, *shape))
    except RuntimeError as error:
        model.refuse_size((rows, frames), error)
        raise
    return (
        sum(weight.numel() for weight in network.parameters()),
        sum(operations),
        stages,
    )


def list_models(options: ModelsOptions) -> None:
    """The command `models`: every model and augmentation, or one model's layers."""
    torch.set_num_threads(1)  # the work is too small to be shared among threads
    if options.model:
        parameters, operations, stages = describe_model(options.model)
        rows = [(stage, "x".join(map(str, shape))) for stage, shape in stages]
        print(f"{options.model}: {resolve(options.model).entry.summary}\n")
        print(text_table(rows, ("stage", "shape")))
        print(
            f"\n{count(parameters)} parameters, {count(operations)} multiply-adds per"
            " clip"
        )
        return
    inputs = []
    for name, kind in KINDS.items():
        lengths = [n for n in InputSpec.example(kind).shape if n > 1]
        inputs.append(f"{name}: {'x'.join(map(str, lengths))}{kind.unit}")
    layers = make_command("models", "MODEL=NAME")
    parts = [
        f"Models ({', '.join(inputs)}; {CLASSES} classes)",
        models_table(),
        "Augmentations (AUGMENT=name=strength,…)",
        augmentations_table(),
        f"{layers} shows the shape after each layer that changes it",
    ]
    print("\n\n".join(parts))


def list_runs(options: ListOptions) -> int:
    """The command `runs`; 1 if a run cannot be read: it is named, and the others are
    listed.
    """
    folders = run_folders(options.runs)
    if len(folders) > 1:
        table, problems = runs_table(folders)
        print(as_csv(table).rstrip())
    else:
        problems = overview(folders[0])
    for problem in problems:
        tell(problem)
    return int(bool(problems))


def overview(runs: Path) -> list[str]:
    """Print the runs; returns those that cannot be read."""
    rows = []
    problems = []
    for run in runs_in(runs):
        try:
            config = run.config
            folds = f"{len(run.finished)} of {len(run.folds)}"
        except (RequestError, OSError) as error:
            problems.append(str(error))
        else:
            rows.append((run.path.relative_to(runs), config.features, folds))
    parts = []
    if rows:
        remove = make_command("remove", "RUN=NAME")
        parts.append(f"Runs (RUNS={runs}; {remove} deletes one)")
        parts.append(text_table(rows, ("folder", "features", "folds")))
    print("\n\n".join(parts or [f"no runs in {runs}"]))
    return problems


def models_table() -> str:
    """Every model with its kind of input, size and options."""
    rows = []
    for name, entry in sorted(all_models().everything().items()):
        sizes = map(count, describe_model(name)[:2])
        settings = ",".join(f"{key}={value}" for key, value in entry.options.items())
        example = settings and f"{name}@{settings}"
        rows.append((name, entry.kind, *sizes, example, entry.summary))
    header = ("name", "takes", "parameters", "multiply-adds", "options", "")
    return text_table(rows, header)


def augmentations_table() -> str:
    """Every augmentation with its strengths and the kinds of models that it serves."""
    rows = []
    for name, entry in sorted(AUGMENTS.complete().items()):
        strengths = f"{entry.default:g}", f"{entry.maximum:g}"
        about = first_sentence(entry.transform)
        rows.append((name, *strengths, ", ".join(entry.kinds), about))
    return text_table(rows, ("name", "default", "maximum", "for", ""))


def run_folders(text: str) -> list[Path]:
    """The folders in RUNS; RequestError if one of several is not there."""
    if Path(text).exists():
        return [Path(text)]
    try:
        folders = [Path(word) for word in shlex.split(text)]
    except ValueError as error:
        raise RequestError(f"RUNS={text}: {str(error).lower()}") from None
    absent = [folder for folder in folders if not folder.is_dir()]
    if absent and len(folders) > 1:
        raise RequestError(f"RUNS={text}: there is no folder {absent[0]}")
    return folders or [Path()]


def runs_in(folder: Path) -> list[RunFolder]:
    """The runs of a folder that is a run, holds runs, or holds datasets of runs; among
    them folders that may not be read.
    """
    if is_closed(folder) or (folder / "run.json").exists():
        return [RunFolder(folder)]
    places = [place for place in folder.glob("*") if is_closed(place)]
    files = folder.glob("[!.]*/run.json")
    places += [file.parent for file in files] or [run.path for run in find(folder)]
    return [RunFolder(place) for place in sorted(places)]


def runs_table(folders: list[Path]) -> tuple[pd.DataFrame, list[str]]:
    """A row for each run in these folders, or for a folder without one; and the
    sentences on runs that cannot be read.
    """
    rows: list[dict[str, object]] = []
    damages = []
    for folder in folders:
        runs = runs_in(folder)
        if not runs:
            rows.append({"folder": str(folder), "problem": "it holds no run"})
        for run in runs:
            row: dict[str, object] = {"folder": str(folder), "run": run.name}
            rows.append(row)
            try:
                config = run.config
                row |= {key: getattr(config, key) for key in CONFIGURED}
                row |= {"folds": len(run.finished), "of": len(run.folds)}
                if not run.finished:
                    row["problem"] = NO_FOLD
                    continue
                score = configuration_score([run])
                row |= {"score": run.task.score, "value": score.mean}
                row |= {"low": score.low, "high": score.high, "problem": ""}
                row["clips"] = len(run.scored())
            except (RequestError, OSError) as error:
                row["problem"] = str(error)
                damages.append(str(error))
    scores = ("folds", "of", "score", "value", "low", "high", "clips", "problem")
    columns = ["folder", "run", *CONFIGURED, *scores]
    table = pd.DataFrame(rows, columns=columns).astype(object)
    return table, list(dict.fromkeys(damages))
