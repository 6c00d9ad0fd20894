"""Proposals of commands and reports: features to try. None of them changes a result."""

from collections.abc import Iterable, Mapping

COMPARED = ("mel", "mfcc", "chroma")  # the features to compare first
MOST_COMPARED = 3
# more accurate than mel+mfcc on noises and speech: see the accuracy page
PROVEN = "mel+mfcc+modulation"
# features to try next, the first one first
DIFFERENT = ("mfcc", "mel", "modulation", "contrast", "chroma")


def first_compared(frames: Mapping[str, int]) -> list[str]:
    """The features to compare first: those in COMPARED; if fewer than two are there, up
    to three of all.

    frames  stored name -> number of frames

    Vectors (one frame) and the waveform are left out, because they are not stacked with
    others.

    >>> first_compared({"cqt": 431, "mel": 431, "waveform": 220500, "embedding": 1})
    ['mel', 'cqt']
    """
    maps = []
    for name, count in frames.items():
        if count > 1 and name != "waveform":
            maps.append(name)
    first = [name for name in COMPARED if name in maps]
    if len(first) >= 2:
        return first
    others = [name for name in maps if name not in first]
    return [*first, *others][:MOST_COMPARED]


def promising_first(names: Iterable[str]) -> list[str]:
    """The features in DIFFERENT before the others, which keep their order: for a
    ranking that may be cut short.

    >>> promising_first(["bandwidth", "chroma", "mel", "rms"])
    ['mel', 'chroma', 'bandwidth', 'rms']
    """
    given = list(names)
    first = [name for name in DIFFERENT if name in given]
    return [*first, *(name for name in given if name not in first)]
