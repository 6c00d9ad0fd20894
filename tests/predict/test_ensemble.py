"""An ensemble of finished runs predicts new audio, is verified and is bundled."""

from dataclasses import replace

import numpy as np
import pytest

import featurestack as fs
from featurestack.analysis.ensemble import write_ensemble
from featurestack.predict.make_bundle import make_bundle
from featurestack.predict.options import BundleOptions, VerifyOptions
from featurestack.predict.verify import verify_run
from featurestack.results.config import ImportedConfig
from featurestack.results.run_folder import RunFolder, write_config
from tests.refusal import refused
from tests.train.sounds import RATE, sound, train_run


@pytest.fixture(scope="module")
def members(sounding):
    folder = sounding.path.parents[2]
    return [
        train_run(folder, features=features, model="linear")
        for features in ("mel", "mfcc")
    ]


@pytest.fixture(scope="module")
def ensemble(members):
    return write_ensemble(members, members[0].path.parents[1])


def test_it_answers_with_the_mean_of_its_members(ensemble, members, tmp_path):
    clip = sound("tone", 7)
    values = [
        [*fs.Model(run).predict(clip, RATE).probabilities.values()] for run in members
    ]
    file = tmp_path / "both.pt"
    make_bundle(BundleOptions(run=str(ensemble.path), out=file))
    for trained in (ensemble, file):
        answer = fs.Model(trained).predict(clip, RATE)
        assert [*answer.probabilities.values()] == pytest.approx(
            np.mean(values, axis=0)
        )


def test_it_is_verified_by_its_members(ensemble, capsys):
    options = VerifyOptions(
        run=str(ensemble.path), data=ensemble.path.parents[2] / "data"
    )
    assert verify_run(options) == 0
    assert capsys.readouterr().out.count("predictions.csv is") == 3
    table = ensemble.fold(1) / "predictions.csv"
    before = table.read_text()
    try:
        names, first, *rows = before.splitlines(keepends=True)
        *cells, a, b, c = first.strip().split(",")
        table.write_text(names + ",".join([*cells, b, c, a]) + "\n" + "".join(rows))
        assert verify_run(options) == 1
        assert "1 rows differ from the mean of 2 runs" in capsys.readouterr().out
    finally:
        table.write_text(before)


def test_predictions_of_another_program_are_no_model(ensemble):
    shared = {**vars(ensemble.config)}
    del shared["members"]
    config = ImportedConfig(**shared | {"name": "table", "source": "birdnet.csv"})
    run = RunFolder(ensemble.path.with_name("table"))
    write_config(run.path, replace(config, model="predictions"))
    with refused("holds predictions of birdnet.csv, and no model"):
        fs.Model(run.path)


def test_a_file_that_is_not_there_is_no_run():
    with refused(r"nix\.pt: there is no such file"):
        fs.Model("nix.pt")
