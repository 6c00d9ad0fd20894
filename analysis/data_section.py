"""The half of the report that needs no run: what the clips are and how they look, from the cache alone."""

from pathlib import Path

import numpy as np
import pandas as pd

from analysis import cached, formats, separation_section
from analysis.blocks import Block
from analysis.figures import Saved, save
from analysis.figures.features import Shown
from analysis.pictures import pooled
from commandline import size
from features_cache import Cache
from features_cache.records import read_failures

PANEL_ROWS, PANEL_FRAMES = 160, 320  # pixels of a panel; more would not be seen


def blocks(cache: Cache, features: list[str], folder: Path, seed: int) -> list[Block]:
    """Every block of the data half, its figures and tables written into the report's folder.

    `features` are the cached ones that can be read.
    """
    clips = cached.clips_of(cache)
    if clips.empty:
        return []
    rng = np.random.default_rng(seed)
    made = [_counts(clips, folder), *_looks(cache, features, clips, folder, rng)]
    if features:
        made += _gallery(cache, features, clips, folder, rng)
        made += separation_section.blocks(cache, features, clips, folder, seed)
    return made


def facts(cache: Cache) -> list[tuple[str, str]]:
    """The numbers of the data in a line each."""
    clips = cached.clips_of(cache)
    used = sum(file.stat().st_size for file in cache.folder.glob("*.h5"))
    copies = len(cache.clips) - len(clips)
    shown = [
        ("Clips", f"{len(clips):,}" + (f" and {copies:,} altered copies" if copies else "")),
        ("Classes", str(clips["label"].nunique())),
        ("Source recordings", f"{clips['group'].nunique():,}"),
        ("Folds", str(clips["fold"].nunique())),
        ("A clip", f"{cache.duration:g} s at {cache.sample_rate:,} Hz"),
        ("Features cached", f"{len(cache.features)}, {size(used)}"),
        ("Source", str(cache.settings.get("source", ""))),
    ]
    failed = len({one["clip_id"] for one in read_failures(cache.folder)})
    return shown + ([("Clips that failed", str(failed))] if failed else [])


def _counts(clips: pd.DataFrame, folder: Path) -> Block:
    table = pd.crosstab(clips["label"], clips["fold"])
    order = clips.drop_duplicates("label").sort_values(["category", "label"])["label"]
    table = table.loc[order]
    formats.write(table.rename(columns=lambda fold: f"fold{fold}").reset_index(), folder / "tables", "clips")
    drawn = save(
        "clips_per_fold",
        folder,
        counts=table.to_numpy(),
        classes=list(table.index),
        folds=list(table.columns),
    )
    smallest, largest = table.sum(axis=1).min(), table.sum(axis=1).max()
    even = bool((table == table.iloc[0, 0]).all(axis=None))
    said = f"The smallest class has {smallest} clips, the largest {largest}."
    if smallest == largest:
        said = f"Every class has {smallest} clips" + (f", {table.iloc[0, 0]} in each fold." if even else ".")
    return Block("Clips per class and fold", said, [drawn], folded=even)


def _looks(
    cache: Cache, features: list[str], clips: pd.DataFrame, folder: Path, rng: np.random.Generator
) -> list[Block]:
    """A waveform and a mel spectrogram of one clip of each class, where they are cached."""
    chosen = clips.groupby("label", sort=True).sample(1, random_state=int(rng.integers(2**31)))
    figures: list[Saved] = []
    waves = _by_class(cache, "waveform", chosen) if "waveform" in features else {}
    if waves:
        shown = {name: values[0] for name, values in waves.items()}
        figures.append(save("waveforms", folder, clips=shown, seconds=_seconds(cache, "waveform")))
    mels = _by_class(cache, "mel", chosen) if "mel" in features else {}
    if mels:
        hertz = cache["mel"].row_axis
        figures.append(save("spectrograms", folder, clips=mels, seconds=_seconds(cache, "mel"), hertz=hertz))
    about = "One clip of each class, drawn at random with a fixed seed."
    return [Block("How the classes look", about, figures)] if figures else []


def _seconds(cache: Cache, feature: str) -> float:
    """How long a clip of the feature is; a brought one of one frame gets a second to be drawn in."""
    return float(cache[feature].frame_axis[-1]) or 1.0


def _by_class(cache: Cache, feature: str, chosen: pd.DataFrame) -> dict[str, np.ndarray]:
    found = {}
    for clip, label in chosen[["clip_id", "label"]].itertuples(index=False):
        values = cached.one(cache, feature, clip)
        if values is not None:
            found[label] = values if feature == "waveform" else pooled(values, PANEL_FRAMES, axis=1)
    return found


def _gallery(
    cache: Cache, features: list[str], clips: pd.DataFrame, folder: Path, rng: np.random.Generator
) -> list[Block]:
    done = np.sum([cache[name].done() for name in features], axis=0)[clips.index]
    if not done.any():
        return []
    clip = clips[done == done.max()].sample(1, random_state=int(rng.integers(2**31))).iloc[0]
    shown = [one for name in features if (one := _shown(cache, name, clip["clip_id"]))]
    drawn = save("gallery", folder, features=shown, title=f"{clip['clip_id']} · {clip['label']}")
    about = f"All {len(shown)} cached features of one clip, {clip['clip_id']} ({clip['label']})."
    return [Block("Every feature of one clip", about, [drawn])] if shown else []


def _shown(cache: Cache, name: str, clip: str) -> Shown | None:
    values, stored = cached.one(cache, name, clip), cache[name]
    if values is None:
        return None
    said = stored.attributes
    if len(values) > 1:  # pixels that the panel has no room for would only make files larger
        values = pooled(pooled(values, PANEL_ROWS, axis=0), PANEL_FRAMES, axis=1)
    rows = pooled(np.asarray(stored.row_axis, np.float32), PANEL_ROWS, axis=0)
    return Shown(name, values, rows, said.get("row_unit", ""), stored.frame_axis, said.get("units", ""))
