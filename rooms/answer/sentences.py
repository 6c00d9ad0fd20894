"""Sentences about a choice of features inside the folds: facts in, text out."""

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from featurestack.commandline import rooms
from featurestack.commandline.quantities import counted, percent
from featurestack.features_cache import Cache
from featurestack.results.config import ChoiceConfig

NAMED = 6  # features whose counts are stated


def chosen(config: ChoiceConfig) -> str:
    """Each feature's choices: `modulation in 5 of 5 folds, mfcc in 4`."""
    counts = Counter(name for features in config.sets for name in features.split("+"))
    ordered = counts.most_common()
    (first, most), *others = ordered[:NAMED]
    texts = [f"{first} in {most} of {counted(len(config.sets), 'fold')}"]
    texts += [f"{name} in {count}" for name, count in others]
    if len(ordered) > NAMED:
        texts.append(f"{len(ordered) - NAMED} more less often")
    return f"chosen: {', '.join(texts)}"


def alone(features: pd.DataFrame, score: str) -> str:
    """The features with the highest scores alone, from the table of candidates."""
    best = features.nlargest(NAMED, "alone")
    texts = [f"{row.feature} {percent(row.alone)} %" for row in best.itertuples()]
    sentence = f"By linear, {score}: {', '.join(texts)}."
    if len(features) > 1:
        sentence += (
            f" The first of {len(features)} features is selected by this score, so it"
            " is optimistic."
        )
    return sentence


def recommended(config: ChoiceConfig, *, chance: bool) -> str:
    """The set for later use, how sure its choice is, and that it has no score."""
    if chance:
        return "no set is recommended: none is clearly better than chance"
    folds = counted(len(config.sets), "fold")
    if config.decided:
        return (
            f"for later use: {config.recommended}, chosen from the scores of all folds"
            f" together ({config.agreeing} of {folds} chose it alone); no clip is left"
            " to test it: it has no score of its own"
        )
    different = counted(len({*config.sets}), "set")
    return (
        f"undecided: {folds} chose {different}; for later use {config.recommended},"
        f" which has {percent(config.recommended_score)} % by linear, on folds that"
        " chose it, so this is optimistic"
    )


def surer(candidates: Sequence[str], cache: Cache) -> str:
    """Ways to make the answer surer, in whole sentences."""
    clips = cache.clips[cache.clips["copy_of"] == ""]
    number = clips["group"].nunique()
    unit = cache.groups or "recording"
    texts = [
        f"{counted(4 * number, unit)} instead of {number:,} would halve the interval."
    ]
    if not cache.groups and number == len(clips):
        texts.append(
            "If clips share a speaker, a site or a recording, name it with GROUP=."
        )
    has_networks = any(name.startswith("embedding") for name in candidates)
    if not has_networks and "networks" in rooms.names("capabilities"):
        networks = rooms.load("capabilities", "networks")
        _, remark = networks.choose_networks(cache.sample_rate)
        texts.append("A pretrained network may have a higher score.")
        texts.append(as_sentence(remark))
    return " ".join(texts)


def as_sentence(clause: str) -> str:
    """`Chosen: mfcc@N in 1 fold.` for `chosen: mfcc@N in 1 fold`."""
    return f"{clause[:1].upper()}{clause[1:]}."
