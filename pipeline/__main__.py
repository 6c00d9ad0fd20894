"""`python -m pipeline {data,features,plan,list,show,check,verify}`."""

from featurestack.commandline.commands import main
from featurestack.commandline.options import Command
from featurestack.pipeline.options import (
    ExtractOptions,
    FeaturesCommand,
    ListCommand,
    ShowCommand,
    SourceOptions,
    VerifyCommand,
)


def data(options: SourceOptions) -> int:
    """Download, verify and unpack a dataset; summarise any dataset."""
    from featurestack.pipeline.datasets.summary import summarise_dataset

    return summarise_dataset(options)


def features(options: FeaturesCommand) -> int:
    """Extract features of all clips into the cache, in parallel; a repeated command
    continues.
    """
    from featurestack.pipeline.extract import extract_features

    return extract_features(options)


def plan(options: ExtractOptions) -> int:
    """Show the megabytes and seconds of each feature, and the feature maps that
    `features` would compute.
    """
    from featurestack.pipeline.extract import print_plan

    return print_plan(options)


def list_(options: ListCommand) -> None:
    """List the features with rows, frames, megabytes and units; `list NAME` shows one
    feature's card.
    """
    from featurestack.pipeline.listing import list_features

    list_features(options)


def show(options: ShowCommand) -> int:
    """Draw features of an audio file to a PNG."""
    from featurestack.pipeline.show import show_features

    return show_features(options)


def check(options: SourceOptions) -> int:
    """Find faults of a dataset: leaks, silent or clipped clips, artefacts."""
    from featurestack.pipeline.checks.run import check_dataset

    return check_dataset(options)


def verify(options: VerifyCommand) -> int:
    """Check a cache for damage; RECOMPUTE=N also computes N clips by plain librosa and
    compares.
    """
    from featurestack.pipeline.reference import verify_features

    return verify_features(options)


COMMANDS: list[Command] = [data, features, plan, list_, show, check, verify]

if __name__ == "__main__":
    main(COMMANDS, stage="pipeline")
