"""The command to type next, after a report that ranks runs.

Its steps follow those of `results.next_step`, which has the rules for all of them.
"""

from collections.abc import Iterable, Sequence

from featurestack.commandline.spelling import make_command
from featurestack.results.next_step import (
    QUICK,
    STEPS,
    Report,
    State,
    Steps,
    Trained,
    first_compared,
    next_step,
    predict_by,
    sweeps,
    unframed,
    without,
)

# features to try next, the first one first
DIFFERENT = ("mel", "mfcc", "modulation", "contrast", "chroma")
MOST_CELLS = 6  # feature sets that a model is proposed to be trained on at once
SEEDS = (0, 1, 2)  # three give a useful standard deviation over seeds


def promising_first(names: Iterable[str]) -> list[str]:
    """The features in DIFFERENT before the others, which keep their order: for a
    ranking that may be cut short.

    >>> promising_first(["bandwidth", "chroma", "mel@n_fft=768", "rms"])
    ['mel@n_fft=768', 'chroma', 'bandwidth', 'rms']
    """
    given = list(names)
    first = [name for best in DIFFERENT for name in given if unframed(name) == best]
    return [*first, *(name for name in given if name not in first)]


def form(state: State, features: str) -> frozenset[str]:
    """The forms in a feature set: maps, vectors, waveform. A model that takes
    one form may not take another.
    """
    forms = set()
    for channel in features.split("+"):
        bare = unframed(channel)
        if bare == "waveform":
            forms.add(bare)
        else:
            forms.add("vectors" if state.cached.get(channel) == 1 else "maps")
    return frozenset(forms)


def train(state: State, run: Trained, *sets: str) -> str:
    """The command that trains a run's configuration on these sets; RETRAIN=1 if a
    run is stale.
    """
    given = list(state.given)
    if state.stale:
        given.append("RETRAIN=1")
    return make_command("sweep", *given, f"FEATURES={' '.join(sets)}", *run.words)


def extracted(state: State, features: Sequence[str], command: str) -> str:
    """The command, preceded by the extraction of those features that an existing
    cache lacks.
    """
    lacking = [name for name in features if name not in state.cached]
    if not (state.cached and lacking):
        return command
    extraction = state.of_data("features", f"FEATURES={' '.join(lacking)}")
    return f"{extraction} && {command}"


def untried(state: State) -> list[str]:
    """Features that no run has, the first to try first."""
    tried = {unframed(name) for run in state.trained for name in run.channels}
    cached = {}
    for name, frames in state.cached.items():
        if unframed(name) not in tried:
            cached[name] = frames
    first = first_compared(cached)
    if not first and state.audio:
        first = [name for name in DIFFERENT if name not in tried][:2]
    return first


# ---- steps: a command, or '' if this step does not apply


def again(state: State) -> str:
    """A compared run is outdated."""
    if not any(run.outdated for run in ranking(state).compared):
        return ""
    return sweeps([*state.given, "RETRAIN=1"], ranking(state).compared)


def different(state: State) -> str:
    """No run beats chance."""
    features = untried(state)
    if not (ranking(state).chance and features):
        return ""
    command = train(state, ranking(state).best, *features)
    return extracted(state, features, command)


def combine(state: State) -> str:
    """A single run: its features alone, or its feature with another."""
    if ranking(state).ranked > 1:
        return ""
    best = ranking(state).best
    single, *others = best.channels
    if others:
        return train(state, best, single, *others)
    features = untried(state)
    if not features:
        return ""
    other = features[0]
    command = train(state, best, other, f"{single}+{other}")
    return extracted(state, [other], command)


def folds(state: State) -> str:
    """A compared run lacks folds."""
    if not any(run.missing_folds for run in ranking(state).compared):
        return ""
    return sweeps(state.given, ranking(state).compared)


def cells(state: State) -> str:
    """A model lacks feature sets that another model was trained on, and their other
    words agree.
    """
    best = ranking(state).best
    others = without(best.words, "MODEL")
    sets: dict[tuple[str, ...], list[str]] = {}
    for run in ranking(state).trained:
        if without(run.words, "MODEL") == others and max(run.channels.values()) == 1:
            sets.setdefault(run.words, []).append(run.features)
    every = list(dict.fromkeys(name for trained in sets.values() for name in trained))
    commands = []
    for words, trained in sets.items():
        forms = {form(state, features) for features in trained}
        lacking = [
            features
            for features in every
            if features not in trained and form(state, features) in forms
        ]
        if lacking:
            run = Trained(lacking[0], words)
            commands.append(train(state, run, *lacking[:MOST_CELLS]))
    return " && ".join(commands)


def network(state: State) -> str:
    """Only exact solutions so far."""
    if ranking(state).drawn or ranking(state).chance:
        return ""
    best = ranking(state).best
    vectors = all(state.cached.get(name) == 1 for name in best.channels)
    model = [] if vectors or state.framed else [QUICK]
    others = without(best.words, "MODEL")
    features = f"FEATURES={best.features}"
    return make_command("train", *state.given, features, *model, *others)


def seeds(state: State) -> str:
    """Seeds may decide, or more recordings are not needed."""
    found = ranking(state)
    lacking = [run for run in found.drawn if len(run.seeds) < len(SEEDS)]
    if not lacking or not (found.winner or found.enough_recordings):
        return ""
    return sweeps(state.given, lacking, SEEDS)


def add(state: State) -> str:
    """The best set lacks the best single feature."""
    best = ranking(state).best
    sets = [run.channels for run in state.trained]
    for run in state.trained:
        if "+" in run.features or run.features in best.channels:
            continue
        if run.words == best.words and best.channels + run.channels not in sets:
            return train(state, best, f"{best.features}+{run.features}")
    return ""


def paper(state: State) -> str:
    """No audio to predict."""
    return "" if state.audio else make_command("analysis", *state.given, "PAPER=1")


def predict(state: State, audio: str = "FILE") -> str:
    """New audio for the best run."""
    # with its dataset: others may have that name
    return predict_by(state, ranking(state).best.run, audio)


RANKED_STEPS: Steps = {
    **STEPS,
    "again": again,
    "different": different,
    "combine": combine,
    "folds": folds,
    "cells": cells,
    "network": network,
    "seeds": seeds,
    "add": add,
    "paper": paper,
    "predict": predict,
}


def next_run(state: State) -> tuple[str, str]:
    """A command to copy, and the key of its reason in a report's sentences."""
    return next_step(state, RANKED_STEPS)


def ranking(state: State) -> Report:
    """The report's ranking; without one an earlier step has decided."""
    assert state.report
    return state.report
