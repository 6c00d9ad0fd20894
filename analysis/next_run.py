"""The command that a report proposes: first what the data needs, then what is left to
do for the ranked runs.

A proposal changes no number: a report corrects its verdicts for every run that was
trained, so that following one does not flatter the result. A command keeps the words
that a run was trained with.
"""

from collections.abc import Sequence
from dataclasses import replace

from featurestack.analysis.findings import Findings
from featurestack.analysis.page import Page
from featurestack.analysis.runs import Run
from featurestack.base import NAMED
from featurestack.base.errors import make_command
from featurestack.base.files import is_file, may_write
from featurestack.base.next_step import (
    PLACEHOLDERS,
    State,
    first_compared,
    next_step,
    unframed,
    without,
)
from featurestack.features_cache.hdf5 import Attributes
from featurestack.features_cache.table import untrainable

# kind of a proposal -> what its command does
NEXT = {
    "extract": "extracts the features of the present clips",
    "group": "keeps clips of one speaker, site or device on one side of every test",
    "first": "a first run",
    "untrainable": "lists classes and folds; training needs two of each",
    "check": (
        "looks for the same audio or speaker in different folds, and for recording"
        " conditions that predict the class"
    ),
    "folds": "trains the missing folds",
    "combine": "shows what combining gains",
    "different": "tries other features: none of these is clearly better than chance",
    "predict": f"predicts new recordings; {PLACEHOLDERS['=FILE']}",
}


def training_of(given: Sequence[str], runs: Sequence[Run]) -> str:
    """The commands that train all seeds of these runs. Runs that differ only in
    features share a command.
    """
    sets: dict[tuple[str, ...], list[str]] = {}
    for run in runs:
        words = own_words(run)
        numbers = " ".join(map(str, run.seeds))
        if numbers != "0":
            words.append(f"SEED={numbers}")
        sets.setdefault(tuple(words), []).append(run.features)
    return " && ".join(
        make_command("train", *given, f"FEATURES={' '.join(dict.fromkeys(each))}", *own)
        for own, each in sets.items()
    )


def own_words(run: Run) -> list[str]:
    """The NAME=value words a run was trained with, except its features and seed."""
    return without(run.config.command or [f"MODEL={run.model}"], "FEATURES")


def next_run(found: Findings, state: State, *, audio: bool = True) -> tuple[str, str]:
    """The command for runs of the main ranking and the key of its reason, or '' and ''
    if nothing is left to do; without `audio` nothing more can be computed.
    """
    trained = [own.run for own in found.ranked if own.run.trained]
    tried = {unframed(name) for run in trained for name in run.channels}
    others = {n: count for n, count in state.frames.items() if unframed(n) not in tried}
    untried = first_compared(others)
    sets: list[str] = []
    kind = ""
    if trained and found.state == "chance" and untried:
        sets, kind = untried, "different"
    elif len(found.ranked) == 1 and not found.is_answer:
        # the features of a single run, or with another
        sets, kind = [*trained[0].channels], "combine"
        if len(sets) == 1:
            sets = [n for one in untried[:1] for n in (one, f"{sets[0]}+{one}")]
    apart = {own.run.features for own in found.others}
    if sets and not apart & {*sets}:  # a set that is not compared shows nothing
        words = f"FEATURES={' '.join(sets)}", *own_words(trained[0])
        return make_command("train", *state.given, *words), kind
    if any(run.missing_folds for run in trained[:2]):
        return training_of(state.given, trained[:2]), "folds"
    if not audio or found.state == "chance" or not found.main:
        return "", ""
    if not trained:
        return "", ""
    recommended = trained[0].name
    # with its dataset: others may have a run of that name
    runs = [word.partition("=")[2] for word in state.given if word.startswith("RUNS=")]
    run = "/".join([*runs, found.main.best.dataset, recommended])
    return make_command("predict", "AUDIO=FILE", f"RUN={run}"), "predict"


def propose(page: Page, checked: Sequence[Attributes] | None) -> tuple[str, str] | None:
    """The next command to propose, and its reason; None if nothing is left to do."""
    cache, found = page.cache, page.found
    if found.runs and not cache and all(run.imported for run in found.runs):
        return None
    trained = any(own.run.trained for own in found.ranked)
    state = State(
        given=without(page.job.given, "RUN"),
        leak="W1" in found.warnings,
        begun=trained or found.is_answer,
    )
    audio = True
    if cache:
        paths = cache.clips["path"]
        audio = bool((paths != "").any())
        changed = "W5" in found.warnings
        state = replace(
            state,
            frames={name: cache[name].frames for name in page.features},
            untrainable=bool(untrainable(cache.clips)),
            # the audio is the user's own, and `check` may keep what it finds
            unchecked=checked is None
            and not changed
            and may_write(cache.folder.parent)
            and page.job.dataset not in NAMED
            and not cache.synthetic
            and any(is_file(path) for path in paths.head(20)),
            incomplete=changed,
            source=found.new_values["names"][1:] if found.new_values else (),
            split_by_clip=audio and bool(found.new_values),
        )
    command, kind = next_step(state)
    if not command:
        command, kind = next_run(found, state, audio=audio)
    return (command, NEXT[kind]) if command else None
