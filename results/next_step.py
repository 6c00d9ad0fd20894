"""The command to type next, after every stage.

A stage describes the dataset as a State. `next_step` asks each of STEPS in turn,
and the first that has a command decides; `results.next_run` has further steps for a
report that ranks runs. The command reproduces the situation: it keeps
the words that name the dataset and its folders, and those that a run was trained with.

A proposal changes no number: a report corrects its verdicts for every run that was
trained, so that following one does not flatter the result. Features are compared
without their framing: frames of 46 ms make no other feature of mel.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from featurestack.commandline.spelling import make_command
from featurestack.features_cache.names import FRAMING, parse_channel

COMPARED = ("mel", "mfcc", "chroma")  # the features to compare first
MOST_COMPARED = 3
# more accurate than mel+mfcc on noises and speech: see the accuracy page
PROVEN = "mel+mfcc+modulation"
QUICK = "MODEL=texture"  # it takes seconds, but no vectors
OF_WAVEFORM = "MODEL=aclnet"
OF_FRAMES = "MODEL=linear"  # events: an exact model takes seconds


@dataclass(frozen=True)
class Trained:
    """A configuration that was trained."""

    features: str  # its feature set
    words: tuple[str, ...]  # its other NAME=value words, without SEED
    seeds: tuple[int, ...] = (0,)
    run: str = ""  # dataset/name
    exact: bool = False  # another seed would give the same predictions
    missing_folds: bool = False
    outdated: bool = False  # the dataset has changed since
    tied: bool = False  # the best, or not clearly worse than it

    @property
    def channels(self) -> Counter[str]:
        return Counter(self.features.split("+"))


@dataclass(frozen=True)
class Report:
    """Findings of a report's main ranking, which an old run of a single fold does not
    enter.

    ranked      number of configurations, ensembles of finished runs included
    trained     those that were trained: feature sets trained alike, the best first,
                then the others
    chance      whether none beats chance
    winner      whether the best is clearly better than the next
    recordings  whether more recordings would not decide
    """

    ranked: int
    trained: Sequence[Trained]
    chance: bool = False
    winner: bool = False
    enough_recordings: bool = True

    @property
    def best(self) -> Trained:
        return self.trained[0]

    @cached_property
    def compared(self) -> Sequence[Trained]:
        """The best run and those that tie with it, else the second one."""
        return [run for run in self.trained if run.tied] or self.trained[:2]

    @cached_property
    def drawn(self) -> list[Trained]:
        """The compared runs that a seed draws."""
        return [run for run in self.compared if not run.exact]


@dataclass(frozen=True)
class State:
    """Where a dataset stands.

    given        the words that name the dataset and the folders
    source       further words of the commands that read its audio
    frames       cached feature -> number of frames; empty without a cache
    part         the part of the clips to extract next, such as 2/3
    features     the features that `features` computes; '' for its default
    changed      whether clips are new, removed or changed since extraction
    incomplete   whether the cache lacks clips or features
    unchecked    whether the audio is the user's own and `check` has not examined it
    leak         whether the same audio may lie in two folds
    untrainable  whether the clips have only one class or fold
    audio        whether further features can be computed
    former       runs of the clips before they changed
    stale        whether some run is of other clips, so that RETRAIN=1 is needed
    framed       whether models answer each frame
    ran          whether a run has just ended
    chosen       the run of the feature set that `answer` chose, as dataset/name
    report       None before the first report
    """

    given: Sequence[str]
    source: Sequence[str] = ()
    frames: Mapping[str, int] | None = None
    part: str = ""
    features: str = ""
    changed: bool = False
    incomplete: bool = False
    unchecked: bool = False
    leak: bool = False
    untrainable: bool = False
    audio: bool = True
    former: Sequence[Trained] = ()
    stale: bool = False
    framed: bool = False
    ran: bool = False
    chosen: str = ""
    report: Report | None = None

    @property
    def cached(self) -> Mapping[str, int]:
        return self.frames or {}

    @property
    def trained(self) -> Sequence[Trained]:
        return self.report.trained if self.report else ()

    def of_data(self, command: str, *more: str) -> str:
        """A command on the dataset, which takes no RUNS."""
        given = without(self.given, "RUNS")
        return make_command(command, *given, *self.source, *more)


# ---- features to try


def unframed(name: str) -> str:
    """A feature's name without the parameters that count samples of frames, and without
    rows.

    >>> unframed("mel@hop_length=192,n_fft=768,n_mels=64"), unframed("mfcc:1-19")
    ('mel@n_mels=64', 'mfcc')
    """
    channel = parse_channel(name)
    others = [
        f"{key}={value}" for key, value in channel.parameters if key not in FRAMING
    ]
    return f"{channel.name}@{','.join(others)}" if others else channel.name


def by_unframed(names: Iterable[str]) -> dict[str, str]:
    """Name without framing -> the stored name; the plain feature if it is there."""
    found: dict[str, str] = {}
    for name in names:
        bare = unframed(name)
        if bare not in found or name == bare:
            found[bare] = name
    return found


def first_compared(frames: Mapping[str, int]) -> list[str]:
    """The features to compare first: those in COMPARED; if fewer than two are there, up
    to three of all.

    frames  stored name -> number of frames

    Vectors (one frame) and the waveform are left out, because they are not stacked with
    others.

    >>> first_compared({"cqt": 431, "mel": 431, "waveform": 220500, "embedding": 1})
    ['mel', 'cqt']
    >>> first_compared({"rms": 9, "mel@n_fft=768": 9, "mfcc@n_fft=768": 9})
    ['mel@n_fft=768', 'mfcc@n_fft=768']
    """
    maps = []
    for name, count in frames.items():
        if count > 1 and unframed(name) != "waveform":
            maps.append(name)
    stored = by_unframed(maps)
    first = [stored[name] for name in COMPARED if name in stored]
    if len(first) >= 2:
        return first
    others = [name for name in maps if name not in first]
    return [*first, *others][:MOST_COMPARED]


def proven(names: Iterable[str]) -> str:
    """The set PROVEN by its features' stored names; '' if one is not there.

    >>> proven(["mel@n_fft=768", "mfcc@n_fft=768", "modulation", "rms"])
    'mel@n_fft=768+mfcc@n_fft=768+modulation'
    """
    stored = by_unframed(names)
    parts = PROVEN.split("+")
    if not {*parts} <= stored.keys():
        return ""
    return "+".join(stored[part] for part in parts)


# ---- steps: a command, or '' if this step does not apply


def extract_part(state: State) -> str:
    """A part of the clips is left."""
    if not state.part:
        return ""
    features = [f"FEATURES={state.features}"] if state.features else []
    return state.of_data("features", *features, f"PART={state.part}")


def extract(state: State) -> str:
    """Clips are new, removed or changed."""
    if not state.changed:
        return ""
    return state.of_data("features", f"FEATURES={' '.join(state.cached) or 'all'}")


def check(state: State) -> str:
    """Audio may lie in two folds."""
    if not (state.leak or state.unchecked):
        return ""
    return state.of_data("pipeline check")


def untrainable(state: State) -> str:
    """One class, or one fold."""
    return state.of_data("data") if state.untrainable else ""


def complete(state: State) -> str:
    """The cache lacks clips or features."""
    if not state.incomplete:
        return ""
    features = [f"FEATURES={state.features}"] if state.features else []
    return state.of_data("features", *features)


def retrain(state: State) -> str:
    """Runs of the clips before: the models with most feature sets."""
    if not state.former:
        return ""
    number = Counter(run.words for run in state.former)
    most = max(number, key=number.__getitem__)
    again = [run for run in state.former if run.words == most]
    return sweeps([*state.given, "RETRAIN=1"], again)


def report(state: State) -> str:
    """A run has ended."""
    return make_command("analysis", *state.given) if state.ran else ""


def chosen(state: State) -> str:
    """`answer` has chosen and trained a feature set: new audio for its run."""
    return predict_by(state, state.chosen) if state.chosen and state.audio else ""


def chosen_of_vectors(state: State) -> str:
    """The same, and there is no audio to predict."""
    return make_command("analysis", *state.given, "PAPER=1") if state.chosen else ""


def first(state: State) -> str:
    """No run yet: a few sets by a quick model, or a run of the only feature."""
    if state.trained:
        return ""
    compared = first_compared(state.cached)
    if compared:
        sets = [*compared, "+".join(compared), proven(state.cached)]
        features = " ".join(dict.fromkeys(filter(None, sets)))
        command = "sweep" if len(compared) > 1 else "train"
        quick = OF_FRAMES if state.framed else QUICK
        return make_command(command, *state.given, f"FEATURES={features}", quick)
    if not state.cached:
        return state.of_data("features")
    vectors = [name for name, count in state.cached.items() if count == 1]
    features = f"FEATURES={next(iter(vectors or state.cached))}"
    model = [] if vectors else [OF_WAVEFORM]
    return make_command("train", *state.given, features, *model)


def predict_by(state: State, run: str, audio: str = "FILE") -> str:
    """The command that predicts new audio by a run."""
    runs = without(state.given, "DATASET", "NAME", "DATA")
    return make_command("predict", f"AUDIO={audio}", f"RUN={run}", *runs)


Steps = Mapping[str, Callable[[State], str]]
# the key of a reason -> its command; the first step that has one counts
STEPS: Steps = {
    "part": extract_part,
    "extract": extract,
    "check": check,
    "untrainable": untrainable,
    "complete": complete,
    "retrain": retrain,
    "report": report,
    "chosen": chosen,
    "chosen of vectors": chosen_of_vectors,
    "first": first,
}


def next_step(state: State, steps: Steps = STEPS) -> tuple[str, str]:
    """A command to copy, and the key of its reason in a report's sentences.

    next_step(State(["DATASET=esc10"], frames={"mel": 431, "mfcc": 431}))
    # ("make sweep DATASET=esc10 'FEATURES=mel mfcc mel+mfcc' MODEL=texture", "first")
    """
    for reason, step in steps.items():
        command = step(state)
        if command:
            return command, reason
    raise AssertionError("the last step has a command")


def without(words: Sequence[str], *names: str) -> list[str]:
    """The NAME=value words whose names are not in `names`."""
    return [word for word in words if word.partition("=")[0] not in names]


def sweeps(
    given: Sequence[str],
    runs: Sequence[Trained],
    seeds: Sequence[int] = (),
) -> str:
    """Commands, joined by &&, that train these runs with `seeds`, else with their own.

    Runs that differ in features alone share a command.
    """
    sets: dict[tuple[str, ...], list[str]] = {}
    for run in runs:
        words = list(run.words)
        numbers = " ".join(map(str, seeds or run.seeds))
        if numbers != "0":
            words.append(f"SEED={numbers}")
        sets.setdefault(tuple(words), []).append(run.features)
    commands = []
    for own, features in sets.items():
        distinct = " ".join(dict.fromkeys(features))
        command = make_command("sweep", *given, f"FEATURES={distinct}", *own)
        commands.append(command)
    return " && ".join(commands)
