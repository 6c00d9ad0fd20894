"""The choice of features: for each test fold without this fold, and for later use.

A feature that is chosen by its score on a test fold is tested on clips that chose it,
which flatters the result. To leave out that score is not enough, because the models of
the other folds were trained on the clips of the test fold. So a fit that chooses for a
fold neither trains nor scores on its clips: the fit without folds 1 and 2 is scored on
2 to choose for 1, and on 1 to choose for 2.

For each fold an exact model ranks the features, `linear`, or `ridge` if a clip has more
than MOST_NUMBERS. The candidates are the best feature, the best two, the best three,
the same three sets of feature maps alone, and COMPLEMENTARY, each by `linear` and by
`ridge`. The candidate with the highest score is taken, the smallest if scores are
equal. `texturenet` trains a set of maps that `linear` scored: it is expected to have
TEXTURE_GAIN more, or the share SPARED of what `linear` lacks to 1 if that is less. Both
have seen the test folds of ESC-10 and ESC-50 and of no other dataset. A feature whose
removal does not lower the score is then removed.
The set for later use is chosen in the same way from the scores of all folds together,
if most folds chose it alone too; else it has the features that most folds agree on. No
clip is left to test it, so it has no score.
"""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from joblib import cpu_count
from threadpoolctl import threadpool_limits

from featurestack.commandline.next_step import complementary
from featurestack.commandline.terminal import silenced
from featurestack.feature_importance.fits import LINEAR, RIDGE, Clips
from featurestack.linear.logistic import WIDEST
from featurestack.pipeline.datasets.folds import draw_folds
from featurestack.results.config import digest
from featurestack.results.training_options import STRENGTH
from featurestack.scores.tasks.base import clip_metric
from featurestack.storage.files import replace_file
from featurestack.storage.own_files import OwnFiles
from featurestack.train.plan import Positions

LARGEST_SET = 3  # most features of a candidate
# Above this number of folds, or below three, folds of the training clips are drawn for
# each tested fold: 9 folds have 36 pairs.
MOST_PAIRED = 9
INNER_FOLDS = 4
# The gain of `texturenet` over `linear` on the same maps: on ESC-50 0.09 to 0.3, a
# third or more of the errors of `linear`; where these are few, it cannot spare 0.1.
TEXTURE_GAIN = 0.1
SPARED = 1 / 3
# numbers of a clip above which `ridge` alone is tried: it takes a tenth of the time of
# `linear`, and for the 17,856 of YAMNet's layers on ESC-50 it has 92.2 % and not 90.2
MOST_NUMBERS = 10_000
TEXTURE = "texturenet"
FITS = 2  # raised if the same fits would have other scores
HEADER = ("features", "model", "values", "chooses_for", "part", "score")

# the tested fold that is chosen for; None is the choice for later use
Outer: TypeAlias = int | None


class Candidate(NamedTuple):
    """A feature set and the model that is trained on it."""

    features: str
    model: str

    @property
    def exact(self) -> "Candidate":
        """The same by the exact model that scores it."""
        return self._replace(model=LINEAR) if self.model == TEXTURE else self


@dataclass(frozen=True)
class Part:
    """One fit that chooses: its training clips, and the clips whose score chooses."""

    train: Positions
    scored: Mapping[Outer, Positions]


def parts_of(clips: Clips) -> list[Part]:
    """The fits of a feature set: for later use one a fold, for the tested folds one for
    each pair of folds, or INNER_FOLDS for each.
    """
    parts = [
        Part(clips.trained(fold), {None: clips.tested(fold)}) for fold in clips.splits
    ]
    chosen_for = clips.plan.folds
    folds = [*clips.splits]
    if not 3 <= len(folds) <= MOST_PAIRED:
        return parts + [part for fold in chosen_for for part in drawn(clips, fold)]
    for first, second in combinations(folds, 2):
        scored: dict[Outer, Positions] = {}
        for outer, inner in ((first, second), (second, first)):
            if outer in chosen_for:
                # without clips whose recording lies in the outer fold
                tested = np.intersect1d(clips.tested(inner), clips.trained(outer))
                if len(tested):
                    scored[outer] = tested
        train = np.intersect1d(clips.trained(first), clips.trained(second))
        if scored and len(train):
            parts.append(Part(train, scored))
    return parts


def drawn(clips: Clips, fold: int) -> list[Part]:
    """The fits that choose for a fold, on drawn folds of its training clips."""
    train = clips.trained(fold)
    table = clips.plan.cache.clips.iloc[train]
    folds = draw_folds(table["label"], table["group"], INNER_FOLDS, 0, {})
    return [
        Part(train[folds != inner], {fold: train[folds == inner]})
        for inner in np.unique(folds)
    ]


