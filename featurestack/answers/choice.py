"""The choice of features: for each test fold without this fold, and for later use.

A feature that is chosen by its score on a test fold is tested on clips that chose it,
which flatters the result. Leaving out that score is not enough, because the models of
the other folds were trained on the clips of the test fold. So a fit that chooses for a
fold neither trains nor scores on its clips: the fit without folds 1 and 2 is scored on
2 to choose for 1, and on 1 to choose for 2.

Every set is trained by ridge, an exact model, and has a score of its own: each fold
answered by the model of the others. The candidates are SETS, which were chosen on other
data (docs/explanation/accuracy.md), and the best feature, the best two, the best three.
The candidate with the highest score is taken, the first of equal ones. Recommended is
the set with the highest score of all folds. That score is printed with it; it may be
too high, since the same clips chose the set.

Where folds are drawn and clips are few, each set's own score is the mean over several
drawings of the folds. What is chosen inside the folds is chosen in the first of them.

runs/<dataset>/answer/fold1/predictions.csv holds the test clips of a fold, by the run
of the set that was chosen without this fold, and choice.json what was chosen.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, combinations
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from featurestack.answers import DIFFERENCE, AnswerOptions
from featurestack.answers.chosen import FILE, Choice, write_choice
from featurestack.base.json_content import digest
from featurestack.base.options import part_of
from featurestack.base.own_files import OwnFiles
from featurestack.base.quantities import counted, plural
from featurestack.base.terminal import progress, silenced, tell
from featurestack.comparison.scores import Predictions
from featurestack.comparison.significance import TRAINING_VARIANCE
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.feature_names import parse_feature_name
from featurestack.features_cache.folds import draw_folds
from featurestack.pipeline.features import FEATURES
from featurestack.results.config import RUN_FORMAT, Plain, RunConfig
from featurestack.results.dataset_folders import register
from featurestack.results.run_folder import (
    RunFolder,
    register_run,
    write_config,
    write_predictions,
)
from featurestack.train.fits import (
    RIDGE,
    Fits,
    Part,
    fits_of,
    quick_score,
    ranking_of,
    tested_by,
)
from featurestack.train.options import RunOptions
from featurestack.train.plan import Positions, make_plan
from featurestack.train.training import execute

FRAME_WORD = re.compile(r"\bframe=[\d.]+,?")  # mel@frame=46 takes the place of mel
LARGEST_SET = 3  # most features of a set of the highest
YAMNET, SPEECH = "embedding@model=yamnet", "embedding@model=speech"
# Sets that are tried whatever their features' scores are: first those of networks. The
# members that are not there are left out.
SETS = (
    f"{YAMNET}+imagenet@of=mel",
    f"{YAMNET}+imagenet@of=mel+imagenet@of=gammatone+imagenet@of=pcen",
    f"{YAMNET}+imagenet@of=mel+imagenet@of=mfcc",
    f"{SPEECH}+{YAMNET}+imagenet@of=mel",
    "texture@of=mel+texture@of=mfcc",
    "mel+mfcc+modulation",
    "mel+mfcc+contrast+modulation+pcen+gammatone",
)
# Above this number of folds, or below three, folds of the training clips are drawn for
# each tested fold: 9 folds have 36 pairs.
MOST_PAIRED = 9
INNER_FOLDS = 4
COMPARED_BY_CLASS = 5  # single features
# Clips up to which sets are scored on several drawings of the folds. An answer then
# takes 1.7 times as long (240 spoken digits, 31 features: 34 s instead of 20 s).
REPEATED_CLIPS = 500
# what the run of an answer takes from the run of its set for later use
SHARED = (
    "dataset synthetic task seed folds classes sample_rate duration identity"
    " sounds clips folds_drawn"
)

# the tested fold that a choice is for; None for the choice for later use
Outer: TypeAlias = int | None


def fits_that_choose(fits: Fits) -> dict[Outer, list[tuple[Part, Positions]]]:
    """The fits that choose for each fold, and the clips whose score chooses: for later
    use one fit per fold; for the tested folds one per pair of folds, which chooses for
    both, or INNER_FOLDS per fold.
    """
    folds, chosen_for = [*fits.splits], fits.plan.config.folds
    choosing: dict[Outer, list[tuple[Part, Positions]]] = {None: []}
    for fold in folds:
        tested = np.sort(fits.tested(fold))
        choosing[None].append((Part(fits.trained(fold), tested), tested))
    if not 3 <= len(folds) <= MOST_PAIRED:
        return choosing | {fold: drawn(fits, fold) for fold in chosen_for}
    choosing |= {fold: [] for fold in chosen_for}
    for first, second in combinations(folds, 2):
        scored = {}
        for outer, inner in ((first, second), (second, first)):
            # without clips whose recording lies in the outer fold
            tested = np.intersect1d(fits.tested(inner), fits.trained(outer))
            if outer in chosen_for and len(tested):
                scored[outer] = tested
        train = np.intersect1d(fits.trained(first), fits.trained(second))
        if scored and len(train):
            part = Part(train, np.unique(np.concatenate([*scored.values()])))
            for outer, tested in scored.items():
                choosing[outer].append((part, tested))
    return choosing


def drawn(fits: Fits, fold: int) -> list[tuple[Part, Positions]]:
    """The fits that choose for a fold, on drawn folds of its training clips."""
    train = np.sort(fits.trained(fold))
    table = fits.plan.cache.clips.iloc[train]
    folds = draw_folds(table["label"], table["group"], INNER_FOLDS, 0, {})
    parts = [Part(train[folds != k], train[folds == k]) for k in np.unique(folds)]
    return [(part, part.tested) for part in parts]


@dataclass(frozen=True)
class SetScores:
    """The scores of feature sets by the fits that choose."""

    fits: Fits
    # feature set, chosen for -> score
    known: dict[tuple[str, Outer], float] = field(default_factory=dict)

    @cached_property
    def choosing(self) -> dict[Outer, list[tuple[Part, Positions]]]:
        return fits_that_choose(self.fits)

    def of(self, features: str, outer: Outer) -> float:
        """The score of a set, in any order, on the clips that choose for a fold, all
        fits together.
        """
        plan, choosing = self.fits.plan, self.choosing[outer]
        names = sorted(features.split("+"), key=plan.channel_names.index)
        features = "+".join(names)
        if (features, outer) in self.known:
            return self.known[features, outer]
        answers = self.fits.logits(features, [part for part, _ in choosing])
        logits = [
            of_part[np.searchsorted(part.tested, tested)]
            for (part, tested), of_part in zip(choosing, answers)
        ]
        tested = np.concatenate([tested for _, tested in choosing])
        predictions = replace(
            self.fits.predictions(np.concatenate(logits), tested),
            folds=np.repeat(np.arange(len(logits)), [*map(len, logits)])[None],
        )
        score = predictions.metric.score(predictions)
        self.known[features, outer] = score
        return score


def ranked_features(scores: SetScores, names: Sequence[str], outer: Outer) -> list[str]:
    """The features, the highest score first; ties keep the given order."""
    return sorted(names, key=lambda name: -round(scores.of(name, outer), 12))


def candidate_sets(scores: SetScores, outer: Outer) -> list[str]:
    """The sets to choose from for a fold, with their features in the plan's order."""
    names = scores.fits.plan.channel_names
    stored = {FRAME_WORD.sub("", name).rstrip("@,"): name for name in names}
    sets = [[stored[n] for n in each.split("+") if n in stored] for each in SETS]
    ranked = ranked_features(scores, names, outer)
    sets += [ranked[:size] for size in range(1, LARGEST_SET + 1)]
    joined = ("+".join(sorted(each, key=names.index)) for each in sets if each)
    return [*dict.fromkeys(joined)]


