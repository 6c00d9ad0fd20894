"""Sentences about a choice of features inside the folds: facts in, text out."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from featurestack.commandline.quantities import counted, percent
from featurestack.commandline.spelling import make_command
from featurestack.results.config import ChoiceConfig

if TYPE_CHECKING:
    import pandas as pd

    from featurestack.features_cache import Cache
    from featurestack.results.run_folder import RunFolder

NAMED = 6  # features whose counts are stated


def choice_of(run: "RunFolder") -> ChoiceConfig:
    config = run.config
    assert isinstance(config, ChoiceConfig), "the folder of a choice"
    return config


def chosen(config: ChoiceConfig) -> str:
    """How often each feature was chosen: `modulation in 5 of 5 folds, mfcc in 4`."""
    counts = Counter(name for features in config.sets for name in features.split("+"))
    ordered = counts.most_common()
    (first, most), *others = ordered[:NAMED]
    texts = [f"{first} in {most} of {counted(len(config.sets), 'fold')}"]
    texts += [f"{name} in {count}" for name, count in others]
    if len(ordered) > NAMED:
        texts.append(f"{len(ordered) - NAMED} more less often")
    return f"chosen: {', '.join(texts)}"


def alone(features: "pd.DataFrame", score: str) -> str:
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


def recommended(config: ChoiceConfig) -> str:
    """The set for later use, and that it has no score."""
    return (
        f"for later use: {config.recommended}, chosen by all folds, so that no clip is"
        " left to test it: it has no score of its own"
    )


def surer(candidates: Sequence[str], cache: "Cache") -> str:
    """Ways to make the answer surer, in whole sentences."""
    texts = ["Four times as many recordings would halve the interval."]
    clips = cache.clips[cache.clips["copy_of"] == ""]
    if not cache.groups and clips["group"].nunique() == len(clips):
        texts.append(
            "If clips share a speaker, a site or a recording, name it with GROUP=."
        )
    if not any(name.startswith("embedding") for name in candidates):
        command = make_command("pipeline list")
        texts.append(
            f"A pretrained network may have a higher score: {command} shows them."
        )
    return " ".join(texts)


def left_out(steps: Sequence[str], *, scored: bool, trained: bool) -> str:
    """The steps that MINUTES left out, in whole sentences.

    scored   whether a choice has its score
    trained  whether the page has runs
    """
    texts = [f"MINUTES= ended before {'; '.join(steps)}."]
    if not scored:
        texts.append("The answer has no score of all folds yet: repeat the command.")
    if trained and not scored:
        texts.append("The runs below are parts of it.")
    return " ".join(texts)


def as_sentence(clause: str) -> str:
    """`Chosen: mfcc@N in 1 fold.` for `chosen: mfcc@N in 1 fold`."""
    return f"{clause[:1].upper()}{clause[1:]}."
