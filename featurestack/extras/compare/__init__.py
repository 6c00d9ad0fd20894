"""Tables of predictions: the options of `make compare`."""

from pathlib import Path

from featurestack.base.options import DataOptions, RunsOptions, option


class CompareOptions(RunsOptions, DataOptions):
    """Tables of predictions, of any program, and runs that tested the same clips."""

    example = 'TABLES="svm.csv conv1d.csv" RUN=mel-ridge'

    tables: tuple[Path, ...] = option(
        (), "CSV tables: clip, label, a column for each class, fold and group if known"
    )
    run: tuple[str, ...] = option((), "runs: names, paths, unique prefixes or last")
