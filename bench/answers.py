"""False sentences of `make answer` on features of which nothing is true, or all the
same.

    python -m bench.answers
    python -m bench.answers REPORTS=30 DESIGN="100 clips, useless"

Each report is that of a new dataset: 25 brought features of 8 numbers in 4 classes. In
a useless one they are noise; in an equal one each has the same part of the class. The
steps are those of the command, without its figures; sentences are those of its page.
The truth is the accuracy of the models of the folds on new clips, the mean over folds.
A fall is what `predict DATASET=` prints of the recommended set on as many new clips of
the same kind, if its interval lies wholly below 0.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import softmax

from featurestack.analysis import page
from featurestack.analysis.findings import findings
from featurestack.analysis.runs import load_runs
from featurestack.commandline.commands import script
from featurestack.commandline.options import Options, option
from featurestack.commandline.tables import text_table
from featurestack.features_cache import external
from featurestack.predict.labelled import compare_scores, rows_of_run
from featurestack.results.config import ChoiceConfig
from featurestack.rooms.answer.answer import ask, rank, train
from featurestack.rooms.answer.choice import Clips
from featurestack.rooms.answer.options import AnswerOptions
from featurestack.scores.metrics import Floats, Ints

FEATURES = 25
NUMBERS = 8
CLASSES = 4
FOLDS = 5
NEW_CLIPS = 2_000


class Design(NamedTuple):
    recordings: int
    clips: int  # clips per recording; half of their variance is common to it
    strength: float  # the class's effect on each feature, in deviations; 0 for noise


DESIGNS = {
    "20 clips, useless": Design(20, 1, 0.0),
    "40 clips, useless": Design(40, 1, 0.0),
    "100 clips, useless": Design(100, 1, 0.0),
    "300 clips, useless": Design(300, 1, 0.0),
    "24 x 8 clips, useless": Design(24, 8, 0.0),
    "40 clips, equal": Design(40, 1, 1.2),
    "100 clips, equal": Design(100, 1, 1.0),
    "300 clips, equal": Design(300, 1, 0.8),
    "24 x 8 clips, equal": Design(24, 8, 1.0),
}


class AnswersOptions(Options):
    """The frequency of false statements of `make answer`, by simulation."""

    reports: int = option(30, "datasets of each design", least=1)
    design: str = option("", "one of the designs; all by default")
    seed: int = option(0, "seed of the datasets")


@dataclass(frozen=True)
class Report:
    """The claims of one report, and the truth."""

    accuracy: float
    truth: float
    low: float
    high: float
    better: bool  # "better than chance", in the headline or beside it
    differs: bool  # some run is called clearly worse
    recommended: bool  # a set is recommended
    falls: bool  # the recommended set falls elsewhere, where nothing is different


def draw(
    design: Design, target: Ints, recording: Ints, rng: np.random.Generator
) -> Floats:
    """(FEATURES, N, NUMBERS) the features of clips."""
    x = rng.normal(size=(FEATURES, len(target), NUMBERS))
    if design.clips > 1:
        common = rng.normal(size=(FEATURES, recording.max() + 1, NUMBERS))
        x = np.sqrt(0.5) * (x + common[:, recording])
    x[:, :, :CLASSES] += design.strength * np.eye(CLASSES)[target]
    return x


def report(design: Design, rng: np.random.Generator, place: Path) -> Report:
    """One dataset and the claims of its answer."""
    recording = np.repeat(np.arange(design.recordings), design.clips)
    target = recording % CLASSES
    ids = [f"clip{number}" for number in range(len(target))]
    table = {
        "clip_id": ids,
        "label": [f"class{number}" for number in target],
        "fold": recording // CLASSES % FOLDS + 1,
        "group": [f"recording{number}" for number in recording],
    }
    folder = place / "made" / "features"
    external.create_cache(folder, table)
    for number, values in enumerate(draw(design, target, recording, rng)):
        external.write_feature(folder, f"f{number:02d}", values, ids)
    options = AnswerOptions(dataset=str(folder), runs=place / "runs")
    question = ask(options)
    question.folder.mkdir(parents=True)
    scores = rank(question)
    run = train(question, scores)
    config = run.config
    assert isinstance(config, ChoiceConfig)
    clips = scores.clips
    found = findings(load_runs([run]))
    assert found.best is not None
    said = f"{page.say('headline', found)} {page.say('sure', found)}"
    truth = 1 / CLASSES
    if design.strength:
        new = np.arange(NEW_CLIPS) % CLASSES
        numbers = numbers_of(clips, draw(design, new, np.arange(NEW_CLIPS), rng))
        truths = [
            np.mean(logits(clips, features, fold, numbers).argmax(1) == new)
            for fold, features in zip(config.folds, config.sets)
        ]
        truth = float(np.mean(truths))
    elsewhere = numbers_of(clips, draw(design, target, recording, rng))
    labels = np.array(table["label"])
    there = pd.DataFrame(
        {"clip_id": ids, "group": table["group"], "target": labels, "fold": 0}
    )
    by_fold = [
        there.join(
            pd.DataFrame(
                softmax(logits(clips, config.recommended, fold, elsewhere), axis=1),
                columns=run.classes,
            )
        )
        for fold in config.folds
    ]
    compared = compare_scores(
        by_fold, rows_of_run(run, run.classes), run.classes, clips.plan.task
    )
    return Report(
        accuracy=found.best["accuracy"],
        truth=truth,
        low=found.best["accuracy_low"],
        high=found.best["accuracy_high"],
        better=is_better(said),
        differs=any(row["verdict"] == "clearly worse" for row in found.rows),
        recommended=found.state != "chance",
        falls=compared.change + compared.reach < 0,
    )


def numbers_of(clips: Clips, x: Floats) -> dict[str, Floats]:
    """The numbers of drawn clips by feature; a vector's deviation over time is 0."""
    return {
        name: np.concatenate([of_clips, 0 * of_clips], 1)
        for name, of_clips in zip(sorted(clips.numbers), x)
    }


