"""The fits of importance are those of `make train`, and a repeated call makes none."""

import pytest

import featurestack as fs
from featurestack.feature_importance import fits as exact
from featurestack.feature_importance.fits import read_features
from featurestack.feature_importance.importance import (
    importance_summary,
    make_fits,
    measure_importance,
)
from featurestack.feature_importance.options import ImportanceOptions
from tests.train.little import execute


@pytest.fixture
def asked(cache_folder, tmp_path):
    """Options on the little cache."""
    return lambda features, **more: ImportanceOptions(
        dataset=str(cache_folder), runs=tmp_path, features=features, **more
    )


@pytest.mark.parametrize(
    "model", [pytest.param("linear", marks=pytest.mark.slow), "ridge"]
)
def test_alone_all_and_all_but_one_are_runs_of_the_model(
    asked, cache_folder, options, model
):
    fits = make_fits(*read_features(asked("mel chroma blank", model=model), least=2))
    ids = fits.clips["clip_id"]
    for features in ("mel", "chroma", "mel+chroma+blank", "mel+blank"):
        given = {"grid": "64x216", "model": model, "features": features}
        trained = execute(options, dataset=str(cache_folder), **given)
        rows = trained.scored().set_index("clip_id").loc[ids]
        correct = rows[trained.classes].idxmax(axis=1) == rows["target"]
        assert fits.scores[features].tolist() == correct.tolist()


def test_a_repeated_call_fits_nothing(asked, monkeypatch):
    fitted = []
    score = exact.clip_scores
    monkeypatch.setattr(
        exact, "clip_scores", lambda *fit: fitted.append(fit) or score(*fit)
    )
    measured = measure_importance(asked("mel chroma"))
    assert len(fitted) == 4  # none, both, and each, which is also both without one
    assert measure_importance(asked("mel chroma")) == measured
    assert len(fitted) == 4
    wider = measure_importance(asked("mel chroma blank"))
    assert wider.features == ("mel", "chroma", "blank")


def test_the_summary_has_a_line_for_each_feature(asked):
    lines = importance_summary(
        measure_importance(asked("chroma mel blank"))
    ).splitlines()
    assert [line.split()[0] for line in lines[-4:-1]] == ["chroma", "mel", "blank"]
    assert "added to mel" in lines[0] and "the base" in lines[-3]


def test_the_python_function_gives_the_tables(cache_folder, tmp_path):
    tables = fs.importance("mel chroma", dataset=str(cache_folder), runs=tmp_path)
    assert list(tables) == ["features", "classes", "smaller"]
    assert {*tables["features"]["feature"]} == {"mel", "chroma"}
