"""`python -m train run | sweep | importance | predict | explain | listen | bundle |
export | list | …`.
"""

from pathlib import Path

from commandline.commands import Command, main
from train import extras
from train.options import (
    BundleOptions,
    ExplainOptions,
    ExportOptions,
    ImportanceOptions,
    ListenOptions,
    ListOptions,
    PredictOptions,
    RemoveOptions,
    RunOptions,
    SweepOptions,
)


def run(options: RunOptions) -> None:
    """Train the folds of one feature set from the cache."""
    import train.run

    train.run.run(options)


def sweep(options: SweepOptions) -> int:
    """Train every combination of several feature sets, models and other options; skip
    finished runs.
    """
    import train.sweep

    return train.sweep.run_sweep(options)


def importance(options: ImportanceOptions) -> None:
    """Measure what each feature is worth, alone and beside the others."""
    import train.importance

    print(train.importance.summary(train.importance.measure_importance(options)))


def predict(options: PredictOptions) -> int:
    """Predict the classes of new audio by a trained run."""
    from features_cache import dataset_name
    from results import run_folder

    # an unknown run is refused before torch is loaded
    if not Path(options.run).is_file():
        run_folder.select_one(options.runs, options.run, dataset_name(options.dataset))
    import train.predict

    return train.predict.predict_audio(options)


def explain(options: ExplainOptions) -> int:
    """Measure what each channel is worth to a trained run."""
    import train.explain

    return train.explain.explain_runs(options)


def listen(options: ListenOptions) -> int:
    """Predict the classes of live audio."""
    return extras.load("listen").listen_live(options)


def bundle(options: BundleOptions) -> int:
    """Write one file with the weights and configuration that prediction needs."""
    import train.bundle

    return train.bundle.make_bundle(options)


def export(options: ExportOptions) -> int:
    """Write the networks as one ONNX file, for programs without torch."""
    return extras.load("export").export_run(options)


def list_(options: ListOptions) -> None:
    """List models, augmentations, recipes and importance folders, or one model's
    stages.
    """
    import train.listing

    print(train.listing.overview(options))


def remove(options: RemoveOptions) -> int:
    """Delete runs and importance folders, after printing the number and size of their
    files.
    """
    import train.remove

    return train.remove.remove_runs(options)


COMMANDS: list[Command] = [
    run,
    sweep,
    importance,
    predict,
    explain,
    listen,
    bundle,
    export,
    list_,
    remove,
]


if __name__ == "__main__":
    main(COMMANDS)
