"""Run folders for the tests of the analysis: made up with a known skill, or written by
hand row by row.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from featurestack.analysis.options import AnalysisOptions
from featurestack.analysis.report import build_report
from featurestack.analysis.report_inputs import jobs
from featurestack.analysis.runs import load_runs
from featurestack.features_cache import external
from featurestack.interface import from_values
from featurestack.results.config import digest
from featurestack.results.run_folder import RunFolder, write_config, write_predictions
from tests.analysis.made_runs import made_clips, make_run, make_runs, of_sets
from tests.run_configs import named, run_config


@pytest.fixture
def made(tmp_path):
    """Made-up runs over shared clips, written and loaded: made(MadeRun(...), ...,
    clips=400, classes=10).
    """

    def make(*runs, dataset="made", **clips):
        return make_runs(
            tmp_path,
            made_clips(**({"clips": 400, "classes": 10} | clips)),
            runs,
            dataset,
        )

    return make


@pytest.fixture
def hand_run(tmp_path):
    """Writes and reads a run of these test clips: rows of clip_id, group, fold, target,
    probabilities.
    """

    def write(name, classes, rows, **config):
        folder = RunFolder(tmp_path / "hand" / name)
        table = pd.DataFrame(
            rows, columns=["clip_id", "group", "fold", "target", "probabilities"]
        )
        by_fold = table.assign(split="test", selection="last").groupby("fold")
        standard = {"dataset": "hand", "features": name, "classes": named(*classes)}
        standard |= {"folds": tuple(by_fold.groups), "family": digest([name, config])}
        write_config(folder.path, run_config(**(standard | config)))
        for fold, here in by_fold:
            probabilities = np.array(here["probabilities"].tolist(), np.float32)
            write_predictions(folder.fold(fold), here, probabilities, classes)
        (run,) = load_runs([folder]).runs
        return run

    return write


@dataclass(frozen=True)
class Workshop:
    """A folder with audio files of tones, a cache of two random features, and made-up
    runs.
    """

    root: Path
    table: pd.DataFrame

    def options(self, **given):
        folders = {name: self.root / name for name in ("data", "runs", "reports")}
        return from_values(AnalysisOptions, {"dataset": "tones"} | folders | given)


CLASS_NAMES = ("<script>alert(1)</script>", "犬", "rain & wind", "$x$")


@pytest.fixture(scope="session")
def workshop(tmp_path_factory):
    """40 tones of four classes with awkward names, and three runs, of which one has no
    finished fold.
    """
    root = tmp_path_factory.mktemp("workshop")
    table = made_clips(clips=40, classes=4, names=CLASS_NAMES)
    table["path"] = [str(root / f"{clip}.wav") for clip in table["clip_id"]]
    time = np.arange(8000) / 8000
    # the first clip's file is not there
    for path, label in zip(table["path"][1:], table["label"][1:]):
        tone = 0.3 * np.sin(2 * np.pi * 220 * (1 + CLASS_NAMES.index(label)) * time)
        soundfile.write(path, tone, 8000)
    cache = root / "data" / "tones" / "features"
    external.create_cache(cache, table, dataset="tones", sample_rate=8000, duration=1.0)
    rng = np.random.default_rng(0)
    ids = table["clip_id"].tolist()
    external.write_feature(cache, "mel", rng.normal(size=(40, 16, 30)), ids)
    external.write_feature(cache, "rms", rng.random((40, 1, 30)), ids)
    for made in of_sets(mel=0.8, mel_rms=0.6, rms=0.5):
        folder = make_run(root / "runs", table, made, "tones")
    for file in folder.glob("fold*/predictions.csv"):
        file.unlink()
    return Workshop(root, table)


@pytest.fixture(scope="session")
def reported(workshop):
    """The report of the workshop, made once."""
    (job,) = jobs(workshop.options())
    return build_report(job, workshop.options()).page
