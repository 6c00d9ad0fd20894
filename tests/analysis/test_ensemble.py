"""Ensembles: the mean of their members, written as runs."""

from dataclasses import replace

import pytest

from featurestack.analysis.ensemble import requested_ensemble, write_ensemble
from featurestack.analysis.options import AnalysisOptions
from featurestack.analysis.ranking import rankings
from featurestack.analysis.runs import load_runs
from featurestack.results.folders import find
from featurestack.results.run_folder import RunFolder
from tests.analysis.made_runs import MadeRun
from tests.refusal import refused

NONE = {"own": 0.6}
GROUP = NONE | {"val": "group"}


def combined(runs, folder):
    """The ensemble of these runs, written and read."""
    written = write_ensemble([run.folders[0] for run in runs], folder)
    return next(
        run for run in load_runs(find(folder)).runs if run.folders[0] == written
    )


@pytest.mark.parametrize(
    ("first", "second", "averaged", "ranked"),
    [
        (NONE, NONE, {"last": ("last", "last")}, 1),
        # Each checkpoint is the mean of the members' checkpoints of that name.
        (GROUP, GROUP, {"last": ("last", "last"), "best": ("best", "best")}, 1),
        (GROUP, NONE, {"last": ("best", "last")}, 3),
        (GROUP, NONE | {"val": "next"}, {"last": ("best", "best")}, 3),
    ],
)
def test_an_ensemble_averages_epochs_that_count_and_ranks_with_runs_of_its_protocol(
    made, tmp_path, first, second, averaged, ranked
):
    runs = made(
        MadeRun(**first), MadeRun(features="zcr+chroma", **second), clips=100, classes=5
    ).runs
    ensemble = combined(runs, tmp_path)
    assert ensemble.checkpoints.keys() == averaged.keys()
    assert ensemble.folders[0].selection() == ensemble.checkpoint == list(averaged)[-1]
    for name, own in averaged.items():
        mean = sum(run.checkpoints[selection] for run, selection in zip(runs, own)) / 2
        assert ensemble.checkpoints[name] == pytest.approx(mean, abs=1e-6)
    sets = rankings(load_runs(find(tmp_path)).runs)
    assert len(sets) == ranked
    if ranked == 1:  # the members make different errors, so the mean is better
        assert sets[0].runs[sets[0].accuracy.argmax()].name == ensemble.name
    assert ensemble.features == "mel,zcr+chroma" and ensemble.config.synthetic
    assert ensemble.config.parameters == sum(run.config.parameters for run in runs)


def test_a_kill_leaves_no_ensemble_with_folds_of_before(made, tmp_path, monkeypatch):
    runs = made(MadeRun(), MadeRun(features="mfcc"), clips=40, classes=4).runs
    ensemble = combined(runs, tmp_path)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("featurestack.analysis.ensemble.write_predictions", killed)
    with pytest.raises(KeyboardInterrupt):
        combined(runs, tmp_path)
    assert ensemble.name not in [run.name for run in find(tmp_path)]


def test_an_ensemble_is_asked_for_by_names(made, tmp_path):
    made(MadeRun(), MadeRun(features="zcr"), clips=40, classes=4)
    asked = AnalysisOptions(
        runs=tmp_path, dataset="made", ensemble=("mel-resnet18", "zcr-res")
    )
    config = requested_ensemble(asked).config
    assert config.members == ("mel-resnet18", "zcr-resnet18")
    assert "selected on the test folds" in config.note
    with refused("did you mean 'mel-resnet18'"):
        requested_ensemble(
            replace(asked, ensemble=("mell-resnet18", "zcr-res"), dataset="")
        )


def test_runs_that_cannot_form_an_ensemble_say_why(made, tmp_path):
    results = made(
        MadeRun(), MadeRun(features="rms", folds=(1, 2)), clips=40, classes=4
    )
    whole, two = (run.folders[0] for run in results.runs)
    for folders, words in (
        ([whole], "at least two runs"),
        ([whole, two], r"cannot form an ensemble.*32 and 40 clips"),
    ):
        with refused(words):
            write_ensemble(folders, tmp_path)
    (whole.path / "run.json").write_text("{")
    with refused(r"cannot join an ensemble: .*run\.json cannot be read"):
        write_ensemble([RunFolder(whole.path), two], tmp_path)
