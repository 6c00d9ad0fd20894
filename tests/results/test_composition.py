"""Sets that were composed by the scores of the tested folds are recognised."""

from featurestack.results.composition import composed_from
from tests.analysis.made_runs import made_clips, make_runs, of_sets

SKILLS = {"mel": 0.8, "mfcc": 0.7, "chroma": 0.6, "rms": 0.5, "zcr": 0.4}


def single_runs(folder, **skills):
    make_runs(folder, made_clips(200, 10), of_sets(**skills))
    return next(path.parent for path in folder.rglob("run.json")).parent


def test_the_best_two_of_five_single_features_are_a_composed_set(tmp_path):
    runs = single_runs(tmp_path, **SKILLS)
    assert composed_from(["mfcc", "mel"], runs, "classes") == 5


def test_other_sets_of_them_are_not(tmp_path):
    runs = single_runs(tmp_path, **SKILLS)
    for features in (["mel"], ["mel", "rms"], ["mel", "mfcc", "zcr"], [*SKILLS]):
        assert composed_from(features, runs, "classes") == 0, features


def test_the_best_two_of_three_may_have_been_named_beforehand(tmp_path):
    runs = single_runs(tmp_path, mel=0.8, mfcc=0.7, rms=0.5)
    assert composed_from(["mel", "mfcc"], runs, "classes") == 0