def choose_set(scores: SetScores, outer: int) -> str:
    """The choice for a fold: the candidate with the highest score, the first of equal
    ones.
    """
    sets = candidate_sets(scores, outer)
    return max(sets, key=lambda features: round(scores.of(features, outer), 12))


# ---- ranking and training


def rank(options: AnswerOptions, cache: Cache, features: Sequence[str]) -> SetScores:
    names = rankable(cache, features)
    given = {"features": "+".join(names), "model": RIDGE}
    plan = make_plan(part_of(options, RunOptions, **given))
    fits = replace(fits_of(plan), repeats=len(plan.table) <= REPEATED_CLIPS)
    scores = SetScores(fits)
    choosing = [*chain(*scores.choosing.values())]
    for name in progress(plan.channel_names, label="ranking", unit="features"):
        scores.fits.logits(name, [part for part, _ in choosing])
    return scores


def choose_sets(scores: SetScores, command: Sequence[str]) -> Choice:
    """The sets for each tested fold and for later use, which have no runs yet."""
    fits = scores.fits
    folds = progress(fits.plan.config.folds, label="choosing", unit="folds")
    sets = [choose_set(scores, fold) for fold in folds]
    rows = set_rows(scores, sets)
    return Choice(
        protocol=fits.protocol,
        rows=tuple(rows),
        sets=tuple(sets),
        runs=(),
        recommended=str(rows[0]["features"]),
        recommended_run="",
        words=tuple(command),
        together=compared_with_singles(scores, sets),
        classes=tuple(class_rows(scores)),
    )


