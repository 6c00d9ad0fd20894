"""The words of the program, in the order in which one needs them.

    featurestack train FEATURES=mel    # COMMANDS["train"]

The table holds names, so that help and a command load nothing of the others.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import Field
from typing import Any, NamedTuple

from featurestack.commandline import CLONE, NAME
from featurestack.commandline.errors import needed
from featurestack.commandline.options import Options, fields
from featurestack.commandline.registry import Registry, object_at


class Command(NamedTuple):
    """The action of a word.

    run      module:function of the command's options; an int is its exit status
    options  module:class of them
    meaning  a sentence for help
    extra    the distribution's extra with the libraries that it needs
    """

    run: str
    options: str
    meaning: str
    extra: str = ""


ALIASES = {"report": "analysis"}
COMMANDS = {
    "answer": Command(
        "answers.answer:make_answer",
        "answers:AnswerOptions",
        "From a folder of sounds to the report: check, features, a choice, its run.",
    ),
    "demo": Command(
        "answers.demo:demo",
        "answers.demo:DemoOptions",
        "Synthesise a dataset, extract features, train ResNet-18 and an exact model,"
        " analyse.",
    ),
    "data": Command(
        "pipeline.datasets.summary:make_dataset",
        "pipeline.options:AlterOptions",
        "Download, verify and unpack a dataset; summarise any dataset; ALTER= writes"
        " altered copies.",
    ),
    "events": Command(
        "sound_events.dataset:make_events",
        "sound_events.options:EventsCommand",
        "Make a dataset of recordings from annotation tables, trained and scored by the"
        " frame.",
    ),
    "check": Command(
        "checks.run:check_dataset",
        "pipeline.options:SourceOptions",
        "Find faults of a dataset: leaks, silent or clipped clips, artefacts.",
    ),
    "show": Command(
        "interface:show_command",
        "pipeline.options:ShowOptions",
        "List the features, draw an audio file's, or describe a cache.",
    ),
    "features": Command(
        "pipeline.extract:extract_features",
        "pipeline.options:FeaturesCommand",
        "Extract features of all clips into the cache in parallel; skip finished ones.",
    ),
    "train": Command(
        "train.run:train",
        "train.options:TrainOptions",
        "Train all folds of every combination of feature sets, models and other"
        " options, from the cache; skip finished runs.",
    ),
    "analysis": Command(
        "analysis.command:analysis",
        "analysis.options:AnalysisOptions",
        "Write the report of each dataset: tables, figures, an HTML page.",
    ),
    "importance": Command(
        "feature_importance.section:make_importance",
        "feature_importance:ImportanceOptions",
        "Measure what each feature is worth by itself and with the others.",
    ),
    "curve": Command(
        "feature_importance.fits:make_curve",
        "feature_importance:CurveOptions",
        "Measure the score against the number of training recordings.",
    ),
    "predict": Command(
        "predict.command:predict_audio",
        "predict.options:PredictOptions",
        "Predict the classes of new audio by a trained run.",
    ),
    "stress": Command(
        "robustness:make_stress",
        "predict.options:StressOptions",
        "Predict a run's test clips again after noise, echoes, other levels: what"
        " breaks it.",
    ),
    "listen": Command(
        "live:listen_live",
        "predict.options:ListenOptions",
        "Predict the classes of live audio.",
        extra="live",
    ),
    "verify": Command(
        "predict.command:verify",
        "predict.options:VerifyOptions",
        "Check a cache for damage; RUN= compares a run's predictions with its weights.",
    ),
    "bundle": Command(
        "predict.bundle:make_bundle",
        "predict.options:BundleOptions",
        "Write one file with the weights and configuration that prediction needs.",
    ),
    "export": Command(
        "onnx:export_run",
        "predict.options:ExportOptions",
        "Write the networks as one ONNX file, for programs without torch.",
        extra="onnx",
    ),
    "runs": Command(
        "train.runs:list_runs",
        "train.options:ListOptions",
        "List the runs of a folder, or of several, with their scores.",
    ),
    "remove": Command(
        "train.runs:remove_runs",
        "train.options:RemoveOptions",
        "Delete runs, after printing the number and size of their files.",
    ),
    "models": Command(
        "train.models.sizes:list_models",
        "train.options:ModelsOptions",
        "List models with their sizes and augmentations, or one model's layers.",
    ),
    "network": Command(
        "embeddings.networks:network",
        "embeddings:NetworkOptions",
        "List the pretrained networks, or fetch one to models/.",
    ),
}
if CLONE:
    COMMANDS["bench"] = Command(
        "bench.features:features",
        "bench.options:FeaturesBenchOptions",
        "Time extraction against librosa and audioFlux on this machine.",
    )


def named(word: str) -> Command:
    """The command of a word or an alias; RequestError for an unknown one."""
    return Registry("command", COMMANDS)[ALIASES.get(word, word)]


def options_of(word: str) -> type[Options]:
    """The class of a command's options."""
    options: type[Options] = _object(named(word).options)
    return options


def function_of(word: str) -> Callable[[Any], object]:
    """The function that a command runs with its options."""
    command = named(word)
    with needed(command.extra, word) if command.extra else nullcontext():
        function: Callable[[Any], object] = _object(command.run)
    return function


def _object(place: str) -> Any:
    return object_at(place if place.startswith("bench.") else f"{NAME}.{place}")


def every_options() -> "dict[str, dict[str, Field[Any]]]":
    """Word -> options by name."""
    return {word: fields(options_of(word)) for word in COMMANDS}


def commands_taking(name: str) -> list[str]:
    """The words of every command that has this option."""
    return [word for word, options in every_options().items() if name in options]
