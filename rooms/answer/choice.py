"""The choice of features: for each test fold without this fold, and for later use.

A feature that is chosen by its score on a test fold is tested on clips that chose it,
which flatters the result. To leave out that score is not enough, because the models of
the other folds were trained on the clips of the test fold. So a fit that chooses for a
fold neither trains nor scores on its clips: the fit without folds 1 and 2 is scored on
2 to choose for 1, and on 1 to choose for 2.

For each fold `linear` ranks the features. The candidates are the best feature, the best
two, the best three, the same three sets of feature maps alone, and COMPLEMENTARY. The
candidate with the highest score is taken, the smallest if scores are equal.
`texturenet` will train a set of maps, `linear` any other one, so that a set with a
vector needs a score that is higher by TEXTURE_GAIN, or by the share SPARED of what the
maps lack to 1 if that is less. Both have seen the test folds of ESC-10 and ESC-50 and
of no other dataset. A feature whose removal does not lower the score is then removed.
The set for later use is chosen in the same way from the scores of all folds together,
if most folds chose it alone too; else it has the features that most folds agree on. No
clip is left to test it, so it has no score.
"""

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
from joblib import cpu_count
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from featurestack.features_cache.splits import Split, fold_split
from featurestack.linear.logistic import WIDEST, LinearModel, fit, strengths
from featurestack.pipeline.datasets.folds import draw_folds
from featurestack.results.config import digest
from featurestack.results.next_step import complementary
from featurestack.results.training_options import STRENGTH
from featurestack.scores.metrics import Floats
from featurestack.scores.tasks.base import clip_metric
from featurestack.storage.files import replace_file
from featurestack.train.fold_data import chunked, read_usable
from featurestack.train.network_input import Statistics
from featurestack.train.plan import Plan, Positions

LARGEST_SET = 3  # most features of a candidate
# Above this number of folds, or below three, folds of the training clips are drawn for
# each tested fold: 9 folds have 36 pairs.
MOST_PAIRED = 9
INNER_FOLDS = 4
# The gain of `texturenet` over `linear` on the same maps: on ESC-50 0.09 to 0.3, a
# third or more of the errors of `linear`; where these are few, it cannot spare 0.1.
TEXTURE_GAIN = 0.1
SPARED = 1 / 3
FITS = 1  # raised if the same fits would have other scores
HEADER = ("features", "values", "chooses_for", "part", "score")

# the tested fold that is chosen for; None is the choice for later use
Outer: TypeAlias = int | None
Numbers: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Part:
    """One fit that chooses: its training clips, and the clips whose score chooses."""

    train: Positions
    scored: Mapping[Outer, Positions]


@dataclass(frozen=True)
class Clips:
    """The clips of a run as `linear` reads them."""

    plan: Plan  # the plan of a run with all features
    numbers: Mapping[str, Numbers]  # feature -> (N, D), a row for each cached clip
    unusable: Mapping[str, str]  # clip id -> why it cannot be read

    @cached_property
    def table(self) -> pd.DataFrame:
        table = self.plan.table
        return table[~table["clip_id"].isin(list(self.unusable))]

    @cached_property
    def maps(self) -> set[str]:
        """The features that are maps, which `texturenet` takes."""
        named = zip(self.plan.channel_names, self.plan.channels, strict=True)
        return {name for name, channel in named if channel.frames > 1}

    @cached_property
    def splits(self) -> dict[int, Split]:
        """Every fold's clips, also of folds that the protocol never tests."""
        folds = sorted(self.table["fold"].unique().tolist())
        return {fold: fold_split(self.table, fold) for fold in folds}

    def trained(self, fold: int) -> Positions:
        return self.plan.cache.positions(self.splits[fold].train)

    def tested(self, fold: int) -> Positions:
        return self.plan.cache.positions(self.splits[fold].test)

    @cached_property
    def parts(self) -> list[Part]:
        """The fits of a feature set: for later use one a fold, for the tested folds one
        for each pair of folds, or INNER_FOLDS for each.
        """
        parts = [
            Part(self.trained(fold), {None: self.tested(fold)}) for fold in self.splits
        ]
        chosen_for = self.plan.folds
        folds = [*self.splits]
        if not 3 <= len(folds) <= MOST_PAIRED:
            return parts + [part for fold in chosen_for for part in self.drawn(fold)]
        for first, second in combinations(folds, 2):
            scored: dict[Outer, Positions] = {}
            for outer, inner in ((first, second), (second, first)):
                if outer in chosen_for:
                    # without clips whose recording lies in the outer fold
                    clips = np.intersect1d(self.tested(inner), self.trained(outer))
                    if len(clips):
                        scored[outer] = clips
            train = np.intersect1d(self.trained(first), self.trained(second))
            if scored and len(train):
                parts.append(Part(train, scored))
        return parts

    def drawn(self, fold: int) -> list[Part]:
        """The fits that choose for a fold, on drawn folds of its training clips."""
        train = self.trained(fold)
        clips = self.plan.cache.clips.iloc[train]
        folds = draw_folds(clips["label"], clips["group"], INNER_FOLDS, 0, {})
        return [
            Part(train[folds != inner], {fold: train[folds == inner]})
            for inner in np.unique(folds)
        ]

    def x(self, features: str) -> Numbers:
        """(N, D) the numbers of a feature set."""
        return np.concatenate([self.numbers[name] for name in features.split("+")], 1)

    def fitted(self, features: str, train: Positions) -> Callable[[Numbers], Floats]:
        """The logits of `linear`; of clips of one class the shares of the classes."""
        classes = len(self.plan.classes)
        shares = self.plan.indicator(train).mean(axis=0)
        if np.isin(shares, [0, 1]).all():
            return lambda tested: np.tile(shares, (len(tested), 1))
        widths = [self.numbers[name].shape[1] for name in features.split("+")]
        targets = self.plan.targets[train]
        x = self.x(features)[train]
        model: LinearModel = fit(x, targets, classes, strengths(widths))
        return model.logits