@dataclass(frozen=True)
class Scores:
    """The scores of feature sets by the fits that choose, kept in a file."""

    clips: Clips
    folder: Path
    # candidate -> (chooses for, part) -> score
    known: dict[Candidate, dict[tuple[Outer, int], float]] = field(default_factory=dict)

    @cached_property
    def parts(self) -> list[Part]:
        return parts_of(self.clips)

    @cached_property
    def maps(self) -> set[str]:
        """The features that are maps, which `texturenet` takes."""
        plan = self.clips.plan
        named = zip(plan.channel_names, plan.channels, strict=True)
        return {name for name, channel in named if channel.frames > 1}

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
        OwnFiles(self.folder).claim([self.file.name], "move it, or give another RUNS")
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
                place = outer, range(len(self.parts))[int(row["part"])]
                candidate = Candidate(row["features"], row["model"])
                score = float(row["score"])
                if row["values"] == self.values(candidate.features):
                    self.known.setdefault(candidate, {})[place] = score

    def add(self, candidate: Candidate, outers: Sequence[Outer]) -> None:
        """Make the fits that choose for these folds and are lacking."""
        clips = self.clips
        known = self.known.setdefault(candidate, {})
        lacking = [
            number
            for number, part in enumerate(self.parts)
            if any(o in part.scored and (o, number) not in known for o in outers)
        ]
        if not lacking:
            return
        x = clips.x(candidate.features)
        plan = clips.plan

        def score(number: int) -> dict[Outer, float]:
            part = self.parts[number]
            logits = clips.fitted(*candidate, part.train)
            scores = {}
            for outer, tested in part.scored.items():
                labels = plan.indicator(tested)
                one_fold = np.zeros(len(tested), np.intp)
                scores[outer] = clip_metric(plan.task).score(
                    labels, logits(x[tested]), one_fold
                )
            return scores

        # a fit takes one thread: several are made side by side
        with (
            silenced(),
            threadpool_limits(1),
            ThreadPoolExecutor(cpu_count()) as threads,
        ):
            made = [*threads.map(score, lacking)]
        values = self.values(candidate.features)
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        for number, scores in zip(lacking, made):
            for outer, value in scores.items():
                known[outer, number] = value
                writer.writerow([*candidate, values, outer, number, repr(value)])
        # one write: lines of two answers at once do not mix
        with self.file.open("a", encoding="utf-8", newline="") as file:
            file.write(lines.getvalue())

    def alone(self, feature: str, outer: Outer) -> float:
        """The score that ranks a feature."""
        return self.mean(self.ranked_by(feature), outer)

    def models(self, features: str) -> Sequence[str]:
        """The exact models that are tried on a set, the one that ranks first."""
        wide = self.clips.width(features) > MOST_NUMBERS
        return [RIDGE] if wide else [LINEAR, RIDGE]

    def ranked_by(self, feature: str) -> Candidate:
        """The feature and the exact model that ranks it."""
        return Candidate(feature, self.models(feature)[0])

    def mean(self, candidate: Candidate, outer: Outer) -> float:
        """The mean over the fits that choose for a fold, weighted by their clips."""
        parts = self.parts
        scored = [
            (score, len(parts[number].scored[outer]))
            for (place, number), score in self.known[candidate].items()
            if place == outer and np.isfinite(score)
        ]
        if not scored:
            return 0.0
        values, clips = zip(*scored)
        return float(np.average(values, weights=clips))


def choose(scores: Scores, names: Sequence[str], outer: Outer) -> Candidate:
    """The choice for a fold; equal features count in this order."""
    ranked = sorted(names, key=lambda name: -round(scores.alone(name, outer), 12))
    maps = scores.maps
    sets = []
    for size in range(1, LARGEST_SET + 1):
        sets.append({*ranked[:size]})
        sets.append({*[name for name in ranked if name in maps][:size]})
    if known := complementary(names):
        sets.append({*known.split("+")})
    best, highest = "", -np.inf
    for members in filter(None, sets):
        features = "+".join(name for name in names if name in members)
        score, _ = judged(scores, features, outer)
        if score > highest:
            best, highest = features, score
    return pruned(scores, best, outer)


def judged(scores: Scores, features: str, outer: Outer) -> tuple[float, str]:
    """The score by which a set is chosen, and the model that has it."""
    highest, best = -np.inf, ""
    for model in scores.models(features):
        scores.add(Candidate(features, model), [outer])
        score = scores.mean(Candidate(features, model), outer)
        if model == LINEAR and {*features.split("+")} <= scores.maps:
            model, score = TEXTURE, score + min(TEXTURE_GAIN, SPARED * (1 - score))
        if round(score, 12) > highest:
            highest, best = round(score, 12), model
    return highest, best


def pruned(scores: Scores, features: str, outer: Outer) -> Candidate:
    """The set without the features whose removal does not lower its score."""
    members = features.split("+")
    highest, model = judged(scores, features, outer)
    while len(members) > 1:
        smaller = {}
        for name in members:
            rest = "+".join(other for other in members if other != name)
            smaller[rest] = judged(scores, rest, outer)
        best = max(smaller, key=lambda rest: smaller[rest][0])
        if smaller[best][0] < highest:
            break
        members = best.split("+")
        highest, model = smaller[best]
    return Candidate("+".join(members), model)


def recommend(scores: Scores, names: Sequence[str], sets: Sequence[str]) -> Candidate:
    """The choice for later use; `sets` has the set of each fold."""

    def score(features: str) -> float:
        return judged(scores, features, None)[0]

    features = choose(scores, names, None).features
    if 2 * sets.count(features) <= len(sets):
        counts = Counter(name for chosen in sets for name in chosen.split("+"))
        agreed = [name for name in names if 2 * counts[name] > len(sets)]
        alone = max(names, key=score)
        features = pruned(scores, "+".join(agreed) or alone, None).features
    return Candidate(features, judged(scores, features, None)[1])
