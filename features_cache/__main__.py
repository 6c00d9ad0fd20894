"""`python -m features_cache {info,verify,export,import}`."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from commandline.commands import Command, main
from commandline.options import DatasetOptions, option
from commandline.registry import RequestError, nearest
from commandline.terminal import counted, size
from features_cache.cache import Cache, cache_folder, refuse_unknown
from features_cache.names import parse_list


@dataclass(frozen=True, kw_only=True)
class CacheFeatures(DatasetOptions):
    """Some features of a cache."""

    features: str = "all"
    """features separated by blanks; all, small"""


@dataclass(frozen=True, kw_only=True)
class ShareOptions(CacheFeatures):
    """Options of `export` and `verify`."""

    file: Path | None = option(
        None,
        "export: where to, <dataset>-features.h5 by default; verify: an exported file instead of a cache",
    )


@dataclass(frozen=True, kw_only=True)
class FileOptions(DatasetOptions):
    """Options of `import`."""

    file: Path = option(dataclasses.MISSING, "an exported file", positional=True)


def info(options: DatasetOptions) -> None:
    """What a cache holds: features, clips done, megabytes, rounding, parameters, versions."""
    from features_cache.info import describe_cache

    print(describe_cache(_cache(options)))


def verify(options: ShareOptions) -> int:
    """Read everything and name what is damaged, by clip and feature or by file."""
    from features_cache.share import verify_export
    from features_cache.verify import verify_cache

    if options.file:
        wrong = verify_export(options.file)
        print("\n".join(wrong) or f"{options.file}: intact")
        return 1 if wrong else 0
    cache = _cache(options)
    found = verify_cache(
        cache.folder, None if options.features == "all" else _chosen(cache, options.features)
    )
    for verdict in found:
        print(verdict)
    return 0 if all(verdict.intact for verdict in found) else 1


def export(options: ShareOptions) -> int:
    """Write chosen features to one compressed file."""
    from features_cache.share import export_features

    cache = _cache(options)
    target = options.file or Path(f"{cache.settings['dataset']}-features.h5")
    names = _chosen(cache, options.features)
    left_out = export_features(cache.folder, names, target)
    print(f"{target}: {counted(len(names), 'feature')}, {size(target.stat().st_size)}")
    if left_out:
        print(f"{left_out} damaged feature maps are not in it; make features computes them again")
    return 1 if left_out else 0


def import_(options: FileOptions) -> None:
    """Put the features of an exported file into a cache."""
    from features_cache.share import import_features

    folder = cache_folder(options.dataset, options.data, options.name)
    print(f"{folder}: {', '.join(import_features(options.file, folder))}")


def _cache(options: DatasetOptions) -> Cache:
    refuse_unknown(options.dataset, options.data, options.name)
    return Cache(cache_folder(options.dataset, options.data, options.name))


def _chosen(cache: Cache, features: str) -> list[str]:
    """Stored names, each once."""
    channels = [channel for channels in parse_list(features, cache.features) for channel in channels]
    for channel in channels:
        if channel not in cache:
            raise RequestError(nearest("feature", channel.stored, cache.features))
    return list(dict.fromkeys(cache[channel].stored for channel in channels))


COMMANDS: list[Command] = [info, verify, export, import_]

if __name__ == "__main__":
    main(COMMANDS)