def logits(
    clips: Clips, features: str, fold: int, numbers: Mapping[str, Floats]
) -> Floats:
    """(N, CLASSES) of new clips, by the model of a set that is trained for a fold."""
    fitted = clips.fitted(features, clips.trained(fold))
    unseen = np.concatenate([numbers[name] for name in features.split("+")], 1)
    return fitted(unseen)


def is_better(said: str) -> bool:
    """Whether a page's first sentences call something better than chance."""
    denied = "No configuration is clearly", "not clearly"
    return "clearly better than chance" in said and not any(
        words in said for words in denied
    )


def row(name: str, reports: Sequence[Report]) -> tuple[str, ...]:
    errors = 100 * np.array([each.accuracy - each.truth for each in reports])
    shares = [
        np.mean([each.low <= each.truth <= each.high for each in reports]),
        np.mean([each.better for each in reports]),
        np.mean([each.differs for each in reports]),
        np.mean([each.recommended for each in reports]),
        np.mean([each.falls for each in reports]),
    ]
    error = f"{errors.mean():+.1f} ± {errors.std() / np.sqrt(len(errors)):.1f}"
    truth = f"{100 * np.mean([each.truth for each in reports]):.1f}"
    return (name, truth, error, *(f"{100 * share:.0f}" for share in shares))


def answers(options: AnswersOptions) -> None:
    """The frequency of false statements of `make answer`, by simulation."""
    rows = []
    for name, design in DESIGNS.items():
        if options.design not in ("", name):
            continue
        rng = np.random.default_rng(options.seed)
        reports = []
        for _ in range(options.reports):
            with tempfile.TemporaryDirectory() as place:
                reports.append(report(design, rng, Path(place)))
        rows.append(row(name, reports))
    print(
        f"`make answer`, {options.reports} datasets of each design: the truth, points"
        " printed above it (± standard error), and % of reports\n"
    )
    header = ("design", "truth %", "points above", "interval holds it")
    said = (
        "better than chance",
        "clearly worse",
        "set recommended",
        "a fall elsewhere",
    )
    print(text_table(rows, (*header, *said)))


if __name__ == "__main__":
    script(answers)
