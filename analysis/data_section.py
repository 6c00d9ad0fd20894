"""The report's section on the data: facts, and the clips of each class and fold."""

from pathlib import Path

import pandas as pd

from featurestack.commandline.quantities import counted, plural, size
from featurestack.features_cache import Cache
from featurestack.features_cache.side_files import WHOLE, failed_clips
from featurestack.features_cache.table import (
    by_label,
    classes_in,
    has_windows,
    originals,
)


def data_facts(cache: Cache) -> dict[str, str]:
    """Facts of the dataset: name -> text, which is '' if a fact does not apply."""
    clips = originals(cache.clips)
    files = cache.folder.glob("*.h5")
    used = sum(file.stat().st_size for file in files if file.is_file())
    copies = len(cache.clips) - len(clips)
    failed = failures(cache)
    untested = len(failed.pop(WHOLE, ()))
    single = ", ".join(
        f"{name} of {counted(len(ids), 'clip')}" for name, ids in failed.items()
    )
    groups = plural(cache.groups or "source recording")
    each = ""
    if not cache.groups and clips["group"].is_unique:
        each = ", each clip counted as one"
    drawn = (cache.folder.parent / "folds.csv").exists()
    own = "" if drawn else ", the dataset's own"
    of_recordings = ""
    if has_windows(clips):
        of_recordings = f" of {counted(clips['path'].nunique(), 'recording')}"
    altered = f" and {copies:,} altered copies" if copies else ""
    return {
        "Clips": f"{len(clips):,}{of_recordings}{altered}",
        "Classes": str(len(classes_in(clips))),
        "Clips that failed": (
            f"{untested:,}, so {len(clips) - untested:,} are tested" if untested else ""
        ),
        "Features that failed": (
            f"{single}; a run without the feature tests these clips" if single else ""
        ),
        groups[0].upper() + groups[1:]: f"{clips['group'].nunique():,}{each}",
        "Folds": f"{clips['fold'].nunique()}{own}",
        "A clip": f"{cache.duration:g} s at {cache.sample_rate:,} Hz"
        + (f", channel {cache.audio_channel}" if cache.audio_channel else ""),
        "Features cached": f"{len(cache.features)}, {size(used)}",
        # the name alone: the page is passed on, its machine's folders are not
        "Source": Path(str(cache.settings.get("source", ""))).name,
    }


def failures(cache: Cache) -> dict[str, set[str]]:
    """Cached feature, or WHOLE for the clip itself -> ids of the original clips that
    failed.

    No run tests the clips under WHOLE. A run tests the others if it does not use the
    features that failed.
    """
    tested = set(originals(cache.clips)["clip_id"])
    names = (WHOLE, *cache.features)
    failed = {
        name: clips & tested
        for name, clips in failed_clips(cache.folder).items()
        if name in names
    }
    return {name: clips for name, clips in failed.items() if clips}


def clips_by_fold(cache: Cache) -> pd.DataFrame:
    """The clips of each class in each fold, by category, then by class."""
    each = by_label(originals(cache.clips))
    counts = pd.crosstab([each["category"], each["label"]], each["fold"])
    counts = counts.droplevel(0).rename(index={"": "(none)"})
    return counts.rename(columns=lambda fold: f"fold{fold}").reset_index()
