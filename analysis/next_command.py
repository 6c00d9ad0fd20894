"""The command that a report proposes: what to train next, by what was found.

Only runs of the main ranking count, so that a run that stopped after one fold long ago never decides.
"""

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from analysis.ablations import channel_counts
from analysis.answer import families
from analysis.ranking import Ranking
from analysis.results import Run
from commandline.options import make_command
from features_cache.names import first_compared

SEEDS = 3  # with which a standard deviation over seeds means something


@dataclass(frozen=True)
class NextCommand:
    """A command to copy, and what it would show."""

    command: str
    reason: str


def next_command(
    given: Sequence[str],
    ranking: Ranking | None,
    kind: str,
    lacking: str = "",
    explained: Collection[str] = (),
    stored: Mapping[str, int] = MappingProxyType({}),
    untrainable: str = "",
    outdated: Sequence[Run] = (),
) -> NextCommand:
    """What to do next after an answer of this kind; `given` are the variables that ask for the report.

    Where clips are `lacking`, in words, no further seeds are proposed: they would not decide. Runs that are
    `explained` already are not explained again. `stored` are the cache's features with their frames, for a
    first run; or in words why its clips are `untrainable`. `outdated` runs are of former clips or folds, and
    their folders stay theirs.
    """
    where = _without(given, "RUN=")
    trained = [run for run in ranking.runs if run.trained] if ranking else []
    if ranking is None or not trained:
        shown = NextCommand(make_command("data", *_without(where, "RUNS=", "TAG=")), untrainable)
        return shown if untrainable else NextCommand(_first_run(where, stored), "a first run")
    compared = _compared(ranking, trained)
    former = {run.name for run in outdated}
    if any(run.name in former for run in compared):
        again = _sweeps([*where, f"TAG={_free_tag(outdated)}"], compared, {})
        return NextCommand(again, "trains them on the clips and folds of today")
    if kind == "one run":
        return _second_set(where, trained[0], stored, outdated)
    if any(run.missing_folds for run in compared):
        return NextCommand(_sweeps(where, compared, {}), "trains their missing folds")
    drawn = [run for run in compared if not run.exact]
    if not drawn:
        return NextCommand(
            make_command("train", *where, f"FEATURES={trained[0].features}"), "a network on the same features"
        )
    if lacking:
        found = _larger_set(where, ranking, trained[0], explained, outdated)
        return NextCommand(found.command, f"{found.reason}; more seeds would not decide: {lacking}")
    if any(len(run.seeds) < SEEDS for run in drawn):
        which, seeds = _which(ranking, drawn), _seeds(drawn)
        short = [run for run in drawn if not set(seeds) <= set(run.seeds)]
        return NextCommand(
            _sweeps(where, short, {run.name: seeds for run in short}),
            f"{SEEDS} seeds of {which}: how much the accuracy varies between seeds",
        )
    return _larger_set(where, ranking, trained[0], explained, outdated)


def _without(words: Sequence[str], *beginnings: str) -> list[str]:
    return [word for word in words if not word.startswith(beginnings)]


def _first_run(where: Sequence[str], stored: Mapping[str, int]) -> str:
    """On what the cache holds; features first where that is nothing, or the waveform alone."""
    vectors = [name for name, frames in stored.items() if frames == 1]
    together = "+".join(first_compared(stored) or vectors[:1])
    if not together:
        return make_command("features", *_without(where, "RUNS=", "TAG="))
    return make_command("train", *where, f"FEATURES={together}")


def _compared(ranking: Ranking, trained: Sequence[Run]) -> list[Run]:
    """The best and all that tie with it; of a clear winner, it and the next."""
    tied = {run.name for run in (ranking.best, *ranking.tied)}
    close = [run for run in trained if run.name in tied] if ranking.tied else []
    return close or list(trained[:2])


def _which(ranking: Ranking, runs: Sequence[Run]) -> str:
    if not ranking.tied:
        return "the best and the next"
    return {1: "the best", 2: "both that are tied"}.get(len(runs), f"all {len(runs)} that are tied")


