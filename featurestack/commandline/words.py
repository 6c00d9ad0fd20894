"""The words of the program: one table, which rooms extend by their `commands`.

    featurestack train FEATURES=mel    # COMMANDS["train"]

The table holds names, so that help and a command load nothing of the others.
"""

from collections.abc import Callable
from dataclasses import Field
from typing import Any

from featurestack.commandline import CLONE, rooms
from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import Options, every_field
from featurestack.commandline.registry import Registry
from featurestack.commandline.rooms import Command
from featurestack.commandline.terminal import tell_once

ALIASES = {"report": "analysis"}
# words in the order in which one needs them, those of rooms among them
ORDER = (
    *("answer", "demo", "data", "events", "check", "show", "features"),
    *("sweep", "analysis", "importance", "curve"),
    *("predict", "listen", "verify", "bundle", "export"),
    *("runs", "remove", "models", "network", "bench"),
)
COMMANDS = {
    "data": Command(
        "featurestack.pipeline.datasets.summary:summarise_dataset",
        "featurestack.pipeline.options:SourceOptions",
        "Download, verify and unpack a dataset; summarise any dataset.",
    ),
    "check": Command(
        "featurestack.checks.run:check_dataset",
        "featurestack.pipeline.options:SourceOptions",
        "Find faults of a dataset: leaks, silent or clipped clips, artefacts.",
    ),
    "show": Command(
        "featurestack.interface:show_command",
        "featurestack.pipeline.options:ShowOptions",
        "List the features, draw those of an audio file, or describe a cache.",
    ),
    "features": Command(
        "featurestack.pipeline.extract:extract_features",
        "featurestack.pipeline.options:FeaturesCommand",
        "Extract features of all clips into the cache, in parallel; a repeated command"
        " continues.",
    ),
    "train": Command(
        "featurestack.train.run:train_folds",
        "featurestack.train.options:RunOptions",
        "Train the folds of one feature set from the cache.",
    ),
    "sweep": Command(
        "featurestack.train.sweep:run_sweep",
        "featurestack.train.options:SweepOptions",
        "Train every combination of feature sets, models and other options; skip"
        " finished runs.",
    ),
    "analysis": Command(
        "featurestack.analysis.command:analysis",
        "featurestack.analysis.options:AnalysisOptions",
        "Write the report of each dataset: tables, figures, an HTML page.",
    ),
    "predict": Command(
        "featurestack.predict.command:predict_audio",
        "featurestack.predict.options:PredictOptions",
        "Predict the classes of new audio by a trained run.",
    ),
    "verify": Command(
        "featurestack.predict.command:verify",
        "featurestack.predict.options:VerifyOptions",
        "Check a cache for damage; RUN= compares a run's predictions with its weights.",
    ),
    "bundle": Command(
        "featurestack.predict.make_bundle:make_bundle",
        "featurestack.predict.options:BundleOptions",
        "Write one file with the weights and configuration that prediction needs.",
    ),
    "runs": Command(
        "featurestack.train.runs:list_runs",
        "featurestack.train.options:ListOptions",
        "List the runs of a folder, or of several, with their scores.",
    ),
    "remove": Command(
        "featurestack.train.runs:remove_runs",
        "featurestack.train.options:RemoveOptions",
        "Delete runs, after printing the number and size of their files.",
    ),
    "models": Command(
        "featurestack.train.models.sizes:list_models",
        "featurestack.train.options:ModelsOptions",
        "List models with their sizes and augmentations, or one model's layers.",
    ),
}
if CLONE:
    COMMANDS["bench"] = Command(
        "bench.features:features",
        "bench.options:FeaturesBenchOptions",
        "Time extraction against librosa and audioFlux on this machine.",
    )


def every_command() -> Registry[Command]:
    """Word -> command, in the order of use, those of rooms included."""
    found = {**rooms.commands(COMMANDS), **COMMANDS}
    known = [word for word in ORDER if word in found]
    return Registry("command", {word: found[word] for word in [*known, *found]})


def named(word: str) -> Command:
    """The command of a word or an alias; RequestError for an unknown one."""
    word = ALIASES.get(word, word)
    return COMMANDS.get(word) or every_command()[word]


def options_of(command: Command) -> type[Options]:
    """The class of a command's options."""
    options: type[Options] = rooms.of_command(command, command.options)
    return options


def function_of(command: Command) -> Callable[[Any], "int | None"]:
    """The function that a command runs with its options."""
    function: Callable[[Any], int | None] = rooms.of_command(command, command.run)
    return function


def every_options() -> "dict[str, dict[str, Field[Any]]]":
    """Word -> options by name; a command of another distribution that fails is told."""
    found = {}
    for word, command in every_command().items():
        try:
            found[word] = every_field(options_of(command))
        except RequestError as error:
            tell_once(f"{word} is left out: {error}")
    return found


def commands_taking(name: str) -> list[str]:
    """The words of every command that has this option."""
    every = every_options()
    return [word for word, options in every.items() if name in options]