def rankable(cache: Cache, names: Sequence[str]) -> list[str]:
    """The features with the most clips. Their order, which decides ties, is that of
    `make features`, however they were given.
    """
    known = [*FEATURES.complete()]

    def place(name: str) -> tuple[int, str]:
        base = parse_feature_name(name).name
        return known.index(base) if base in known else len(known), name

    counts = {
        name: int(cache.readable([name]).sum())
        for name in sorted(names, key=place)
        if name in cache.features
    }
    most = max(counts.values(), default=0)
    for name, count in counts.items():
        if count < most:
            tell(f"{name} is left out: it has {count:,} of {counted(most, 'clip')}")
    return [name for name, count in counts.items() if count == most]


def train(
    options: AnswerOptions,
    folder: Path,
    folds: Sequence[int],
    choice: Choice,
    *,
    balanced: bool,
) -> RunFolder:
    """Train the set of each fold without it, and the set for later use on every fold;
    a single feature has one run.

    balanced  whether the score that chose them, and so the fit, counts classes equally
    """
    balance = "loss" if balanced else "none"
    later = choice.recommended
    jobs = [*zip(folds, choice.sets)]
    jobs += [(fold, later) for fold, chosen in jobs if chosen != later]
    runs = {}
    for fold, name in progress(jobs, label="training", unit="trainings"):
        with silenced():
            given = {"features": name, "model": RIDGE, "folds": (fold,)}
            given["balance"] = balance
            runs[name] = execute(part_of(options, RunOptions, **given))
    if len(choice.candidates) == 1:
        return runs[later]
    by_fold = {fold: runs[name] for fold, name in zip(folds, choice.sets)}
    return write_answer(folder, by_fold, runs[later], choice)


# ---- the run folder


def write_answer(
    folder: Path,
    runs: Mapping[int, RunFolder],
    later: RunFolder,
    choice: Choice,
) -> RunFolder:
    """Write the run folder of an answer, with the choice in it, over a former one.

    runs   tested fold -> the run that has trained its set on the other folds
    later  the run of the set that is recommended for later use
    """
    register_run(folder, runs, ("predictions.csv",), FILE)
    register(OwnFiles(folder), later.config.dataset_identity)
    # first: a kill in between leaves no run instead of one with another choice's folds
    (folder / "run.json").unlink(missing_ok=True)
    for fold, run in runs.items():
        table = run.predictions(fold).query("split == 'test'")
        probabilities = table[run.classes].to_numpy(np.float32)
        write_predictions(folder / f"fold{fold}", table, probabilities, run.classes)
    config = later.config
    trained = {run.name: run.config for run in (later, *runs.values())}
    sets = tuple(run.config.features for run in runs.values())
    names = [*choice.candidates]
    frame = "".join(f", {word}" for word in choice.words if word.startswith("FRAME="))
    hash_ = digest(
        [[trained_run.hash for trained_run in trained.values()], sets, names]
    )
    choice = replace(
        choice,
        sets=sets,
        runs=tuple(trained),
        recommended=config.features,
        recommended_run=later.name,
    )
    write_choice(folder, choice)
    of_answer = RunConfig(
        **{name: getattr(config, name) for name in SHARED.split()},
        format_version=RUN_FORMAT,
        made_by="choice",
        features=f"the choice from {counted(len(names), 'feature')}{frame}",
        model=config.model,
        val="none",
        exact=config.exact,
        protocol=f"{config.protocol}; features chosen without the tested fold",
        hash=hash_,
        family=hash_,
        seconds=sum(trained_run.seconds for trained_run in trained.values()),
        cache=dict(
            pair
            for trained_run in trained.values()
            for pair in trained_run.cache.items()
        ),
        members=tuple(trained),
    )
    write_config(folder, of_answer)  # last: it makes the folder a run
    return RunFolder(folder)


