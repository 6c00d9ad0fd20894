"""Runs of several labels per clip: their scores, ranking, errors and report."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

import featurestack as fs
from featurestack.analysis import sentences
from featurestack.analysis.findings import findings
from featurestack.analysis.report.jobs import AnalysisOptions
from featurestack.analysis.report.tables import error_table
from featurestack.comparison.average_precision import fold_ranks, random_rank_precision
from featurestack.features_cache.clip_table import label_indicator
from featurestack.results.run_folder import RunFolder
from tests.analysis.report.test_build import build, within
from tests.refusal import refused
from tests.run_configs import answer_of

CLASSES = ("bird", "dog", "rain", "wind")
CLIPS, FOLDS, CLIPS_A_RECORDING = 240, 4, 4


@pytest.fixture
def clips():
    """A clip table with zero to four labels a clip."""
    recording = np.arange(CLIPS) // CLIPS_A_RECORDING
    drawn = np.random.default_rng(0).random((CLIPS, len(CLASSES)))
    chosen = drawn < [0.5, 0.3, 0.2, 0.1]
    return pd.DataFrame(
        {
            "clip_id": [f"c{number:03d}" for number in range(CLIPS)],
            "group": [f"r{number}" for number in recording],
            "fold": recording % FOLDS + 1,
            "label": [";".join(np.array(CLASSES)[row]) for row in chosen],
            "train_only": "",
        }
    )


@pytest.fixture
def loaded(clips, run_of_rows):
    """Two runs; their logits are 2.5 and 0.3 higher for a label that the clip has."""
    labels = label_indicator(clips["label"], CLASSES)
    rng = np.random.default_rng(1)
    runs = []
    for features, skill in (("mel", 2.5), ("rms", 0.3)):
        logits = (
            skill * labels
            + rng.normal(size=labels.shape)
            + 0.5 * clips["fold"].to_numpy()[:, None]
            - 2
        )
        rows = zip(
            *(clips[name] for name in clips.columns[:4]), 1 / (1 + np.exp(-logits))
        )
        runs.append(run_of_rows(features, CLASSES, rows, task="tags"))
    return runs


def test_runs_are_ranked_by_map_of_ranks_within_folds_and_a_clear_difference_is_found(
    loaded,
):
    found = findings(loaded)
    best = found.main.best
    expected = average_precision_score(
        best.labels, fold_ranks(best.probabilities[0], best.folds[0])
    )
    assert found.best.score.value == pytest.approx(expected)
    assert (found.unclear, found.score) == ([], "mAP")
    assert found.best.run.features == "mel"
    assert found.best.score.low < expected < found.best.score.high
    random_ranks = random_rank_precision(best.labels, best.folds[0])
    assert found.main.chance == pytest.approx(random_ranks.mean())
    alone = findings(loaded[:1])
    (lead,) = (v for k, v in sentences.facts(alone).items() if "chance" in k)
    assert lead.endswith(" points, clear")
    assert found.main.against_chance.p < 0.01
    assert list(found.tables["comparison"])[:3] == ["run", "map", "map_sd"]
    difference = found.ranked[1].score.value - expected
    assert found.ranked[1].difference.value == pytest.approx(difference)
    report = found.tables[f"{best.name}.classes"]
    assert report["prevalence"][:4].tolist() == best.labels.mean(axis=0).tolist()
    assert report["average_precision"][:4].mean() == pytest.approx(
        report["average_precision"][4]
    )


def test_seeds_are_one_configuration(loaded):
    strong, weak = loaded
    both = np.concatenate([strong.probabilities, weak.probabilities])
    folds = np.tile(strong.folds, (2, 1))
    run = replace(strong, folders=strong.folders * 2, folds=folds, probabilities=both)
    (own,) = findings([run]).ranked
    each = [findings([run]).best.score.value for run in loaded]
    assert len(run.seeds) == 2 and own.score.value == pytest.approx(np.mean(each))
    assert each[0] > each[1] + 0.1


def test_errors_are_listed_by_class(loaded):
    run = loaded[0]
    of_bird = error_table(run).query("`class` == 'bird'").set_index("kind")
    assert of_bird.loc["false positive", "probability"].is_monotonic_decreasing
    assert of_bird.loc["missed", "labels"].str.contains("bird").all()
    assert not of_bird.loc["false positive", "labels"].str.contains("bird").any()


def test_labels_that_occur_together_have_no_confusion_matrix(loaded):
    with refused("mel predicts several labels per clip"):
        fs.confusion(loaded[0].folders[0].path)


def test_the_page_and_its_tables_speak_of_map(loaded, tmp_path):
    places = within(tmp_path) | {"runs": tmp_path}
    built = build(AnalysisOptions(**places))
    page = built.page.read_text(encoding="utf-8")
    assert built.facts["Highest possible mAP"].startswith("98.1 %, by ranks within")
    label = "Average precision furthest below the highest possible"
    assert built.facts[label].endswith("dog 89.5 % of 97.6 %")
    assert "Errors by class" in page
    assert page.count('aria-labelledby="classes-heading"') == 1
    assert "lowest first, table" not in page  # the class table stands once
    errors = error_table(loaded[0])
    of_dog = errors[errors["class"] == "dog"]["kind"].value_counts()
    counted = (
        f"dog: {of_dog['missed']} missed, {of_dog['false positive']} false positive"
    )
    assert of_dog.max() > 10 and counted in page
    stored = pd.read_csv(built.page.parent / "tables" / f"{loaded[0].name}.errors.csv")
    assert len(stored) == len(errors)  # none is left out
    assert "confusion" not in page.lower().partition("<main")[2].partition("<script")[0]
    comparison = built.page.parent / "tables" / "comparison.csv"
    assert ",map," in comparison.read_text()


def test_an_answer_on_tags_leads_with_its_score(loaded):
    folder = RunFolder(loaded[0].folders[0].path)
    vars(folder)["config"] = answer_of(loaded[0].folders[0].config)
    found = findings([replace(loaded[0], folders=(folder,))])
    assert found.is_answer
    assert sentences.headline(found).startswith("In cross-validation, resnet18")
