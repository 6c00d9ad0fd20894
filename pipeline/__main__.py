"""`python -m pipeline {data,windows,features,plan,list,show,check,verify}`."""

from commandline.commands import Command, main
from pipeline.options import (
    ExtractOptions,
    FeaturesCommand,
    ListCommand,
    ShowCommand,
    SourceOptions,
    VerifyCommand,
    WindowsCommand,
)


def data(options: SourceOptions) -> int:
    """Download, verify and unpack a dataset; summarise any dataset."""
    from pipeline.datasets.summary import run

    return run(options)


def windows(options: WindowsCommand) -> int:
    """Make a dataset of windows of long recordings, labelled from annotation tables."""
    from pipeline.datasets.windows import run

    return run(options)


def features(options: FeaturesCommand) -> int:
    """Every feature type of every clip, into the cache, in parallel, resumable."""
    from pipeline.extract import run

    return run(options)


def plan(options: ExtractOptions) -> int:
    """Megabytes and seconds by feature, and what a run would recompute, before starting."""
    from pipeline.extract import plan as run

    return run(options)


def list_(options: ListCommand) -> None:
    """Every feature with rows, frames, megabytes and units; `list NAME` is its card."""
    from pipeline.listing import run

    run(options)


def show(options: ShowCommand) -> int:
    """Draw features of an audio file to a PNG."""
    from pipeline.show import run

    return run(options)


def check(options: SourceOptions) -> int:
    """Faults of a dataset: leaks, silent or clipped clips, artefacts."""
    from pipeline.check import run

    return run(options)


def verify(options: VerifyCommand) -> int:
    """Check every done clip of a cache, and recompute some by plain librosa."""
    from pipeline.verify import run

    return run(options)


COMMANDS: list[Command] = [data, windows, features, plan, list_, show, check, verify]

if __name__ == "__main__":
    main(COMMANDS)
