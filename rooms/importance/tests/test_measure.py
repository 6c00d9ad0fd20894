"""The fits of importance are those of `make train`, and a repeated call makes none."""

import pytest

import featurestack as fs
from featurestack.rooms.importance import measure as measuring
from featurestack.rooms.importance.folder import importance_summary
from featurestack.rooms.importance.measure import measure_importance
from featurestack.rooms.importance.options import ImportanceOptions
from tests.train.little import execute


@pytest.fixture
def measure(cache_folder, tmp_path):
    """Measures on the little cache."""
    return lambda features, **more: measure_importance(
        ImportanceOptions(
            dataset=str(cache_folder), runs=tmp_path, features=features, **more
        )
    )


@pytest.mark.parametrize("model", ["linear", "ridge"])
def test_alone_all_and_all_but_one_are_runs_of_the_model(
    measure, cache_folder, options, model
):
    scores = measure("mel chroma blank", model=model).scores.set_index("clip_id")
    for features in ("mel", "chroma", "mel+chroma+blank", "mel+blank"):
        given = {"grid": "64x216", "model": model, "features": features}
        trained = execute(options, dataset=str(cache_folder), **given)
        rows = trained.scored().set_index("clip_id").loc[scores.index]
        correct = rows[trained.classes].idxmax(axis=1) == rows["target"]
        assert scores[features].tolist() == correct.tolist()


def test_a_repeated_call_fits_nothing_and_a_killed_one_leaves_no_result(
    measure, monkeypatch
):
    fitted = []
    score = measuring.clip_scores
    monkeypatch.setattr(
        measuring, "clip_scores", lambda *fit: fitted.append(fit) or score(*fit)
    )
    folder = measure("mel chroma")
    assert len(fitted) == 4  # none, both, and each, which is also both without one
    whole = (folder.path / "scores.csv").read_bytes()
    measure("mel chroma")
    assert len(fitted) == 4
    (folder.path / "importance.json").unlink()  # killed before it was written
    assert (measure("mel chroma").path / "scores.csv").read_bytes() == whole
    wider = measure("mel chroma blank")
    assert wider.config.features == ("mel", "chroma", "blank")


def test_the_summary_has_a_line_for_each_feature(measure):
    lines = importance_summary(measure("chroma mel blank")).splitlines()
    assert [line.split()[0] for line in lines[-4:-1]] == ["chroma", "mel", "blank"]
    assert "added to mel" in lines[0] and "the base" in lines[-3]


def test_the_python_function_gives_the_tables(cache_folder, tmp_path):
    tables = fs.importance("mel chroma", dataset=str(cache_folder), runs=tmp_path)
    assert list(tables) == ["features", "classes", "smaller"]
    assert {*tables["features"]["feature"]} == {"mel", "chroma"}
