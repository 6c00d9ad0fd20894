"""What `make answer` is asked, before anything is done: features, clips, folders, time.

Refused is what cannot be answered, before the check.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from joblib import cpu_count

from featurestack.answers.options import FOLDER, AnswerOptions
from featurestack.commandline.errors import RequestError, make_command
from featurestack.commandline.options import fields, option_words, part_of
from featurestack.commandline.quantities import counted
from featurestack.commandline.terminal import tell
from featurestack.embeddings.networks import choose_networks
from featurestack.features_cache.cache import Cache, cache_of
from featurestack.features_cache.hdf5 import FeatureSpec
from featurestack.features_cache.index import read_check
from featurestack.features_cache.names import dataset_name, is_cache
from featurestack.features_cache.table import fold_split, originals, untrainable
from featurestack.features_cache.writer import missing
from featurestack.pipeline.features import refuse_unknown
from featurestack.pipeline.options import FeaturesCommand, SourceOptions

if TYPE_CHECKING:
    import pandas as pd

    from featurestack.pipeline.extraction_request import Request

# Seconds of a usual core: check of a clip; start of extraction; reading a million
# values; a number of a clip and a class in a fit; an eigenvector of a kernel, times the
# square of the clips; a clip in a fold by texturenet; a report
CHECK, START, READ, FIT, EIGEN, TEXTURE, REPORT = 0.01, 4.0, 0.03, 3e-8, 1e-9, 0.02, 8.0
TRIED = 12  # sets that are scored of each fold


@dataclass(frozen=True)
class Question:
    """A question, before anything is done."""

    options: AnswerOptions
    wanted: FeaturesCommand
    asked: "Request | None"  # None for a cache, which is used as it is
    specs: Sequence[FeatureSpec]  # the features to rank
    lacking: list[str]  # features that the cache lacks

    @property
    def features(self) -> list[str]:
        return [spec.stored for spec in self.specs]

    @property
    def chooses(self) -> bool:
        return len(self.specs) > 1

    @cached_property
    def cache(self) -> Cache:
        """The cache as it was when this was first read."""
        wanted = self.wanted
        return cache_of(wanted.dataset, wanted.data, wanted.name)

    @cached_property
    def unchecked(self) -> bool:
        """Whether `check` has not looked at these clips."""
        if self.asked is None:
            return False
        dataset = self.asked.dataset
        return read_check(dataset.folder, dataset.table) is None

    @property
    def runs(self) -> Path:
        name = dataset_name(self.options.dataset, self.options.name)
        return self.options.runs / name

    @property
    def folder(self) -> Path:
        """The run folder of the choice."""
        return self.runs / FOLDER

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the command, to ask again."""
        names = dict.fromkeys(["dataset", *fields(AnswerOptions)])
        return tuple(option_words(self.options, names))


def ask(options: AnswerOptions) -> Question:
    """The question of these options; RequestError if it cannot be answered."""
    from featurestack.pipeline.datasets.load import load
    from featurestack.pipeline.extraction_request import request

    if not options.dataset:
        raise RequestError(
            "which sounds? DATASET= takes a folder of sounds, or a table:"
            f" {make_command('answer', 'DATASET=my sounds')}"
        )
    command = part_of(options, FeaturesCommand)
    if is_cache(Path(options.dataset)):
        cache = cache_of(command.dataset, command.data, command.name)
        refuse(options, cache.source, cache.settings["dataset"], cache.clips)
        stored = [cache[name] for name in cache.named(options.features)]
        return Question(options, command, None, without_samples(options, stored), [])
    refuse_unknown(options.features)
    dataset = load(part_of(options, SourceOptions))
    refuse(options, dataset.source, dataset.name, dataset.table)
    if options.features == "all":
        command = replace(command, features=with_networks(dataset.sample_rate))
    asked = request(command, dataset)
    kept = without_samples(options, asked.specs)
    pairs = zip(asked.specs, asked.variants, strict=True)
    variants = tuple(variant for spec, variant in pairs if spec in kept)
    asked = replace(asked, specs=tuple(kept), variants=variants)
    counts = missing(asked).todo.sum(axis=0)
    lacking = [spec.stored for spec, count in zip(kept, counts) if count]
    specs = [spec for spec in kept if spec.stored not in asked.read]
    return Question(options, command, asked, specs, lacking)


