"""The overview by feature and by class, each line from made-up runs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from analysis import ablations
from analysis.ensemble import write_ensemble
from analysis.overview import family, overview_lines
from analysis.ranking import rankings
from analysis.results import Results, Run, load_runs
from results.run_folder import find
from tests.analysis.made_runs import MadeRun
from tests.analysis.test_answer import ranked


def overview_of(results: Results) -> dict[str, str]:
    main = ranked(results)
    return dict(overview_lines(main, ablations.all_ablations(main, np.random.default_rng(0)).features))


def test_single_and_combined_features(made: Callable[..., Results]) -> None:
    sets = {"mel+mfcc": 0.85, "mel": 0.7, "mfcc": 0.6, "rms": 0.4, "zcr": 0.3}
    lines = overview_of(made(*(MadeRun(features=name, skill=skill) for name, skill in sets.items())))
    assert (
        lines["Single features"]
        == "mel 70.0 %, mfcc 60.0 % and rms 40.0 % are the best of 4; zcr 30.0 % is the lowest."
    )
    assert lines["Combined"].startswith("mel+mfcc 85.0 %, 15.0 points more than mel alone (95 % CI +")
    assert "not significant" not in lines["Combined"]
    assert lines["Combined"].endswith(
        "Adding features to the best subset: significant gain: mfcc to mel (+15.0)."
    )


def test_a_set_that_is_worse_than_a_single_feature(made: Callable[..., Results]) -> None:
    sets = {"mel": 0.8, "mel+mfcc": 0.79, "mfcc": 0.5}
    lines = overview_of(made(*(MadeRun(features=name, skill=skill) for name, skill in sets.items())))
    assert lines["Single features"] == "mel 80.0 % and mfcc 50.0 %."
    assert lines["Combined"].startswith("mel+mfcc 79.0 %, 1.0 points less than mel alone (95 % CI −")
    assert ", not significant." in lines["Combined"]
    assert lines["Combined"].endswith("no significant gain: mfcc to mel (−1.0).")


def test_fewer_than_two_single_features_have_no_line(made: Callable[..., Results]) -> None:
    assert list(overview_of(made(MadeRun(features="mel+mfcc"), MadeRun(features="mel+rms")))) == ["Classes"]


def test_classes_of_highest_and_lowest_recall_by_hand(hand_run: Callable[..., Run]) -> None:
    classes = list("abcde")
    right = {"a": 4, "b": 3, "c": 2, "d": 1, "e": 0}  # of four clips, the others predicted as the first class
    rows = []
    for place, (name, hits) in enumerate(right.items()):
        for clip in range(4):
            probabilities = np.eye(5)[place if clip < hits else 0]
            rows.append((f"{name}{clip}", f"{name}{clip}", 1 + clip % 2, name, probabilities))
    run = hand_run("mel", classes, rows)
    main = rankings([run], np.random.default_rng(0), 100)[0]
    ends = "Recall of mel is highest for a (4 of 4) and b (3 of 4), lowest for e (0 of 4) and d (1 of 4)"
    sentence = f"{ends}; most frequent error: e predicted as a (4 of 4)."
    assert overview_lines(main, ablations.all_ablations(main, np.random.default_rng(0)).features) == [
        ("Classes", sentence)
    ]


def test_a_perfect_run_has_no_lowest_class(made: Callable[..., Results]) -> None:
    lines = overview_of(made(MadeRun(skill=1.0), MadeRun(features="zcr", skill=0.5)))
    assert lines["Classes"] == "mel predicts every test clip of every class correctly."


def test_the_family_is_of_runs_that_differ_in_features_alone(
    written: Callable[..., Results], tmp_path: Path
) -> None:
    results = written(
        MadeRun(skill=0.6), MadeRun(features="mfcc"), MadeRun(features="zcr", model="cnn4", skill=0.9)
    )
    write_ensemble([run.folders[0] for run in results.runs], tmp_path)
    main = ranked(load_runs(find(tmp_path)))
    assert [run.name for run in family(main)] == ["mfcc-resnet18", "mel-resnet18"]


def test_two_runs_of_which_neither_is_the_best_are_tested_as_an_addition_or_not_at_all(
    made: Callable[..., Results],
) -> None:
    def combined(**sets: float) -> str:
        runs = [MadeRun(features=name.replace("_", "+"), skill=skill) for name, skill in sets.items()]
        lines = overview_of(made(*runs, MadeRun(features="rms", skill=0.95, model="cnn8")))
        return lines["Combined"].partition(" Adding")[0]

    assert combined(mel=0.6, mel_mfcc=0.8).endswith(").")
    assert combined(mel=0.79, mel_mfcc=0.8).endswith("), not significant.")
    assert combined(mel=0.6, mfcc_rms=0.8).endswith("), not tested: neither is the best run.")
