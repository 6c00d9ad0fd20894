"""`python -m train run | sweep | importance | predict | verify | listen | bundle |
export | list | …`: the commands of training, then those of finished runs.
"""

from pathlib import Path

from featurestack.commandline.commands import main
from featurestack.commandline.options import Command
from featurestack.train.options import (
    BundleOptions,
    ListOptions,
    PredictOptions,
    RemoveOptions,
    RunOptions,
    SweepOptions,
    VerifyOptions,
)


def run(options: RunOptions) -> int:
    """Train the folds of one feature set from the cache."""
    from featurestack.train.run import train_folds

    return train_folds(options)


def sweep(options: SweepOptions) -> int:
    """Train every combination of several feature sets, models and other options; skip
    finished runs.
    """
    from featurestack.train.sweep import run_sweep

    return run_sweep(options)


def predict(options: PredictOptions) -> int:
    """Predict the classes of new audio by a trained run."""
    from featurestack.features_cache import dataset_name
    from featurestack.results import select_runs

    # an unknown run is refused before torch is loaded, if one is needed
    needed = options.audio is not None or options.elsewhere
    if needed and not Path(options.run).is_file():
        dataset = "" if options.elsewhere else dataset_name(options.dataset)
        select_runs.select_one(options.runs, options.run, dataset)
    from featurestack.predict.clips import predict_audio

    return predict_audio(options)


def verify(options: VerifyOptions) -> int:
    """Compare predictions.csv with what the run's weights predict."""
    from featurestack.predict.verify import verify_run

    return verify_run(options)


def bundle(options: BundleOptions) -> int:
    """Write one file with the weights and configuration that prediction needs."""
    from featurestack.predict.bundle import make_bundle

    return make_bundle(options)


def list_(options: ListOptions) -> int:
    """List models, augmentations and runs, or one model's stages."""
    from featurestack.train.listing import list_all

    return list_all(options)


def remove(options: RemoveOptions) -> int:
    """Delete runs, after printing the number and size of their files."""
    from featurestack.train.remove import remove_runs

    return remove_runs(options)


COMMANDS: list[Command] = [run, sweep, predict, verify, bundle, list_, remove]

if __name__ == "__main__":
    main(COMMANDS, stage="train")
