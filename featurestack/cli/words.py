"""The words of the program, in the order in which one needs them, and their help.

    featurestack train FEATURES=mel    # COMMANDS["train"]

The table holds names, so that help and a command load nothing of the others.
"""

import inspect
import textwrap
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import Field
from typing import Any

from featurestack.base import CLONE, extras, registry
from featurestack.base.errors import needed
from featurestack.base.extras import Command
from featurestack.base.options import Options, fields
from featurestack.base.registry import Registry, object_at
from featurestack.base.shell import program
from featurestack.cli.parser import FOLDER_OPTIONS, WIDTH, meaning, parser_of

COMMANDS: Registry[Command] = Registry("command")
COMMANDS |= {
    "answer": Command(
        "featurestack.answers.answer:make_answer",
        "featurestack.answers:AnswerOptions",
        "Check a folder of sounds, choose features, train, and write a report.",
    ),
    "demo": Command(
        "featurestack.answers.demo:demo",
        "featurestack.answers.demo:DemoOptions",
        "Synthesise a dataset, extract features, train ResNet-18 and an exact model,"
        " and write a report.",
    ),
    "data": Command(
        "featurestack.pipeline.datasets.load:make_dataset",
        "featurestack.pipeline.options:AlterOptions",
        "Download, verify and unpack a dataset; summarise any dataset.",
    ),
    "check": Command(
        "featurestack.checks.dataset:check_dataset",
        "featurestack.pipeline.options:SourceOptions",
        "Find faults of a dataset: leaks, silent or clipped clips, artefacts.",
    ),
    "show": Command(
        "featurestack.cli.audio:show_command",
        "featurestack.pipeline.options:ShowOptions",
        "List the features, draw those of an audio file, or describe a cache.",
    ),
    "features": Command(
        "featurestack.pipeline.extract:extract_features",
        "featurestack.pipeline.options:FeaturesCommand",
        "Extract features of all clips into the cache in parallel; skip finished ones.",
    ),
    "train": Command(
        "featurestack.train.training:train",
        "featurestack.train.options:TrainOptions",
        "Train all folds of every combination of feature sets, models and other"
        " options, from the cache; skip finished runs.",
    ),
    "analysis": Command(
        "featurestack.analysis.report.jobs:analysis",
        "featurestack.analysis.report.jobs:AnalysisOptions",
        "Write the report of each dataset: tables, figures, an HTML page.",
    ),
    "predict": Command(
        "featurestack.predict.predict_audio:predict_audio",
        "featurestack.predict.options:PredictOptions",
        "Predict the classes of new audio with a trained run.",
    ),
    "bundle": Command(
        "featurestack.predict.bundle:make_bundle",
        "featurestack.predict.options:BundleOptions",
        "Write one file with the weights and configuration that prediction needs.",
    ),
    "runs": Command(
        "featurestack.results.run_list:list_runs",
        "featurestack.results.options:ListOptions",
        "List runs with their scores, the newest last.",
    ),
    "remove": Command(
        "featurestack.results.run_list:remove_runs",
        "featurestack.results.options:RemoveOptions",
        "Delete runs, after printing the number and size of their files.",
    ),
    "models": Command(
        "featurestack.train.models.sizes:list_models",
        "featurestack.base.options:Options",
        "List models with their sizes, and augmentations.",
    ),
    "network": Command(
        "featurestack.embeddings.networks:network",
        "featurestack.embeddings:NetworkOptions",
        "List the pretrained networks, or fetch one to models/.",
    ),
}
COMMANDS |= extras.WORDS
if CLONE:
    COMMANDS["bench"] = Command(
        "bench.features:features",
        "bench.options:FeaturesBenchOptions",
        "Time extraction against librosa and audioFlux on this machine.",
    )


def options_of(word: str) -> type[Options]:
    """The class of a command's options; RequestError for an unknown word."""
    options: type[Options] = object_at(COMMANDS[word].options)
    return options


def function_of(word: str) -> Callable[[Any], object]:
    command = COMMANDS[word]
    with needed(command.libraries, word) if command.libraries else nullcontext():
        function: Callable[[Any], object] = object_at(command.run)
    return function


def every_options() -> "dict[str, dict[str, Field[Any]]]":
    """Word -> options by name."""
    return {word: fields(options_of(word)) for word in COMMANDS}


# words of the Makefile only
OF_CLONE = {
    "setup": "Make or update the environment, .venv.",
    "test": "Set up and run the tests; ALL=1 adds slow ones, GPU=1 runs GPU tests.",
    "docs": "Build the documentation, docs/out/index.html; ALL=1 follows every link.",
    "lint": "Check format, lint and types of the code.",
}


# a command -> those of its options that most people need
COMMON = {
    "train": "dataset features model folds epochs grid augment val task seed device",
    "features": "jobs",
    "predict": "run audio",
}


def of_clone() -> dict[str, str]:
    """The meanings of the Makefile's words, where the program is `make`."""
    return OF_CLONE if program() == "make" else {}


def help_on(topics: Sequence[str]) -> str:
    """The help of the program, of all its options (ALL=1), or of a command."""
    if not topics:
        return listing()
    if topics[0].startswith("ALL="):
        return all_options()
    if topics[0] in of_clone():
        return of_clone()[topics[0]]
    word = topics[0]
    options = options_of(word)
    described = [COMMANDS[word].meaning]
    described += (inspect.getdoc(options) or "").split("\n\n")[1:]
    parser = parser_of(options, f"{program()} {word}", "\n\n".join(described))
    return parser.format_help()


def listing() -> str:
    """The usage of the program, each command's meaning, and the common options."""
    words = {word: command.meaning for word, command in COMMANDS.items()} | of_clone()
    width = max(map(len, words))
    lines = [f"  {word:{width}}  {meaning}" for word, meaning in words.items()]
    common = [
        textwrap.shorten(described(name, options_of(word)), WIDTH, placeholder=" …")
        for word, names in COMMON.items()
        for name in names.split()
    ]
    usage = f"usage: {program()} WORD [NAME=value] ..."
    more = f"Options of a command: {program()} help WORD; all: {program()} help ALL=1"
    return "\n".join([usage, "", *lines, "", *map(indented, common), "", more])


def described(name: str, options: type[Options]) -> str:
    """An option with its meaning."""
    return f"{name.upper()}= {meaning(fields(options)[name])}"


def indented(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent=" " * 6)


def all_options() -> str:
    """Every option below the first command that takes it."""
    of_every = "every command (ignored where they have no effect)"
    sections = {of_every: {"load": f"LOAD= {registry.MEANING}"}}
    sections |= {word: {} for word in COMMANDS}
    shown = {"load"}
    for word in COMMANDS:
        options = options_of(word)
        for name in [n for n in fields(options) if n not in shown]:
            section = sections[of_every if name in FOLDER_OPTIONS else word]
            section[name] = described(name, options)
        shown |= fields(options).keys()
    return "\n\n".join(
        "\n".join([title, *map(indented, texts.values())])
        for title, texts in sections.items()
        if texts
    )
