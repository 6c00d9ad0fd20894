"""Sets that were composed by the scores of the tested folds are recognised."""

import pytest

from featurestack.train.run_json import composed_from
from tests.analysis.made_runs import made_clips, make_runs, of_sets

SKILLS = {"mel": 0.8, "mfcc": 0.7, "chroma": 0.6, "rms": 0.5, "zcr": 0.4}


@pytest.mark.parametrize(
    ("skills", "features", "composed"),
    [
        (SKILLS, ["mfcc", "mel"], 5),
        (SKILLS, ["mel"], 0),
        (SKILLS, ["mel", "rms"], 0),
        (SKILLS, ["mel", "mfcc", "zcr"], 0),
        (SKILLS, [*SKILLS], 0),
        # the best two of three may have been named beforehand
        ({"mel": 0.8, "mfcc": 0.7, "rms": 0.5}, ["mel", "mfcc"], 0),
    ],
)
def test_the_best_two_of_five_single_features_are_a_composed_set(
    tmp_path, skills, features, composed
):
    make_runs(tmp_path, made_clips(50, 5, folds=2), of_sets(**skills))
    assert composed_from(features, tmp_path / "made", "classes") == composed