def own_words(run: Run, where: Sequence[str] = ()) -> list[str]:
    """The NAME=value words of the run's configuration, but for its features, its seed, what `where` says."""
    words = run.config.get("command", [f"MODEL={run.config['model']}"])
    said = {"FEATURES", "SEED", *(word.partition("=")[0] for word in where)}
    return [word for word in words if word.partition("=")[0] not in said]


def _sweeps(where: Sequence[str], runs: Sequence[Run], seeds: dict[str, list[int]]) -> str:
    """A command for all of these runs, one part a configuration; `seeds` by name, else those they have."""
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        wanted = seeds.get(run.name, run.seeds)
        words = [
            *own_words(run, where),
            *([] if tuple(wanted) == (0,) else [f"SEED={' '.join(map(str, wanted))}"]),
        ]
        groups.setdefault(tuple(words), []).append(run)
    return " && ".join(
        make_command("sweep", *where, f"FEATURES={' '.join(run.features for run in together)}", *words)
        for words, together in groups.items()
    )


def _seeds(runs: Sequence[Run]) -> list[int]:
    """The seeds that any of the runs has, and the lowest others, SEEDS in all at least."""
    seeds = {seed for run in runs for seed in run.seeds}
    others = (seed for seed in range(SEEDS + len(seeds)) if seed not in seeds)
    while len(seeds) < SEEDS:
        seeds.add(next(others))
    return sorted(seeds)


def _free_tag(outdated: Sequence[Run]) -> str:
    """`new`, or `new2` and so on where an outdated run is called so."""
    taken = {run.config.get("tag") for run in outdated}
    return next(tag for tag in ("new", *(f"new{n}" for n in range(2, 1000))) if tag not in taken)


def _second_set(
    where: Sequence[str], run: Run, stored: Mapping[str, int], outdated: Sequence[Run]
) -> NextCommand:
    """The features of a combined set alone, or a single feature combined, which the cache may lack."""
    single = list(dict.fromkeys(run.features.split("+")))
    if len(single) > 1:
        return NextCommand(_train(where, run, single, outdated), "shows what combining gains")
    liked = ["mfcc" if single[0] != "mfcc" else "mel"]
    cached = first_compared({name: frames for name, frames in stored.items() if name != single[0]})
    other = (liked if not cached or liked[0] in cached else cached)[0]
    command = _train(where, run, [other, f"{single[0]}+{other}"], outdated)
    if stored and not cached:
        features = make_command("features", *_without(where, "RUNS=", "TAG="), f"FEATURES={other}")
        command = f"{features} && {command}"
    return NextCommand(command, "shows what combining gains")


def _larger_set(
    where: Sequence[str],
    ranking: Ranking,
    best: Run,
    explained: Collection[str],
    outdated: Sequence[Run],
) -> NextCommand:
    """The best set with the best single feature that it lacks; else what each adds; else its use."""
    peers = next(one for one in families(ranking) if best in one)
    known = [channel_counts(run) for run in ranking.runs if run.trained]
    for run in peers:
        larger = channel_counts(best) + channel_counts(run)
        if "+" not in run.features and run.features not in channel_counts(best) and larger not in known:
            command = _train(where, best, [f"{best.features}+{run.features}"], outdated)
            return NextCommand(command, "adds the best single feature that the best set lacks")
    folders = [word for word in where if word.startswith(("DATA=", "RUNS="))]
    if best.name in explained:
        at = [word for word in folders if word.startswith("RUNS=")]
        command = make_command("predict", "AUDIO=FILE", f"RUN={best.name}", *at)
        return NextCommand(command, "predicts new recordings")
    words = shlex.join(["python", "-m", "train", "explain", best.name, *folders])
    return NextCommand(words, "shows which feature matters for which class")


def _train(where: Sequence[str], run: Run, sets: Sequence[str], outdated: Sequence[Run]) -> str:
    """A sweep of these sets by the run's configuration, with a TAG where an outdated run has the folder."""
    if any(one.features in sets and own_words(one) == own_words(run) for one in outdated):
        where = [*where, f"TAG={_free_tag(outdated)}"]
    return make_command("sweep", *where, f"FEATURES={' '.join(sets)}", *own_words(run, where))
