"""The fits of importance are those of `make train`, and a repeated call makes none."""

import pytest

import featurestack as fs
from featurestack.feature_importance.fits import Clips, Fits, read_features
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


def test_alone_all_and_all_but_one_are_runs_of_ridge(asked, cache_folder, options):
    names, clips = read_features(asked("mel chroma blank"), least=2)
    fits = make_fits(names, Fits(clips))
    ids = fits.clips["clip_id"]
    for features in ("mel", "chroma", "mel+chroma+blank", "mel+blank"):
        given = {"grid": "64x216", "model": "ridge", "features": features}
        trained = execute(options, dataset=str(cache_folder), **given)
        rows = trained.scored().set_index("clip_id").loc[ids]
        correct = rows[trained.classes].idxmax(axis=1) == rows["target"]
        assert fits.scores[features].tolist() == correct.tolist()


def test_a_repeated_call_fits_nothing_and_one_more_feature_only_its_sets(
    asked, monkeypatch
):
    measured = measure_importance(asked("mel chroma"))
    fitted = []
    fit = Clips.fit

    def counted(self, features, train):
        fitted.append(features)
        return fit(self, features, train)

    monkeypatch.setattr(Clips, "fit", counted)
    assert measure_importance(asked("mel chroma")) == measured
    assert not fitted
    wider = measure_importance(asked("mel chroma blank"))
    assert wider.features == ("mel", "chroma", "blank")
    assert {*fitted} == {"blank", "mel+blank", "chroma+blank", "mel+chroma+blank"}


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
