"""Importance: the tables and the page show the scores of made-up fits."""

import json
import re
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from featurestack.analysis.options import AnalysisOptions
from featurestack.analysis.report import build_report
from featurestack.analysis.report_inputs import ReportJob
from featurestack.feature_importance.importance import (
    FeatureSets,
    Importance,
    SetScores,
    classes_table,
    gain_tests,
    measures_table,
    smaller_sets,
)
from featurestack.feature_importance.section import what_matters

FEATURES = ("mel", "noise", "rms")
RECORDINGS = 40  # each has three clips
# worth of the features: mel 40 points, rms 20, noise nothing
SHARES = {(): 0.2, ("mel",): 0.6, ("rms",): 0.4, ("mel", "rms"): 0.8}


def made(shares=SHARES, recordings=RECORDINGS):
    """Fits with these shares of correct clips, alike in all recordings of a fold; noise
    changes none.
    """
    sets, count = FeatureSets(FEATURES), 3 * recordings
    number = np.arange(count)
    recording = number % recordings
    clips = pd.DataFrame({"group": recording, "fold": 1 + recording % 5})
    target = recording // 5 % 2
    labels = pd.DataFrame({"dog": target == 0, "rain": target == 1})
    scores = {}
    for name in sets.sizes:
        useful = tuple({*name.split("+")} & {"mel", "rms"})
        share = shares[tuple(sorted(useful))]
        scores[name] = (number * 7 % count < count * share) * 1.0
    return SetScores(sets, clips, labels, pd.DataFrame(scores))


def written(folder, fits):
    """importance.json of these fits in a folder of runs."""
    tables = {"features": measures_table(fits), "classes": classes_table(fits)}
    tables["smaller"] = smaller_sets(fits)
    measured = Importance(
        hash="0",
        clips=len(fits.clips),
        tested="0",
        score="accuracy",
        every=0.8,
        features=FEATURES,
        base="mel",
        joined_from=0,
        rows={name: tuple(table.to_dict("records")) for name, table in tables.items()},
    )
    file = folder / "made" / "importance" / "importance.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(asdict(measured)))
    return file


def report_on(runs, reports):
    given = {"runs": runs, "data": reports, "reports": reports}
    job = ReportJob("made", (), None, reports / "reported", ())
    return build_report(job, AnalysisOptions(dataset="made", **given))


def test_each_measure_has_its_interval_and_p():
    tests = measures_table(made()).set_index(["measure", "feature"])
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


def test_classes_have_the_mean_of_their_clips():
    fits = made()
    table = classes_table(fits).query("measure == 'lost' and feature == 'mel'")
    of_mel = table.set_index("class")["mean"]
    lost = fits.scores["mel+noise+rms"] - fits.scores["noise+rms"]
    for name, of_class in fits.labels.items():
        assert of_mel[name] == pytest.approx(lost[of_class].mean())


def test_a_set_is_as_good_only_if_the_interval_says_so():
    many = smaller_sets(made(recordings=400))
    assert many["features"].tolist() == ["mel", "mel+rms"]
    assert many["verdict"].tolist() == ["worse", "as good"]
    # the interval of 40 recordings reaches further than a twentieth of the gain
    assert smaller_sets(made())["verdict"].tolist() == ["worse", "open"]


@pytest.mark.parametrize("share", [0.2, 0.0])
def test_no_smaller_set_is_named_if_all_are_like_chance_or_worse(share):
    shares = dict.fromkeys(SHARES, share) | {(): 0.2}
    assert smaller_sets(made(shares)).empty


def test_no_smaller_set_is_named_of_features_that_were_chosen_on_these_folds():
    chosen = SimpleNamespace(features=FEATURES, joined_from=9)
    (said,) = what_matters({}, chosen)
    assert "3 features are joined from 9 that were tested one by one" in said


def test_a_report_shows_what_was_measured(tmp_path):
    written(tmp_path, made())
    built = report_on(tmp_path, tmp_path)
    page = built.page.read_text()
    text = " ".join(re.sub(r"<[^>]*>", "", page).split())
    assert "No smaller set is shown to be as good as all 3 features, by ridge" in text
    assert "Without mel 40.0 points are lost" in text
    assert built.whole and page.count('<figure id="figure-run-importance') == 2
