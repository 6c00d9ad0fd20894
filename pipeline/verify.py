"""`python -m pipeline verify`: read everything in a cache, and compute some clips again by plain librosa."""

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from commandline.terminal import counted, progress
from features_cache import Cache, cache_folder, parse_list
from features_cache.cache import StoredFeature, UnreadableClips, refuse_unknown
from features_cache.verify import verify_cache
from pipeline import alter, audio, reference
from pipeline.options import VerifyCommand


def run(options: VerifyCommand) -> int:
    """The command `verify`: check every stored clip; 1 where something is damaged or differs.

    options  which dataset and features, how many clips to recompute: see VerifyCommand

        run(VerifyCommand(dataset="esc10", features="mel mfcc", recompute=5))
    """
    refuse_unknown(options.dataset, options.data, options.name)
    cache = Cache(cache_folder(options.dataset, options.data, options.name))
    channels = [channel for channels in parse_list(options.features, cache.features) for channel in channels]
    names = list(dict.fromkeys(cache[channel].stored for channel in channels))
    verdicts = verify_cache(cache.folder, names)
    for verdict in verdicts:
        print(verdict)
    intact = all(verdict.intact for verdict in verdicts)
    if options.recompute:
        readable = [verdict.name for verdict in verdicts[1:] if not verdict.error]
        intact &= recompute(cache, readable, options.recompute, options.seed)
    return 0 if intact else 1


def recompute(cache: Cache, names: list[str], clips: int, seed: int) -> bool:
    """Compute random clips by the definitions; whether all agree within tolerance and rounding."""
    chosen = np.random.default_rng(seed).permutation(len(cache.clips))[:clips]
    clips_by_row = dict(_load_clips(cache, np.sort(chosen)))
    agree = bool(clips_by_row)
    print(f"{counted(len(clips_by_row), 'clip')} computed again by plain librosa:")
    for name in progress(names, label="recompute", unit="features"):
        found = _compare(cache[name], clips_by_row)
        print(f"  {found}" if found else f"  {name}: not one of this project's definitions, or no clip done")
        agree &= found is None or found.holds
    return agree


def _load_clips(cache: Cache, positions: NDArray[np.intp]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Row of the clip table and samples, of the clips whose audio can be had."""
    samples = int(cache.settings["samples"])
    for position in positions.tolist():
        clip = cache.clips.iloc[position]
        try:
            y = audio.load_clip(clip["path"], cache.sample_rate, samples)
        except audio.AudioError as error:
            print(f"  {clip['clip_id']}: {error}")
            continue
        if clip["alteration"]:
            y = alter.apply_alteration(y, cache.sample_rate, clip["alteration"])
        yield position, y


def _compare(feature: StoredFeature, clips: dict[int, NDArray[np.float32]]) -> reference.Agreement | None:
    name, parameters = feature.attributes["feature"], feature.attributes["parameters"]
    if name not in reference.DEFINITIONS:
        return None
    ours, theirs = [], []
    for position, y in clips.items():
        with suppress(UnreadableClips):  # named before
            ours.append(feature.read(np.array([position]))[0])
            theirs.append(reference.compute(name, y, feature.cache.sample_rate, **parameters))
    return reference.agreement(name, ours, theirs, stored=feature.dtype) if ours else None