def read_clips(plan: Plan) -> Clips:
    """Read each feature of the plan once."""
    cache = plan.cache
    as_stored = Statistics.restore({"norm": "none", "centre": 0.0, "scale": 1.0})
    numbers = {}
    unusable: dict[str, str] = {}
    for name, channel in zip(plan.channel_names, plan.channels, strict=True):
        spec = replace(plan.input, channels=(channel,))
        x = np.zeros((len(cache.clips), *spec.widths), np.float32)
        for positions in chunked(plan.table.index.to_numpy()):
            readable, values = read_usable(cache, channel, positions, unusable)
            prepared = spec.prepare([values], [as_stored], cache.filled[readable])
            x[readable] = prepared.flatten(1).numpy()
        numbers[name] = x
    return Clips(plan, numbers, unusable)


@dataclass(frozen=True)
class Scores:
    """The scores of feature sets by the fits that choose, kept in a file."""

    clips: Clips
    folder: Path
    # features -> (chooses for, part) -> score
    known: dict[str, dict[tuple[Outer, int], float]] = field(default_factory=dict)

    @cached_property
    def file(self) -> Path:
        """Scores of other clips, folds, labels or fits are in another file."""
        plan = self.clips.plan
        sides = [
            [fold, list(split.train), list(split.test)]
            for fold, split in self.clips.splits.items()
        ]
        clips = plan.content["clips"]
        fits = [FITS, STRENGTH, WIDEST, plan.training.padding]
        about = digest([fits, plan.training.task, plan.folds, clips, sides])
        return self.folder / f"scores-{about}.csv"

    def values(self, features: str) -> str:
        """The digest of a set's cached values."""
        cached = self.clips.plan.content["cache"]
        channels = dict(zip(self.clips.plan.channel_names, self.clips.plan.channels))
        return digest([cached[channels[name].stored] for name in features.split("+")])

    def read(self) -> None:
        text = self.file.read_text("utf-8") if self.file.is_file() else ""
        whole = text[: text.rfind("\n") + 1]  # a kill may have cut the last line
        header = ",".join(HEADER) + "\n"
        if not whole.startswith(header):
            replace_file(self.file, header)
        elif whole != text:
            replace_file(self.file, whole)
        for row in csv.DictReader(io.StringIO(whole)):
            with suppress(
                ValueError, TypeError, LookupError
            ):  # a damaged row is fitted again
                outer = int(row["chooses_for"]) if row["chooses_for"] else None
                place = outer, range(len(self.clips.parts))[int(row["part"])]
                features, score = row["features"], float(row["score"])
                if row["values"] == self.values(features):
                    self.known.setdefault(features, {})[place] = score

    def add(self, features: str, outers: Sequence[Outer]) -> None:
        """Make the fits that choose for these folds and are lacking."""
        clips = self.clips
        known = self.known.setdefault(features, {})
        lacking = [
            number
            for number, part in enumerate(clips.parts)
            if any(o in part.scored and (o, number) not in known for o in outers)
        ]
        if not lacking:
            return
        x = clips.x(features)
        plan = clips.plan

        def score(number: int) -> dict[Outer, float]:
            part = clips.parts[number]
            logits = clips.fitted(features, part.train)
            scores = {}
            for outer, tested in part.scored.items():
                labels = plan.indicator(tested)
                one_fold = np.zeros(len(tested), np.intp)
                scores[outer] = clip_metric(plan.task).score(
                    labels, logits(x[tested]), one_fold
                )
            return scores

        # a fit takes one thread: several are made side by side
        with threadpool_limits(1), ThreadPoolExecutor(cpu_count()) as threads:
            made = [*threads.map(score, lacking)]
        values = self.values(features)
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        for number, scores in zip(lacking, made):
            for outer, value in scores.items():
                known[outer, number] = value
                writer.writerow([features, values, outer, number, repr(value)])
        # one write: lines of two answers at once do not mix
        with self.file.open("a", encoding="utf-8", newline="") as file:
            file.write(lines.getvalue())

    def mean(self, features: str, outer: Outer) -> float:
        """The mean over the fits that choose for a fold, weighted by their clips."""
        parts = self.clips.parts
        scored = [
            (score, len(parts[number].scored[outer]))
            for (place, number), score in self.known[features].items()
            if place == outer and np.isfinite(score)
        ]
        if not scored:
            return 0.0
        values, clips = zip(*scored)
        return float(np.average(values, weights=clips))


