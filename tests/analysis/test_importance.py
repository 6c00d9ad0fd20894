"""Importance: tests hold their level on noise, and a folder's tables say what was put into it."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from analysis.importance import (
    best_by_size,
    class_table,
    find_importance,
    gain_tests,
    importance_table,
    linear_cka,
    most_important,
)
from analysis.inputs import ReportJob, inputs_hash
from analysis.options import AnalysisOptions
from analysis.report import build_report
from results.importance import ImportanceFolder

FEATURES = ["loud", "noise", "soft"]
CLASSES = ["dog", "rain"]
CLIPS, RECORDINGS = 120, 40


def made_folder(runs: Path, seed: int = 0) -> ImportanceFolder:
    """`loud` is worth 1 nat to clips of rain, `soft` 0.1 to all, `noise` nothing."""
    rng = np.random.default_rng(seed)
    path = runs / "made" / "importance-linear-0"
    path.mkdir(parents=True)
    groups = np.arange(CLIPS) % RECORDINGS
    target = np.array(CLASSES)[groups % 2]
    rows = [[f"clip{n}", f"g{groups[n]}", 1 + groups[n] % 5, target[n]] for n in range(CLIPS)]
    with (path / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["clip_id", "group", "fold", "target"], *rows])
    noise = rng.normal(0, 0.02, size=(3, RECORDINGS))[:, groups]
    gains = np.stack([1.0 * (target == "rain"), np.zeros(CLIPS), np.full(CLIPS, 0.1)]) + noise
    lines = [["features", "score", *(row[0] for row in rows)]]
    for subset in range(8):
        names = " ".join(name for place, name in enumerate(FEATURES) if subset >> place & 1)
        chosen = gains[[bool(subset >> place & 1) for place in range(3)]]
        logs = np.log(0.2) + chosen.sum(axis=0)
        correct = np.exp(logs) > 0.5
        lines += [[names, "probability", *np.exp(logs)], [names, "correct", *correct.astype(int)]]
    with (path / "scores.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)
    extraction = {
        name: {"megabytes": 1.0, "seconds": CLIPS * cost} for name, cost in zip(FEATURES, (1, 2, 3))
    }
    config = {"features": FEATURES, "permutations": 20, "seed": 0, "extraction": extraction}
    (path / "importance.json").write_text(json.dumps(config))
    return ImportanceFolder(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> ImportanceFolder:
    return made_folder(tmp_path_factory.mktemp("runs"))


def test_the_table_has_each_number_with_its_interval_and_p(folder):
    table = importance_table(folder).set_index(["measure", "feature"])
    for measure in ("shapley", "alone", "lost"):  # the features add up, so all three are the same
        loud, noise, soft = (table.loc[measure, name] for name in FEATURES)
        assert loud["mean"] == pytest.approx(0.5, abs=0.02) and loud["p"] < 0.01
        assert soft["low"] < 0.1 < soft["high"] and soft["p"] < 0.01
        assert noise["low"] < 0 < noise["high"] and noise["p"] > 0.05
    added = table.loc["added"]
    assert added.loc["loud"].isna().all() and added.loc["soft", "mean"] == pytest.approx(0.1, abs=0.02)
    known = table.dropna()
    assert (known["low"] <= known["mean"]).all() and (known["mean"] <= known["high"]).all()


def test_classes_show_for_which_a_feature_matters(folder):
    table = class_table(folder).set_index(["class", "feature"])
    assert (
        table.loc["rain", "loud"]["mean"] == pytest.approx(1, abs=0.02)
        and table.loc["rain", "loud"]["p"] < 0.05
    )
    assert abs(table.loc["dog", "loud"]["mean"]) < 0.02 and table.loc["dog", "loud"]["p"] > 0.05


def test_the_best_set_of_each_size_has_its_cost(folder):
    table = best_by_size(folder)
    assert table["features"].tolist()[0] == "loud" and table["size"].tolist() == [1, 2, 3]
    assert table["seconds"].tolist()[0] == 1 and table["seconds"].tolist()[2] == 6
    assert table["accuracy"].iloc[2] == pytest.approx(0.5, abs=0.1)


def test_a_report_shows_what_was_measured(folder, tmp_path):
    options = AnalysisOptions(dataset="made", runs=folder.path.parents[1], data=tmp_path, reports=tmp_path)
    job = ReportJob("made", (), None, tmp_path / "made", ())
    built = build_report(job, options)
    page = built.page.read_text(encoding="utf-8")
    assert 'id="importance"' in page and built.whole
    assert (built.page.parent / "tables" / "importance_by_class.csv").is_file()
    assert most_important(importance_table(folder)) == ("loud", "soft")
    before = inputs_hash(job, options)
    with (folder.path / "scores.csv").open("a") as file:
        file.write("loud")  # half of a line
    assert inputs_hash(job, options) != before


def test_the_folder_written_last_comes_first(folder):
    runs = folder.path.parents[1]
    assert find_importance(runs, "made") == [folder] and find_importance(runs, "other") == []


def test_cka_is_one_of_rotated_features_and_small_of_noise():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 6))
    signs = x * [1, -1, 1, -1, 1, -1] * 5 + 3
    table = linear_cka([x, signs[:, ::-1], rng.normal(size=(300, 4)), np.ones((300, 2))])
    assert np.diag(table)[:3] == pytest.approx(1) and table[0, 1] == pytest.approx(1)
    assert table[0, 2] < 0.05 and table[0, 3] == 0


def test_noise_is_rarely_claimed_and_its_interval_holds_zero():
    rng, claims, held = np.random.default_rng(2), 0, 0
    groups, folds = np.repeat(np.arange(40), 3), np.repeat(np.arange(5), 24)
    for _ in range(200):
        gains = rng.standard_t(4, size=(40, 5))[groups] + rng.normal(size=(120, 5))
        table = gain_tests(gains, groups, folds, draws=500)
        claims += (table["p"] <= 0.05).any()
        held += ((table["low"] <= 0) & (table["high"] >= 0)).all()
    assert claims <= 18 and held >= 182  # 5 % of 200 is 10, its standard deviation 3
