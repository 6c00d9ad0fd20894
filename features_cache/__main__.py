"""`python -m features_cache {info,verify,table}`."""

from pathlib import Path

from featurestack.commandline.commands import main
from featurestack.commandline.options import Command, DatasetOptions, option
from featurestack.commandline.quantities import counted, size


class VerifyOptions(DatasetOptions):
    """Options of `verify`."""

    features: str = option("all", "features separated by blanks; all, small")


class TableOptions(DatasetOptions):
    """Options of `table`."""

    features: str = option("mel mfcc", "features separated by blanks; all, small")
    file: Path | None = option(
        None, "file to write; by default <dataset>-statistics.csv"
    )


def info(options: DatasetOptions) -> None:
    """List the content of a cache: features, clips done, megabytes, rounding,
    parameters, versions.
    """
    from featurestack.features_cache.cache import cache_of
    from featurestack.features_cache.contents import describe_cache

    print(describe_cache(cache_of(options)))


def verify(options: VerifyOptions) -> int:
    """Read everything and name what is damaged, by clip and feature or by file."""
    from featurestack.features_cache.cache import cache_of
    from featurestack.features_cache.contents import print_verdicts

    return 0 if print_verdicts(cache_of(options), options.features) else 1


def table(options: TableOptions) -> None:
    """Write mean and deviation of each row of each clip as one table, for R and
    pandas.
    """
    from featurestack.features_cache.cache import cache_of
    from featurestack.features_cache.contents import statistics_table, write_table

    cache = cache_of(options)
    target = options.file or Path(f"{cache.settings['dataset']}-statistics.csv")
    statistics = statistics_table(cache, cache.named(options.features))
    write_table(statistics, target)
    clips, columns = statistics.shape
    print(
        f"{target}: {counted(clips, 'clip')}, {counted(columns, 'column')},"
        f" {size(target.stat().st_size)}"
    )


COMMANDS: list[Command] = [info, verify, table]

if __name__ == "__main__":
    main(COMMANDS, stage="features_cache")
