"""The command that a report proposes, chosen by its findings.

It is chosen for the runs of the main ranking, so that an old run of a single fold does
not decide.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from featurestack.analysis.findings import Findings
from featurestack.analysis.runs import Run, differing_options
from featurestack.commandline.spelling import make_command
from featurestack.features_cache.names import first_compared

SEEDS = (0, 1, 2)  # three give a useful standard deviation over seeds
# features to try next, the first one first
DIFFERENT = ("mfcc", "mel", "modulation", "contrast", "chroma")


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
        again = ["RETRAIN=1"] if self.outdated else []
        return make_command(
            "sweep", *self.given, *again, f"FEATURES={' '.join(sets)}", *own_words(run)
        )

    def extracted(self, features: Sequence[str], command: str) -> str:
        """The command, preceded by the extraction of those features that an existing
        cache lacks.
        """
        lacking = " ".join(
            name for name in features if self.frames and name not in self.frames
        )
        extraction = make_command("features", *self.of_data, f"FEATURES={lacking}")
        return f"{extraction} && {command}" if lacking else command


def next_command(found: Findings, situation: Situation) -> tuple[str, str]:
    """A command to copy, and the key of its reason in words.txt.

    The order: mend the data, a first run, outdated runs again, other features if none
    beats chance, a run to compare with, missing folds, a network after exact solutions,
    seeds, a larger set, then predict, or write for a paper if there is no audio.
    """
    if situation.changed:
        features = f"FEATURES={' '.join(situation.frames) or 'all'}"
        return make_command("features", *situation.of_data, features), "extract"
    leak = any(threat.kind == "duplicates" for threat in found.threats)
    if leak or situation.unchecked:
        check = make_command("pipeline check", *situation.of_data)
        return check, "check"
    ranked = found.runs[: len(found.rows)]
    trained = [run for run in ranked if run.trained]
    if not situation.trainable:
        return make_command("data", *situation.of_data), "untrainable"
    if not trained:
        # Train on cached features; extract some if nothing but the waveform is cached.
        vectors = [name for name, frames in situation.frames.items() if frames == 1]
        together = "+".join(first_compared(situation.frames) or vectors[:1])
        command = make_command("features", *situation.of_data)
        if together:
            command = make_command("train", *situation.given, f"FEATURES={together}")
        return command, "first"
    best = trained[0]
    given = situation.given
    close = {row["run"] for row in (found.rows[0], *found.tied)}
    compared = (
        [run for run in trained if run.name in close] if found.tied else trained[:2]
    )
    if any(run.name in situation.outdated for run in compared):
        return sweeps([*given, "RETRAIN=1"], compared), "again"
    tried = {name for run in trained for name in run.channels}
    untried = first_compared(
        {name: n for name, n in situation.frames.items() if name not in tried}
    )
    if not untried and situation.audio:
        untried = [name for name in DIFFERENT if name not in tried][:2]
    if found.state == "chance" and untried:
        return (
            situation.extracted(untried, situation.train(best, *untried)),
            "different",
        )
    if len(ranked) == 1:
        # Train each feature of a combined set alone, or combine a single feature with
        # another.
        first, *others = dict.fromkeys(best.features.split("+"))
        if others:
            return situation.train(best, first, *others), "combine"
        if untried:
            other = untried[0]
            command = situation.train(best, other, f"{first}+{other}")
            return situation.extracted([other], command), "combine"
    if any(run.missing_folds for run in compared):
        return sweeps(given, compared), "folds"
    drawn = [run for run in compared if not run.exact]
    if not drawn and found.state != "chance":
        return make_command("train", *given, f"FEATURES={best.features}"), "network"
    lacking = [run for run in drawn if len(run.seeds) < len(SEEDS)]
    if lacking and (
        found.state == "winner" or found.recordings_needed <= found.recordings
    ):
        return sweeps(given, lacking, SEEDS), "seeds"
    # Add the best single feature that the best set lacks.
    sets = [run.channels for run in trained]
    for run in ranked:
        alike = differing_options(run, best) <= {"features"} and "+" not in run.features
        if (
            alike
            and run.features not in best.channels
            and best.channels + run.channels not in sets
        ):
            return situation.train(best, f"{best.features}+{run.features}"), "add"
    if not situation.audio:
        return make_command("analysis", *given, "PAPER=1"), "paper"
    runs = without(given, "DATASET", "NAME", "DATA")
    return make_command("predict", "AUDIO=FILE", f"RUN={best.name}", *runs), "predict"


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
        numbers = " ".join(map(str, seeds or run.seeds))
        words = [*own_words(run), *([f"SEED={numbers}"] if numbers != "0" else [])]
        sets.setdefault(tuple(words), []).append(run.features)
    return " && ".join(
        make_command(
            "sweep", *given, f"FEATURES={' '.join(dict.fromkeys(features))}", *words
        )
        for words, features in sets.items()
    )


def train_again(run: Run, given: Sequence[str]) -> str:
    """The command that trains all seeds of a run; '' for an ensemble, or if run.json
    has no command.

    `given` are the words that name the dataset and the folders.
    """
    return sweeps(given, [run]) if run.config.command else ""
