"""What features are worth for finding events."""

import pytest

from featurestack.results.run_folder import configuration_score
from featurestack.rooms.events.tests.field import (
    MEL,
    make_dataset,
    train,
    write_recordings,
)
from featurestack.rooms.importance.curve import measure_curve
from featurestack.rooms.importance.measure import importance_summary, measure_importance
from featurestack.rooms.importance.options import CurveOptions, ImportanceOptions


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("importance")
    write_recordings(place, recordings=3)
    make_dataset(place, features=MEL)
    return place


def options(kind, folder, **given):
    table = folder / "data" / "field" / "field.csv"
    return kind(dataset=str(table), data=folder / "data", runs=folder / "runs", **given)


def test_features_are_worth_what_they_add_to_the_f1_of_events(folder):
    # the tones are in rows 6 and 22
    features = f"{MEL}:4-25 {MEL}:28-31"
    measured = measure_importance(options(ImportanceOptions, folder, features=features))
    assert measured.config.model == "linear_frames"
    assert measured.config.score == "event F1"
    useful, useless = measured.contributions("correct")["alone"].mean(axis=0)
    assert useful > 0.8 and useless < 0.6
    shares = measured.contributions()["shapley"].mean(axis=0)
    assert shares[0] > shares[1]
    assert "event F1" in importance_summary(measured)
    # the fit of all features is that of training
    run = train(folder, model="linear", features=features.replace(" ", "+"))
    whole = frozenset(measured.features)
    parts = measured.values("correct")[whole]
    assert parts.mean() == pytest.approx(configuration_score([run]).mean, abs=1e-6)


def test_a_curve_has_the_f1_of_events(folder):
    curve = measure_curve(options(CurveOptions, folder, features=MEL))
    assert curve["event_f1"].iloc[-1] > 0.9
    assert (curve["low"] <= curve["event_f1"]).all()
