"""`python -m pipeline verify`: check a cache; RECOMPUTE=N compares with librosa."""

import itertools
from contextlib import suppress

import numpy as np

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted
from featurestack.commandline.terminal import progress
from featurestack.features_cache import Cache, parse_list
from featurestack.features_cache.cache import UnreadableClips, cache_of
from featurestack.features_cache.inspect import verify_cache
from featurestack.pipeline import audio, reference
from featurestack.pipeline.features import resolve_feature
from featurestack.pipeline.options import VerifyCommand
from featurestack.pipeline.worker import Source


def verify_features(options: VerifyCommand) -> int:
    """The command `verify`: check every stored clip; 0 if all are intact and agree."""
    cache = cache_of(options)
    for channel in itertools.chain(*parse_list(options.features, cache.features)):
        if channel not in cache:
            # an unknown feature is refused with the nearest name
            resolve_feature(channel)
    verdicts = verify_cache(cache, options.features)
    print("\n".join(verdict.text for verdict in verdicts))
    intact = all(verdict.intact for verdict in verdicts)
    if options.recompute:
        names = [verdict.name for verdict in verdicts[1:]]
        intact &= recompute(cache, names, options.recompute, options.seed)
    return 0 if intact else 1


def recompute(cache: Cache, names: list[str], clips: int, seed: int) -> bool:
    """Whether random clips agree with `pipeline.reference`, one at least."""
    table = cache.clips
    chosen = np.random.default_rng(seed).permutation(len(table))[:clips]
    sounds = {}  # row of the clip table -> samples
    for clip in table.iloc[np.sort(chosen)].itertuples():
        span = clip.start, clip.end
        source = Source(clip.path, clip.alteration, span, cache.audio_channel)
        try:
            sounds[clip.Index] = source.load(cache.sample_rate, cache.samples)
        except audio.AudioError as error:
            print(f"  {clip.clip_id}: {error}")
    agree = bool(sounds)
    print(f"{counted(len(sounds), 'clip')} computed again by the plain definitions:")
    for name in progress(names, label="recompute", unit="features"):
        try:
            feature = cache[name]
        except RequestError:  # `verify_cache` reports it
            continue
        ours = []
        theirs = []
        kind = feature.feature
        for row, y in sounds.items() if kind in reference.DEFINITIONS else ():
            with suppress(UnreadableClips):  # `verify_cache` reports them
                ours.append(feature.read(np.array([row]))[0])
                theirs.append(
                    reference.compute(kind, y, cache.sample_rate, **feature.parameters)
                )
        if not ours:
            print(
                f"  {name}: not compared: it has no plain definition, or none of these"
                " clips is stored"
            )
            continue
        found = reference.agreement(kind, ours, theirs, stored=feature.dtype)
        print(f"  {found.text}")
        agree &= found.holds
    return agree
