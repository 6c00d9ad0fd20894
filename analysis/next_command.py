"""The command that a report proposes, chosen by its findings.

It is chosen for the runs of the main ranking, so that an old run of a single fold does
not decide.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from featurestack.analysis.findings import Findings
from featurestack.analysis.runs import Run, differing_options
from featurestack.commandline.spelling import make_command
from featurestack.features_cache.advice import DIFFERENT, first_compared

SEEDS = (0, 1, 2)  # three give a useful standard deviation over seeds


@dataclass(frozen=True)
class Situation:
    """The facts, besides the findings, that decide on the next command.

    given        the variables of the dataset and the folders
    frames       cached feature -> number of frames
    audio        whether further features can be computed
    trainable    whether the clips have at least two classes and two folds
    outdated     names of runs trained before the dataset changed
    unchecked    whether the audio is the user's own and `check` has not examined it
    changed      whether clips are new, removed or changed since extraction
    """

    given: Sequence[str]
    frames: Mapping[str, int]
    audio: bool = True
    trainable: bool = True
    outdated: Collection[str] = ()
    unchecked: bool = False
    changed: bool = False

    @property
    def of_data(self) -> list[str]:
        """The variables for commands that take no RUNS."""
        return without(self.given, "RUNS")

    def train(self, run: Run, *sets: str) -> str:
        """The command that trains a run's configuration on these sets; RETRAIN=1 if a
        run is outdated.
        """
        words = list(self.given)
        if self.outdated:
            words.append("RETRAIN=1")
        words.append(f"FEATURES={' '.join(sets)}")
        words += own_words(run)
        return make_command("sweep", *words)

    def extracted(self, features: Sequence[str], command: str) -> str:
        """The command, preceded by the extraction of those features that an existing
        cache lacks.
        """
        lacking = [name for name in features if name not in self.frames]
        if not (self.frames and lacking):
            return command
        words = f"FEATURES={' '.join(lacking)}"
        extraction = make_command("features", *self.of_data, words)
        return f"{extraction} && {command}"


@dataclass(frozen=True)
class Advice:
    """The facts that decide the advice: the main ranking's runs, and what they lack."""

    found: Findings
    situation: Situation

    @cached_property
    def ranked(self) -> Sequence[Run]:
        return self.found.runs[: len(self.found.rows)]

    @cached_property
    def trained(self) -> list[Run]:
        """Without ensembles of finished runs."""
        return [run for run in self.ranked if run.trained]

    @property
    def best(self) -> Run:
        return self.trained[0]

    @cached_property
    def compared(self) -> list[Run]:
        """The best run and those that tie with it, else the second one."""
        if not self.found.tied:
            return self.trained[:2]
        close = {row["run"] for row in (self.found.rows[0], *self.found.tied)}
        return [run for run in self.trained if run.name in close]

    @cached_property
    def untried(self) -> list[str]:
        """Features that no run has, the first to try first."""
        tried = {name for run in self.trained for name in run.channels}
        cached = {}
        for name, frames in self.situation.frames.items():
            if name not in tried:
                cached[name] = frames
        untried = first_compared(cached)
        if not untried and self.situation.audio:
            untried = [name for name in DIFFERENT if name not in tried][:2]
        return untried

    @cached_property
    def drawn(self) -> list[Run]:
        """The compared runs that a seed draws."""
        return [run for run in self.compared if not run.exact]

    # ---- states: a command, or '' if the state is another

    def extract(self) -> str:
        """Clips are new, removed or changed."""
        if not self.situation.changed:
            return ""
        features = f"FEATURES={' '.join(self.situation.frames) or 'all'}"
        return make_command("features", *self.situation.of_data, features)

    def check(self) -> str:
        """Audio may lie in two folds."""
        leak = any(threat.kind == "duplicates" for threat in self.found.threats)
        if not (leak or self.situation.unchecked):
            return ""
        return make_command("pipeline check", *self.situation.of_data)

    def untrainable(self) -> str:
        """One class, or one fold."""
        if self.situation.trainable:
            return ""
        return make_command("data", *self.situation.of_data)

    def first(self) -> str:
        """No run yet: one on cached features, or features if nothing but the waveform
        is cached.
        """
        if self.trained:
            return ""
        frames = self.situation.frames
        vectors = [name for name, count in frames.items() if count == 1]
        together = "+".join(first_compared(frames) or vectors[:1])
        if not together:
            return make_command("features", *self.situation.of_data)
        return make_command("train", *self.situation.given, f"FEATURES={together}")

    def again(self) -> str:
        """A compared run is outdated."""
        outdated = self.situation.outdated
        if not any(run.name in outdated for run in self.compared):
            return ""
        return sweeps([*self.situation.given, "RETRAIN=1"], self.compared)

    def different(self) -> str:
        """No run beats chance."""
        if self.found.state != "chance" or not self.untried:
            return ""
        command = self.situation.train(self.best, *self.untried)
        return self.situation.extracted(self.untried, command)

    def combine(self) -> str:
        """A single run: its features alone, or its feature with another."""
        if len(self.ranked) > 1:
            return ""
        first, *others = dict.fromkeys(self.best.features.split("+"))
        if others:
            return self.situation.train(self.best, first, *others)
        if not self.untried:
            return ""
        other = self.untried[0]
        command = self.situation.train(self.best, other, f"{first}+{other}")
        return self.situation.extracted([other], command)

    def folds(self) -> str:
        """A compared run lacks folds."""
        if not any(run.missing_folds for run in self.compared):
            return ""
        return sweeps(self.situation.given, self.compared)

    def network(self) -> str:
        """Only exact solutions so far."""
        if self.drawn or self.found.state == "chance":
            return ""
        frames = [self.situation.frames.get(name) for name in self.best.channels]
        vectors = all(number == 1 for number in frames)
        model = [] if vectors else ["MODEL=texture"]  # it takes seconds, but no vectors
        features = f"FEATURES={self.best.features}"
        return make_command("train", *self.situation.given, features, *model)

    def seeds(self) -> str:
        """Seeds may decide, or more recordings are not needed."""
        lacking = [run for run in self.drawn if len(run.seeds) < len(SEEDS)]
        enough = self.found.recordings_needed <= self.found.recordings
        if not lacking or not (self.found.state == "winner" or enough):
            return ""
        return sweeps(self.situation.given, lacking, SEEDS)

    def add(self) -> str:
        """The best set lacks the best single feature."""
        best = self.best
        sets = [run.channels for run in self.trained]
        for run in self.ranked:
            if "+" in run.features or run.features in best.channels:
                continue
            alike = differing_options(run, best) <= {"features"}
            if alike and best.channels + run.channels not in sets:
                together = f"{best.features}+{run.features}"
                return self.situation.train(best, together)
        return ""

    def paper(self) -> str:
        """No audio to predict."""
        if self.situation.audio:
            return ""
        return make_command("analysis", *self.situation.given, "PAPER=1")

    def predict(self) -> str:
        runs = without(self.situation.given, "DATASET", "NAME", "DATA")
        run = f"{self.best.dataset}/{self.best.name}"  # others may have that name
        return make_command("predict", "AUDIO=FILE", f"RUN={run}", *runs)