def set_rows(scores: SetScores, sets: Sequence[str]) -> list[dict[str, Plain]]:
    """A row of SET_COLUMNS for each feature, each candidate of all folds and each set
    of a fold, the highest score first, without unknown numbers.

    The set with the highest score is compared with each other one as a report compares
    runs: by sign flips of recordings, corrected because it was selected by the scores
    that are tested.
    """
    fits = scores.fits
    parts = [part for part, _ in scores.choosing[None]]
    names = [*candidate_sets(scores, None), *fits.plan.channel_names, *sets]
    models = {
        name: fits.repeated(name)
        if len(fits.drawings) > 1
        else fits.predicted(name, parts)
        for name in dict.fromkeys(names)
    }
    rows: dict[str, dict[str, Any]] = {}
    for name, model in models.items():
        score = quick_score(model)
        rows[name] = {
            "features": name,
            "estimate": score.value,
            "low": score.low,
            "high": score.high,
            "folds": sets.count(name),
            "verdict": "best",
        }
    names = sorted(models, key=lambda name: -round(rows[name]["estimate"], 12))
    ranking = ranking_of([models[name] for name in names])
    for place, difference in enumerate(ranking.differences, 1):
        row = rows[names[place]]
        row["verdict"] = ranking.verdict(place)
        row |= zip(DIFFERENCE, (difference.value, difference.low, difference.high))
    # without NaN
    return [{k: v for k, v in rows[name].items() if v == v} for name in names]


def compared_with_singles(scores: SetScores, sets: Sequence[str]) -> dict[str, Plain]:
    """`together`, `alone` and the DIFFERENCE of `Choice.together`, with a verdict."""
    fits = scores.fits
    plan, names = fits.plan, fits.plan.channel_names
    singles = [ranked_features(scores, names, fold)[0] for fold in plan.config.folds]
    if singles == [*sets]:
        return {}
    both = [chosen_in_folds(fits, chosen) for chosen in (sets, singles)]
    together, alone = (model.metric.score(model) for model in both)
    # the order decides which of the two has to be better than chance
    ranking = ranking_of(both if together >= alone else both[::-1])
    (gain,) = ranking.compare([(1, 0) if together >= alone else (0, 1)])
    found: dict[str, Any] = {"together": together, "alone": alone}
    found |= zip(DIFFERENCE, (gain.value, gain.low, gain.high))
    verdict = "a clear difference" if gain.p < ranking.level else "no clear difference"
    units = plural(plan.cache.groups or "recording")
    found["verdict"] = f"too few {units} for a verdict" if ranking.untested else verdict
    return {key: value for key, value in found.items() if value == value}  # but NaN


def chosen_in_folds(fits: Fits, chosen: Sequence[str]) -> Predictions:
    """The answers to each fold by the set that was chosen for it."""
    parts = zip(chosen, fits.parts)
    answers = np.concatenate([fits.logits(name, [part])[0] for name, part in parts])
    predictions = fits.predictions(answers, tested_by(fits.parts))
    return replace(predictions, variance=TRAINING_VARIANCE)


def class_rows(scores: SetScores) -> list[dict[str, Plain]]:
    """Each class with its recall by the best single features; no rows for tags, which
    are not scored by recall.
    """
    fits = scores.fits
    plan = fits.plan
    if fits.metric.multilabel:
        return []
    labels = plan.indicator(fits.tested_clips)
    best = ranked_features(scores, plan.channel_names, None)[:COMPARED_BY_CLASS]
    right = {name: fits.repeated(name).correct for name in best}
    return [
        {"class": label} | {n: float(right[n][of_class].mean()) for n in best}
        for label, of_class in zip(plan.names, labels.T)
        if of_class.any()
    ]
