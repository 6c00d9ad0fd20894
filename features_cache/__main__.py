"""`python -m features_cache {info,verify,export,import,table}`."""

import dataclasses
from pathlib import Path

from featurestack.commandline.commands import main
from featurestack.commandline.options import Command, DatasetOptions, option
from featurestack.commandline.quantities import counted, size
from featurestack.storage.archives import MOST_UNPACKED


class ShareOptions(DatasetOptions):
    """Options of `export` and `verify`."""

    features: str = option("all", "features separated by blanks; all, small")
    file: Path | None = option(
        None,
        "export: file to write, by default <dataset>-features.zip; verify: an exported"
        " file, not a cache",
    )


class TableOptions(DatasetOptions):
    """Options of `table`."""

    features: str = option("mel mfcc", "features separated by blanks; all, small")
    file: Path | None = option(
        None,
        "file to write, .csv or .parquet; by default <dataset>-statistics.csv",
    )


class ImportOptions(DatasetOptions):
    """Options of `import`."""

    file: Path = option(dataclasses.MISSING, "an exported file", positional=True)
    most_gb: float = option(
        MOST_UNPACKED / 2**30,
        "gigabytes (2^30 bytes) that are unpacked at most; more for a large cache of"
        " your own",
        least=0.001,
    )


def info(options: DatasetOptions) -> None:
    """List the content of a cache: features, clips done, megabytes, rounding,
    parameters, versions.
    """
    from featurestack.features_cache.inspect import describe_cache
    from featurestack.features_cache.opening import open_cache

    print(describe_cache(open_cache(options.dataset, options.data, options.name)))


def verify(options: ShareOptions) -> int:
    """Read everything and name what is damaged, by clip and feature or by file."""
    from featurestack.features_cache.inspect import verify_cache
    from featurestack.features_cache.opening import open_cache
    from featurestack.features_cache.share import verify_export

    if options.file:
        verdicts = verify_export(options.file)
    else:
        cache = open_cache(options.dataset, options.data, options.name)
        names = None if options.features == "all" else cache.named(options.features)
        verdicts = verify_cache(cache.folder, names)
    print("\n".join(verdict.text for verdict in verdicts))
    return 0 if all(verdict.intact for verdict in verdicts) else 1


def export(options: ShareOptions) -> None:
    """Write chosen features to one zip of the cache's ordinary files."""
    from featurestack.features_cache.opening import open_cache
    from featurestack.features_cache.share import export_features

    cache = open_cache(options.dataset, options.data, options.name)
    target = options.file or Path(f"{cache.settings['dataset']}-features.zip")
    names = cache.named(options.features)
    export_features(cache.folder, names, target)
    print(f"{target}: {counted(len(names), 'feature')}, {size(target.stat().st_size)}")


def import_(options: ImportOptions) -> None:
    """Put the features of an exported file into a cache."""
    from featurestack.features_cache.location import cache_folder
    from featurestack.features_cache.share import import_features

    folder = cache_folder(options.dataset, options.data, options.name)
    names = import_features(options.file, folder, options.most_gb * 2**30)
    print(f"{folder}: {', '.join(names)}")


def table(options: TableOptions) -> None:
    """Write mean and deviation of each row of each clip as one table, for R and
    pandas.
    """
    from featurestack.features_cache.opening import open_cache
    from featurestack.features_cache.statistics_table import (
        statistics_table,
        write_table,
    )

    cache = open_cache(options.dataset, options.data, options.name)
    target = options.file or Path(f"{cache.settings['dataset']}-statistics.csv")
    statistics = statistics_table(cache, cache.named(options.features))
    write_table(statistics, target)
    clips, columns = statistics.shape
    print(
        f"{target}: {counted(clips, 'clip')}, {counted(columns, 'column')},"
        f" {size(target.stat().st_size)}"
    )


COMMANDS: list[Command] = [info, verify, export, import_, table]

if __name__ == "__main__":
    main(COMMANDS, stage="features_cache")
