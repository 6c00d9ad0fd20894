"""Sets that were joined after their parts were tested are recognised."""

import pytest

from featurestack.train.run_json import finished_alone, joined_from
from tests.analysis.made_runs import MadeRun, made_clips, make_runs, of_sets


@pytest.mark.parametrize(
    ("features", "joined"),
    [
        (["mfcc", "mel"], 3),
        (["rms", "mel"], 3),  # whatever their ranks are
        (["mel"], 0),
        (["mel", "mfcc", "rms"], 0),  # nothing was chosen
        (["mel", "zcr"], 0),
        (["mel", "chroma"], 0),
    ],
)
def test_a_set_of_some_features_that_were_finished_alone_is_joined(
    tmp_path, features, joined
):
    runs = [*of_sets(mel=0.8, mfcc=0.7, rms=0.5, mel_zcr=0.6)]
    unfinished = MadeRun(features="chroma", folds=(1,))
    make_runs(tmp_path, made_clips(50, 5, folds=2), [*runs, unfinished])
    tested = finished_alone(tmp_path / "made", "classes")
    assert tested == {"mel", "mfcc", "rms"}
    assert finished_alone(tmp_path / "made", "tags") == set()
    assert joined_from(features, tested) == joined
