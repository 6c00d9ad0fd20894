"""Features of one's own that join a cache of others, see features_cache/location.py."""

import os
from contextlib import suppress
from pathlib import Path

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted
from featurestack.features_cache import index
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.location import (
    JOINED,
    is_cache,
    is_same,
    joined_cache,
)
from featurestack.storage.files import replace_file


def join_cache(own: Path, shared: Path) -> None:
    """Make `own` a folder of features that joins the cache `shared`.

    RequestError if it is a cache itself, or joins another one.
    """
    joined = joined_cache(own)
    if joined and is_same(joined, shared):
        return
    if is_cache(own) and (joined is None or is_cache(joined)):
        what = f"joins {joined}" if joined else "is a cache itself"
        raise RequestError(
            f"{own} {what}: for features that {shared} lacks, give DATA= or NAME= of"
            " another folder"
        )
    own.mkdir(parents=True, exist_ok=True)
    replace_file(own / JOINED, os.fsencode(f"{shared.absolute()}\n"))


def outdated_own(cache: Cache) -> str:
    """A sentence that names own features with clips that the joined cache has made from
    other audio since; '' if there are none.
    """
    if len(cache.folders) == 1:
        return ""
    outdated = {}
    for name in index.feature_names(cache.folder):
        with suppress(RequestError):  # damage is named where the feature is read
            feature = cache[name]
            status = feature.status(feature.row_of, cache.keys)
            if count := int(status.outdated.sum()):
                outdated[name] = count
    if not outdated:
        return ""
    named = ", ".join(
        f"{name} of {counted(count, 'clip')}" for name, count in outdated.items()
    )
    return (
        f"outdated in {cache.folder}: {named}, of which {cache.folders[-1]} has other"
        f" audio now: {cache.remedy(' '.join(outdated))}"
    )
