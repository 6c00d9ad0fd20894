"""The command to type next, after every stage, and the features to try first.

A stage describes the dataset as a State; `next_step` has the command. What follows for
runs that were trained, only a report says: `analysis.next_run`. A command reproduces
the situation: it keeps the words that name the dataset and its folders.

Features are compared without the length of their frames: frames of 46 ms make no other
feature of mel.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from featurestack.base.errors import Caller, make_command
from featurestack.base.options import Options, option_words

COMPARED = ("mel", "mfcc", "chroma")  # the features to compare first
# spectrum, coarse shape and modulation in time: none of them contains another
COMPLEMENTARY = "mel+mfcc+modulation"
QUICK = "MODEL=texturenet"  # it takes seconds, but cannot read vectors
OF_VECTORS = "MODEL=ridge"
OF_WAVEFORM = "MODEL=aclnet"
MOST_NAMED = 12  # features; of more a command computes `all`
# Words of a proposed command whose values only the user knows -> what to type instead
PLACEHOLDERS = {
    "=FILE": "FILE: a new recording, or a folder of them",
    "AUDIO=FOLDER": "FOLDER: the recordings",
    "DATASET=NAME": "NAME: the dataset of the run",
    "TABLES=TABLES": "TABLES: their annotation tables",
}


@dataclass(frozen=True)
class State:
    """The state of a dataset."""

    given: Sequence[str]  # the words that name the dataset and the folders
    source: Sequence[str] = ()  # more words of the commands that read its audio
    # by cached feature; empty without a cache
    frames: Mapping[str, int] = field(default_factory=dict)
    incomplete: bool = False  # the cache lacks clips or features of today
    part: str = ""  # the part to compute first, of a cache that is filled in parts
    unchecked: bool = False  # `check` has not seen the clips, which are the user's own
    leak: bool = False  # the same audio may lie in two folds
    # `check` has measured that speakers or sites in training and test inflate scores
    split_by_clip: bool = False
    untrainable: bool = False  # the clips have only one class or fold
    begun: bool = False  # a report ranks runs that were trained here
    unreported: bool = False  # a command has just trained or tested its runs
    synthetic: bool = False  # sounds that were made to show the commands

    def of_data(self, command: str, *more: str) -> str:
        """A command on the dataset, which takes no RUNS."""
        given = without(self.given, "RUNS")
        return make_command(command, *given, *self.source, *more)


# ---- features to try


def unframed(name: str) -> str:
    """A feature's name without rows and without the length of frames.

    >>> unframed("mel@frame=46,n_mels=64"), unframed("mfcc:1-19")
    ('mel@n_mels=64', 'mfcc')
    """
    return re.sub(r"\bframe=[\d.]+,?", "", name.partition(":")[0]).rstrip("@,")


def by_unframed(names: Iterable[str]) -> dict[str, str]:
    """Name without the length of frames -> the stored name, if possible the same."""
    return {unframed(name): name for name in sorted(names, key=len, reverse=True)}


def first_compared(frames: Mapping[str, int]) -> list[str]:
    """The features in COMPARED; if fewer than two are there, up to three of all but
    vectors (one frame) and the waveform, which are not stacked with others.

    >>> first_compared({"rms": 9, "mel@frame=46": 9, "mfcc@frame=46": 9})
    ['mel@frame=46', 'mfcc@frame=46']
    """
    maps = [n for n, count in frames.items() if count != 1 and n != "waveform"]
    stored = by_unframed(maps)
    first = [stored[name] for name in COMPARED if name in stored]
    others = [stored[name] for name in map(unframed, maps)]
    return first if len(first) >= 2 else [*dict.fromkeys([*first, *others])][:3]


def complementary(names: Iterable[str]) -> str:
    """The set COMPLEMENTARY by its features' stored names; '' if one is not there.

    >>> complementary(["mel@frame=46", "mfcc@frame=46", "modulation", "rms"])
    'mel@frame=46+mfcc@frame=46+modulation'
    """
    stored = by_unframed(names)
    parts = COMPLEMENTARY.split("+")
    return "+".join(stored[p] for p in parts) if {*parts} <= stored.keys() else ""


# ---- commands


def first(state: State) -> str:
    """A few sets by a quick model, or a run of the only feature."""
    compared = first_compared(state.frames)
    vectors = [name for name, count in state.frames.items() if count == 1]
    if len(compared) > (1 if vectors else 0):
        sets = [*compared, "+".join(compared), complementary(state.frames)]
        words = f"FEATURES={' '.join(dict.fromkeys(filter(None, sets)))}"
        return make_command("train", *state.given, words, QUICK)
    if not state.frames:
        return state.of_data("features")
    words = f"FEATURES={' '.join([*vectors, *compared]) or next(iter(state.frames))}"
    model = OF_VECTORS if vectors else OF_WAVEFORM
    return make_command("train", *state.given, words, model)


def next_step(state: State) -> tuple[str, str]:
    """A command to copy and the key of its reason in a report, or '' and ''."""
    if state.synthetic:
        return make_command("answer", "DATASET=my sounds"), "own"
    if state.unreported:
        return make_command("analysis", *state.given), "report"
    if state.leak or state.unchecked:
        return state.of_data("check"), "check"
    if state.untrainable:
        return state.of_data("data"), "untrainable"
    if state.incomplete or state.split_by_clip:
        # the cached features, or all if these are many
        named = [*state.frames]
        words = [f"FEATURES={' '.join(named)}"] if 0 < len(named) <= MOST_NAMED else []
        words += [f"PART={state.part}"] if state.part else []
        kind = "group" if state.split_by_clip else "extract"
        return state.of_data("features", *words), kind
    return ("", "") if state.begun else (first(state), "first")


def next_line(state: State) -> str:
    """The line with the next command, the last that another command prints."""
    return f"next: {next_step(state)[0]}"


def report_line(options: Options) -> str:
    """The line that names the report on what a command with these options measured."""
    given = option_words(options, ("dataset", "name", "data", "runs"))
    return next_line(State(given, unreported=True))


def explained(command: str) -> str:
    """A command, and after it what to type in the place of its PLACEHOLDERS."""
    plain = command.replace("'", "")
    values = [value for word, value in PLACEHOLDERS.items() if word in plain]
    return with_note(command, "; ".join(values)) if values else command


def with_note(command: str, note: str) -> str:
    """A command with a note in brackets; in Python a comment, so that the line runs."""
    return f"{command}  # {note}" if Caller.in_python else f"{command}   ({note})"


def without(words: Sequence[str], *names: str) -> list[str]:
    """The NAME=value words whose names are not in `names`."""
    return [word for word in words if word.partition("=")[0] not in names]