# the key of a reason in words.txt -> its command; the first state that has one counts
STATES: Mapping[str, Callable[[Advice], str]] = {
    "extract": Advice.extract,
    "check": Advice.check,
    "untrainable": Advice.untrainable,
    "first": Advice.first,
    "again": Advice.again,
    "different": Advice.different,
    "combine": Advice.combine,
    "folds": Advice.folds,
    "network": Advice.network,
    "seeds": Advice.seeds,
    "add": Advice.add,
    "paper": Advice.paper,
    "predict": Advice.predict,
}


def next_command(found: Findings, situation: Situation) -> tuple[str, str]:
    """A command to copy, and the key of its reason in words.txt."""
    advice = Advice(found, situation)
    for reason, state in STATES.items():
        command = state(advice)
        if command:
            return command, reason
    raise AssertionError("the last state has a command")


def without(words: Sequence[str], *names: str) -> list[str]:
    """The NAME=value words whose names are not in `names`."""
    return [word for word in words if word.partition("=")[0] not in names]


def own_words(run: Run) -> list[str]:
    """The NAME=value words of the run's configuration except FEATURES and SEED."""
    return without(run.config.command or [f"MODEL={run.model}"], "FEATURES")


def sweeps(given: Sequence[str], runs: Sequence[Run], seeds: Sequence[int] = ()) -> str:
    """Commands, joined by &&, that train these runs with `seeds`, else with their own.

    Runs that differ in features alone share a command.
    """
    sets: dict[tuple[str, ...], list[str]] = {}
    for run in runs:
        words = own_words(run)
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


def train_again(run: Run, given: Sequence[str]) -> str:
    """The command that trains all seeds of a run; '' for an ensemble, or if run.json
    has no command.

    `given` are the words that name the dataset and the folders.
    """
    return sweeps(given, [run]) if run.config.command else ""
