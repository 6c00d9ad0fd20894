"""The command to type next, after every stage: one table, RULES.

A stage describes the dataset as a State; the first rule that applies has the command,
and what no rule says is not proposed. A command reproduces the situation: it keeps the
words that name the dataset and its folders, and those that a run was trained with.

A proposal changes no number: a report corrects its verdicts for every run that was
trained, so that following one does not flatter the result. Features are compared
without the length of their frames: frames of 46 ms make no other feature of mel.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from featurestack.commandline.errors import make_command
from featurestack.commandline.options import Options, option_words

COMPARED = ("mel", "mfcc", "chroma")  # the features to compare first
# spectrum, coarse shape and modulation in time: none of them contains another
COMPLEMENTARY = "mel+mfcc+modulation"
QUICK = "MODEL=texturenet"  # it takes seconds, but no vectors
OF_VECTORS = "MODEL=ridge"
OF_WAVEFORM = "MODEL=aclnet"
OF_FRAMES = "MODEL=frames"  # events
MOST_NAMED = 12  # features; of more a command computes `all`


@dataclass(frozen=True)
class Trained:
    """A configuration that was trained."""

    features: str  # its feature set
    words: tuple[str, ...]  # its other NAME=value words, without SEED
    seeds: tuple[int, ...] = (0,)
    run: str = ""  # dataset/name
    missing_folds: bool = False


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
    untrainable: bool = False  # the clips have only one class or fold
    audio: bool = True  # more features can be computed
    of_clips: bool = True  # its models answer each clip
    chosen: str = ""  # the run of the recommended feature set, as dataset/name
    ranked: int = 0  # number of configurations that a report ranks
    trained: Sequence[Trained] = ()  # those of them that were trained, the best first
    chance: bool = False  # none of them beats chance
    unreported: bool = False  # a command has just trained or tested its runs
    synthetic: bool = False  # sounds that were made to show the commands

    @property
    def best(self) -> Trained:
        return self.trained[0]

    def of_data(self, command: str, *more: str) -> str:
        """A command on the dataset, which takes no RUNS."""
        given = without(self.given, "RUNS")
        return make_command(command, *given, *self.source, *more)

    def again(self, *sets: str) -> str:
        """The best run's command for these sets."""
        words = f"FEATURES={' '.join(sets)}", *self.best.words
        return make_command("train", *self.given, *words)


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
    return first if len(first) >= 2 else [*dict.fromkeys([*first, *maps])][:3]


def complementary(names: Iterable[str]) -> str:
    """The set COMPLEMENTARY by its features' stored names; '' if one is not there.

    >>> complementary(["mel@frame=46", "mfcc@frame=46", "modulation", "rms"])
    'mel@frame=46+mfcc@frame=46+modulation'
    """
    stored = by_unframed(names)
    parts = COMPLEMENTARY.split("+")
    return "+".join(stored[p] for p in parts) if {*parts} <= stored.keys() else ""


def untried(state: State) -> list[str]:
    """Cached features that no run has, the first to try first."""
    tried = {
        unframed(name) for run in state.trained for name in run.features.split("+")
    }
    left = {n: count for n, count in state.frames.items() if unframed(n) not in tried}
    return first_compared(left)


# ---- commands


def features(state: State) -> str:
    """Extraction of the cached features, or of all if these are many."""
    named = [*state.frames] or ([] if state.of_clips else ["mel"])
    words = [f"FEATURES={' '.join(named)}"] if 0 < len(named) <= MOST_NAMED else []
    words += [f"PART={state.part}"] if state.part else []
    return state.of_data("features", *words)


def first(state: State) -> str:
    """A few sets by a quick model, or a run of the only feature."""
    compared = first_compared(state.frames)
    if compared:
        sets = compared
        if state.of_clips:  # models of frames need features of one frame rate
            sets = [*compared, "+".join(compared), complementary(state.frames)]
        words = f"FEATURES={' '.join(dict.fromkeys(filter(None, sets)))}"
        quick = QUICK if state.of_clips else OF_FRAMES
        return make_command("train", *state.given, words, quick)
    if not state.frames:
        return state.of_data("features")
    vectors = [name for name, count in state.frames.items() if count == 1]
    words = f"FEATURES={next(iter(vectors or state.frames))}"
    model = OF_VECTORS if vectors else OF_WAVEFORM
    return make_command("train", *state.given, words, model)


def combine(state: State) -> str:
    """The features of a single run, or with another; '' if none is left."""
    single, *others = dict.fromkeys(state.best.features.split("+"))
    if others:
        return state.again(single, *others)
    further = untried(state)[:1] if state.of_clips else []
    return state.again(*further, f"{single}+{further[0]}") if further else ""


def predict(state: State) -> str:
    """New recordings, by the recommended run or the best one."""
    # with its dataset: others may have a run of that name
    run = state.chosen or state.best.run
    runs = without(state.given, "DATASET", "NAME", "DATA")
    return make_command("predict", "AUDIO=FILE", f"RUN={run}", *runs)


# key of the reason in a report's sentences, whether a state has it, and the command; ''
# if there is none after all
RULES: Sequence[tuple[str, Callable[[State], object], Callable[[State], str]]] = (
    (
        "own",
        lambda s: s.synthetic,
        lambda s: make_command("answer", "DATASET=my sounds"),
    ),
    ("report", lambda s: s.unreported, lambda s: make_command("analysis", *s.given)),
    ("check", lambda s: s.leak or s.unchecked, lambda s: s.of_data("check")),
    ("untrainable", lambda s: s.untrainable, lambda s: s.of_data("data")),
    ("extract", lambda s: s.incomplete, features),
    ("first", lambda s: not s.trained and not s.chosen, first),
    (
        "different",
        lambda s: s.trained and s.chance and untried(s),
        lambda s: s.again(*untried(s)),
    ),
    ("combine", lambda s: s.ranked == 1 and not s.chosen, combine),
    (
        "folds",
        lambda s: any(run.missing_folds for run in s.trained[:2]),
        lambda s: training_of(s.given, s.trained[:2]),
    ),
    ("predict", lambda s: s.audio and not s.chance, predict),
)


def next_step(state: State) -> tuple[str, str]:
    """A command to copy and the key of its reason in a report, or '' and ''."""
    for reason, applies, command in RULES:
        if applies(state) and (words := command(state)):
            return words, reason
    return "", ""


def next_line(state: State) -> str:
    """The line with the next command, the last that another command prints."""
    return f"next: {next_step(state)[0]}"


def report_line(options: Options) -> str:
    """The line with the report on what a command with these options has measured."""
    given = option_words(options, ("dataset", "name", "data", "runs"))
    return next_line(State(given, unreported=True))


def without(words: Sequence[str], *names: str) -> list[str]:
    """The NAME=value words whose names are not in `names`."""
    return [word for word in words if word.partition("=")[0] not in names]


def training_of(given: Sequence[str], runs: Sequence[Trained]) -> str:
    """Commands that train these runs; those that differ only in features share one."""
    sets: dict[tuple[str, ...], list[str]] = {}
    for run in runs:
        words = list(run.words)
        numbers = " ".join(map(str, run.seeds))
        if numbers != "0":
            words.append(f"SEED={numbers}")
        sets.setdefault(tuple(words), []).append(run.features)
    return " && ".join(
        make_command("train", *given, f"FEATURES={' '.join(dict.fromkeys(each))}", *own)
        for own, each in sets.items()
    )
