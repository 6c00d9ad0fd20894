"""Importance: the tables and the page show the scores that were put into a folder."""

import json
import re
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from featurestack.analysis.options import AnalysisOptions
from featurestack.analysis.report import build_report
from featurestack.analysis.report_inputs import ReportJob
from featurestack.rooms.importance.folder import (
    ImportanceFolder,
    gain_tests,
    importance_tables,
    smaller_sets,
)
from tests.refusal import refused
from tests.run_configs import importance_config, named

FEATURES = ("mel", "noise", "rms")
CLASSES = ["dog", "rain"]
RECORDINGS = 40  # each has three clips
# worth of the features: mel 40 points, rms 20, noise nothing
SHARES = {(): 0.2, ("mel",): 0.6, ("rms",): 0.4, ("mel", "rms"): 0.8}


def made_folder(runs, shares=SHARES, recordings=RECORDINGS, **changed):
    """A folder whose fits have these shares of correct clips, alike in all recordings
    of a fold; noise changes none.
    """
    path = runs / "made" / "importance"
    path.mkdir(parents=True)
    config = importance_config(*FEATURES, classes=named(*CLASSES), **changed)
    count = 3 * recordings
    number = np.arange(count)
    recording = number % recordings
    table = pd.DataFrame({"clip_id": [f"clip{n}" for n in number], "group": recording})
    table["fold"] = 1 + recording % 5
    table["target"] = np.array(CLASSES)[recording // 5 % 2]
    for column, fit in config.sets.items():
        useful = tuple(name for name in fit if name != "noise")
        table[column] = (number * 7 % count < count * shares[useful]) * 1.0
    table.to_csv(path / "scores.csv", index=False)
    (path / "importance.json").write_text(json.dumps(asdict(config)))
    return ImportanceFolder(path)


def report_on(folder, reports):
    given = {"runs": folder.path.parents[1], "data": reports, "reports": reports}
    job = ReportJob("made", (), None, reports / "reported", ())
    return build_report(job, AnalysisOptions(dataset="made", **given))


def test_each_measure_has_its_interval_and_p(tmp_path):
    table = importance_tables(made_folder(tmp_path))["features"]
    tests = table.set_index(["measure", "feature"])
    for measure, feature, mean in (
        ("lost", "mel", 0.4),
        ("lost", "rms", 0.2),
        ("added", "rms", 0.2),
    ):
        test = tests.loc[(measure, feature)]
        assert test["mean"] == pytest.approx(mean)
        assert test["low"] < test["mean"] < test["high"] and test["significant"]
    noise = tests.loc[("lost", "noise")]
    assert noise["mean"] == 0 and not noise["significant"]
    assert ("added", "mel") not in tests.index
    assert tests.loc[("added", "rms"), "score"] == pytest.approx(0.8)


def test_names_and_order_change_no_gain():
    rng = np.random.default_rng(0)
    recording = np.repeat(np.arange(12), rng.integers(1, 6, 12))
    gains = rng.normal(0.1, 1, (len(recording), 3))
    clips = rng.permutation(len(recording))
    renamed = rng.permutation(12)[recording][clips]
    for unit in (None, 20.0):
        known = gain_tests(gains, recording, unit)
        again = gain_tests(gains[clips], renamed, unit)
        assert again.to_numpy(float) == pytest.approx(known.to_numpy(float))


def test_classes_have_the_mean_of_their_clips(tmp_path):
    folder = made_folder(tmp_path)
    table = importance_tables(folder)["classes"].query("measure == 'lost'")
    of_mel = table[table["feature"] == "mel"].set_index("class")["mean"]
    scores = folder.scores
    for name, clips in scores.groupby("target"):
        lost = (clips["mel+noise+rms"] - clips["noise+rms"]).mean()
        assert of_mel[name] == pytest.approx(lost)


def test_a_set_is_as_good_only_if_the_interval_says_so(tmp_path):
    many = smaller_sets(made_folder(tmp_path / "many", recordings=400))
    assert many["features"].tolist() == ["mel", "mel+rms"]
    assert many["verdict"].tolist() == ["worse", "as good"]
    # the interval of 40 recordings reaches further than a twentieth of the gain
    few = smaller_sets(made_folder(tmp_path / "few"))
    assert few["verdict"].tolist() == ["worse", "open"]


@pytest.mark.parametrize("changed", [{"composed_from": 9}, {}])
def test_no_smaller_set_is_named_if_all_are_composed_or_like_chance(tmp_path, changed):
    shares = SHARES if changed else dict.fromkeys(SHARES, 0.2)
    assert smaller_sets(made_folder(tmp_path, shares, **changed)).empty


@pytest.mark.parametrize("damaged", ["importance.json", "scores.csv"])
def test_a_damaged_file_is_named(tmp_path, damaged):
    folder = made_folder(tmp_path)
    (folder.path / damaged).write_text("{\n")
    with refused(damaged):
        importance_tables(folder)


def test_a_report_shows_what_was_measured(tmp_path):
    built = report_on(made_folder(tmp_path), tmp_path)
    page = built.page.read_text()
    text = " ".join(re.sub(r"<[^>]*>", "", page).split())
    assert "No smaller set is shown to be as good as all 3 features, by linear" in text
    assert "Without mel 40.0 points are lost" in text
    assert built.whole and page.count('<figure id="figure-run-importance') == 2