def refuse(options: AnswerOptions, source: str, name: str, table: Any) -> None:
    """RequestError for recordings with events, or clips that cannot be tested."""
    from featurestack.scores.tasks import claiming_name, require_clips, task_of

    asked = claiming_name(source) if options.task == "auto" else options.task
    task = task_of(asked) if asked else None
    if task:
        require_clips(task, options.dataset)
    table = originals(table)
    if reason := untrainable(table):
        raise RequestError(f"{name}: {reason}")
    counts = table["label"].value_counts()
    if len(table) < 4 or counts.max() < 2:
        raise RequestError(
            f"{name}: {counted(len(table), 'clip')} of {counted(len(counts), 'class')},"
            " and a class needs two clips, one to train and one to test: add clips"
        )
    if task:
        task.refuse(table)
    for fold in sorted(table["fold"].unique()):
        train = fold_split(table, fold).train
        labels = table["label"][table["clip_id"].isin(train)]
        if labels.nunique() < 2:
            raise RequestError(
                f"{name}: without fold {fold} all clips are of one class,"
                f" {labels.iloc[0] if len(labels) else 'none'}: each other class needs"
                " clips of two recordings, one to train and one to test"
            )


def without_samples(
    options: AnswerOptions, features: Sequence[FeatureSpec]
) -> list[FeatureSpec]:
    """The features but samples of a waveform, which mean nothing by themselves."""
    ranked = [spec for spec in features if spec.feature != "waveform"]
    if features and not ranked:
        words = f"DATASET={options.dataset}", "FEATURES=waveform", "MODEL=aclnet"
        raise RequestError(
            "FEATURES=waveform is no feature to rank, its samples mean nothing by"
            f" themselves: {make_command('train', *words)} trains on them"
        )
    return ranked


def with_networks(sample_rate: int) -> str:
    """FEATURES=all with the installed pretrained networks that fit this rate."""
    fitting, _ = choose_networks(sample_rate)
    return " ".join(["all", *fitting])


def tell_time(question: Question) -> None:
    """Tell coarsely how long the steps will take; not if they were taken before."""
    config = question.folder / "run.json"
    if not question.lacking and config.is_file():
        return
    clips = originals(question.asked.clips if question.asked else question.cache.clips)
    minutes = max(1, round(expected_seconds(question, clips) / 60))
    tell(
        f"{counted(len(clips), 'clip')}, {counted(len(question.specs), 'feature')}:"
        f" about {counted(minutes, 'minute')}. Run the same command again to resume."
    )


def seconds_a_clip(asked: "Request") -> dict[str, float]:
    """The seconds that each feature takes for a clip, by the first and the last."""
    from featurestack.pipeline.worker import ClipTask, Computation, ExtractionResult

    result = ExtractionResult()
    computation = Computation(asked.variants, asked.specs, asked.maps())
    ids = asked.clips["clip_id"].tolist()
    everything = dict.fromkeys(range(len(asked.specs)), 0)
    computation.warm_up()
    for row in (0, len(ids) - 1):
        task = ClipTask(row, ids[row], asked.sources[row], everything)
        computation.compute(task, result)
    return result.seconds_a_clip()


def expected_seconds(question: Question, clips: "pd.DataFrame") -> float:
    """The seconds of all steps; the extraction of a few clips is timed here."""
    number = len(clips)
    classes, folds = clips["label"].nunique(), clips["fold"].nunique()
    seconds = REPORT + CHECK * number * question.unchecked
    if question.asked and question.lacking:
        costs = seconds_a_clip(question.asked)
        each = sum(costs.get(name, 0.0) for name in question.lacking)
        seconds += START + number * each / cpu_count()
    fits = folds * (folds + 1) / 2
    for feature in question.specs:
        values = feature.rows * feature.frames
        seconds += READ * number * values / 1e6
        numbers = min(values, 2 * feature.rows)
        seconds += FIT * number * numbers * classes * fits / cpu_count()
    seconds += TRIED * EIGEN * number**3 * fits / cpu_count()
    maps = any(feature.frames > 1 for feature in question.specs)
    return seconds + 2 * folds * TEXTURE * number * maps
