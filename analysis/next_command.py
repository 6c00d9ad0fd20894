"""The command that a report proposes, by what its facts say.

Only runs of the main ranking count, so that a run that stopped after one fold long ago never decides.
"""

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from analysis.facts import Facts
from analysis.ranking import Ranking
from analysis.results import Run, differing_options
from commandline.options import make_command
from features_cache.names import first_compared

SEEDS = (0, 1, 2)  # with three a standard deviation over seeds means something


@dataclass(frozen=True)
class NextCommand:
    """A command to copy; `kind` and what it is `about` are worded by words.txt."""

    command: str
    kind: str
    about: str = ""


@dataclass(frozen=True)
class Situation:
    """What decides besides the facts.

    given        the variables that ask for the report
    stored       the cache's features with their frames, for a first run
    untrainable  why the clips cannot be trained on, in words
    outdated     names of runs of former clips or folds: their folders stay theirs, so a TAG tells new ones
    explained    runs that `explain` has been run on
    unchecked    own sounds that `check` has not looked at
    """

    given: Sequence[str]
    stored: Mapping[str, int]
    untrainable: str = ""
    outdated: Collection[str] = ()
    explained: Collection[str] = ()
    unchecked: bool = False

    @property
    def words(self) -> list[str]:
        """The variables of the dataset and the folders."""
        return without(self.given, "RUN")

    @property
    def of_data(self) -> list[str]:
        """The same, as commands take them that know no runs."""
        return without(self.given, "RUN", "RUNS", "TAG")

    def train(self, run: Run, *sets: str) -> str:
        """A sweep of feature sets by a run's configuration, under a TAG while outdated runs have folders."""
        tag = ["TAG=new"] if self.outdated and not run.config.get("tag") else []
        return make_command("sweep", *self.words, *tag, f"FEATURES={' '.join(sets)}", *own_words(run))


def next_command(facts: Facts, ranking: Ranking | None, situation: Situation) -> NextCommand:
    """What to do next: mend the data, then a first run, its like, its missing folds, seeds, a larger set."""
    leak = any(threat.kind == "duplicates" for threat in facts.threats)
    if leak or situation.unchecked:
        check = shlex.join(["python", "-m", "pipeline", "check", *situation.of_data])
        return NextCommand(check, "leak" if leak else "check")
    trained = [run for run in ranking.runs if run.trained] if ranking else []
    if ranking is None or not trained:
        return first_run(situation)
    best = trained[0]
    words = situation.words
    close = {row.run for row in (facts.rows[0], *facts.tied)}
    compared = [run for run in trained if run.name in close] if facts.tied else trained[:2]
    if any(run.name in situation.outdated for run in compared):
        return NextCommand(sweeps([*words, f"TAG={best.config.get('tag', '')}new"], compared), "again")
    if len(facts.rows) == 1:
        return second_set(best, situation)
    if any(run.missing_folds for run in compared):
        return NextCommand(sweeps(words, compared), "folds")
    drawn = [run for run in compared if not run.exact]
    if not drawn:
        return NextCommand(make_command("train", *words, f"FEATURES={best.features}"), "network")
    lacking = [run for run in drawn if len(run.seeds) < len(SEEDS)]
    if lacking and (facts.state == "winner" or facts.recordings_needed <= facts.recordings):
        several = f"all {len(drawn)} that are tied" if facts.tied else "the best and the next"
        return NextCommand(sweeps(words, lacking, SEEDS), "seeds", several if len(drawn) > 1 else "the best")
    return larger_set(ranking, best, situation)


def first_run(situation: Situation) -> NextCommand:
    """On what the cache holds; features first if that is nothing, or the waveform alone."""
    if situation.untrainable:
        return NextCommand(make_command("data", *situation.of_data), "untrainable", situation.untrainable)
    vectors = [name for name, frames in situation.stored.items() if frames == 1]
    if together := "+".join(first_compared(situation.stored) or vectors[:1]):
        return NextCommand(make_command("train", *situation.words, f"FEATURES={together}"), "first")
    return NextCommand(make_command("features", *situation.of_data), "first")


def second_set(run: Run, situation: Situation) -> NextCommand:
    """The features of a combined set alone, or a single feature combined, which the cache may lack."""
    single = list(dict.fromkeys(run.features.split("+")))
    if len(single) > 1:
        return NextCommand(situation.train(run, *single), "combine")
    liked = "mfcc" if single[0] != "mfcc" else "mel"
    cached = first_compared({name: n for name, n in situation.stored.items() if name != single[0]})
    other = liked if not cached or liked in cached else cached[0]
    command = situation.train(run, other, f"{single[0]}+{other}")
    if situation.stored and not cached:
        command = f"{make_command('features', *situation.of_data, f'FEATURES={other}')} && {command}"
    return NextCommand(command, "combine")


def larger_set(ranking: Ranking, best: Run, situation: Situation) -> NextCommand:
    """The best set with the best single feature that it lacks; else what each adds; else its use."""
    peers = [run for run in ranking.runs if differing_options(run, best) <= {"features"}]
    trained = [run.channels for run in ranking.runs if run.trained]
    for run in peers:
        larger = best.channels + run.channels
        if "+" not in run.features and run.features not in best.channels and larger not in trained:
            return NextCommand(situation.train(best, f"{best.features}+{run.features}"), "add")
    runs = [word for word in situation.words if word.startswith("RUNS=")]
    if best.name in situation.explained:
        return NextCommand(make_command("predict", "AUDIO=FILE", f"RUN={best.name}", *runs), "predict")
    folders = [*runs, *(word for word in situation.words if word.startswith("DATA="))]
    return NextCommand(shlex.join(["python", "-m", "train", "explain", best.name, *folders]), "explain")


def without(words: Sequence[str], *names: str) -> list[str]:
    """The NAME=value words of other names."""
    return [word for word in words if word.partition("=")[0] not in names]


def own_words(run: Run, given: Sequence[str] = ()) -> list[str]:
    """The NAME=value words of the run's configuration, but for its features, its seed, what is `given`."""
    words = run.config.get("command", [f"MODEL={run.model}"])
    return without(words, "FEATURES", "SEED", *(word.partition("=")[0] for word in given))


def sweeps(given: Sequence[str], runs: Sequence[Run], seeds: Sequence[int] = ()) -> str:
    """A command for all of these runs with these seeds, or each with its own; one part a configuration."""
    sets: dict[tuple[str, ...], list[str]] = {}
    for run in runs:
        numbers = " ".join(map(str, seeds or run.seeds))
        words = [*own_words(run, given), *([f"SEED={numbers}"] if numbers != "0" else [])]
        sets.setdefault(tuple(words), []).append(run.features)
    return " && ".join(
        make_command("sweep", *given, f"FEATURES={' '.join(dict.fromkeys(features))}", *words)
        for words, features in sets.items()
    )


def train_again(run: Run, given: Sequence[str]) -> str:
    """The command that trains all seeds of a run anew; '' for an ensemble and if run.json does not say.

    `given` are the words that name the dataset and the folders.
    """
    words = run.config.get("command")
    if words is None or not run.trained:
        return ""
    seeds = [f"SEED={' '.join(map(str, run.seeds))}"] if run.seeds != (0,) else []
    return make_command("sweep" if len(run.seeds) > 1 else "train", *given, *words, *seeds)