def choose(scores: Scores, names: Sequence[str], outer: Outer) -> str:
    """The set that is chosen for a fold; equal features count in this order."""
    ranked = sorted(names, key=lambda name: -round(scores.mean(name, outer), 12))
    maps = scores.clips.maps
    sets = []
    for size in range(1, LARGEST_SET + 1):
        sets.append({*ranked[:size]})
        sets.append({*[name for name in ranked if name in maps][:size]})
    if known := complementary(names):
        sets.append({*known.split("+")})
    best, highest = "", -np.inf
    for members in filter(None, sets):
        features = "+".join(name for name in names if name in members)
        score = judged(scores, features, outer)
        if score > highest:
            best, highest = features, score
    return pruned(scores, best, outer)


def judged(scores: Scores, features: str, outer: Outer) -> float:
    """The score by which a set is chosen: `texturenet` gains on sets of maps."""
    scores.add(features, [outer])
    score = scores.mean(features, outer)
    if {*features.split("+")} <= scores.clips.maps:
        score += min(TEXTURE_GAIN, SPARED * (1 - score))
    return round(score, 12)


def pruned(scores: Scores, features: str, outer: Outer) -> str:
    """The set without the features whose removal does not lower its score."""
    members = features.split("+")
    highest = judged(scores, features, outer)
    while len(members) > 1:
        smaller = {}
        for name in members:
            rest = "+".join(other for other in members if other != name)
            smaller[rest] = judged(scores, rest, outer)
        best = max(smaller, key=smaller.__getitem__)
        if smaller[best] < highest:
            break
        members, highest = best.split("+"), smaller[best]
    return "+".join(members)


def recommend(
    scores: Scores,
    names: Sequence[str],
    sets: Sequence[str],
    lost: Mapping[str, tuple[float, float, float]],
) -> str:
    """The set for later use.

    sets  the set of each fold
    lost  feature -> the score that is lost without it on the folds that chose it; one
          whose removal gains is in no recommended set
    """
    features = choose(scores, names, None)
    if 2 * sets.count(features) <= len(sets):
        counts = Counter(name for chosen in sets for name in chosen.split("+"))
        agreed = [name for name in names if 2 * counts[name] > len(sets)]
        alone = max(names, key=lambda name: judged(scores, name, None))
        features = pruned(scores, "+".join(agreed) or alone, None)
    useful = [name for name in features.split("+") if lost.get(name, (0.0,))[0] >= 0]
    best = max(features.split("+"), key=lambda name: judged(scores, name, None))
    return "+".join(useful) or best
