"""Runs that are comparable or not, their scores and chance."""

from dataclasses import replace

import numpy as np
import pytest

from featurestack.analysis import sentences
from featurestack.analysis.findings import findings
from featurestack.analysis.report.runs import rankings
from featurestack.analysis.report.tables import settings
from featurestack.results import run_folder
from featurestack.results.tasks import CATEGORIES
from tests.analysis.made_runs import MadeRun, of_sets
from tests.cases import cases
from tests.run_configs import answer_of, rewrite

MEL = MadeRun()
ZCR = MadeRun(features="zcr")


def features(ranking):
    return [run.features for run in ranking.runs]


def test_accuracy_is_that_of_all_clips_whatever_the_sizes_of_the_folds(run_of_rows):
    rows = [(f"c{n}", f"g{n}", 1 if n < 8 else 2, "dog", [0.9, 0.1]) for n in range(10)]
    rows[9] = ("c9", "g9", 2, "rain", [0.9, 0.1])
    found = rankings([run_of_rows("mel", ["dog", "rain"], rows)])[0]
    assert found.metric.title == "balanced accuracy"  # of uneven classes
    assert found.best.score.value == 0.5
    assert found.by_recording.sum() == pytest.approx(0.5)
    assert found.shares.sum() == pytest.approx(1)


def test_of_equal_scores_the_smaller_set_comes_first(run_of_rows):
    rows = [(f"c{n}", f"g{n}", 1 + n % 2, "dog", [0.9, 0.1]) for n in range(9)]
    rows[8] = ("c8", "g8", 1, "rain", [0.9, 0.1])
    runs = [run_of_rows(name, ["dog", "rain"], rows) for name in ("mel+rms", "mel")]
    assert features(rankings(runs)[0]) == ["mel", "mel+rms"]


def test_runs_that_differ_only_in_an_own_models_code_are_told_apart(run_of_rows):
    rows = [(f"c{n}", f"g{n}", 1 + n % 2, "dog", [0.9, 0.1]) for n in range(4)]
    own = {"features": "mel", "model": "small"}
    runs = [
        run_of_rows(code, ["dog", "rain"], rows, code=f"{code}12345678", **own)
        for code in ("c776", "09af")
    ]
    labels = {run.name: f"mel (small, code {run.name})" for run in runs}
    assert rankings(runs)[0].labels == labels
    assert [settings(run)["CODE"] for run in runs] == ["c776", "09af"]


@pytest.mark.parametrize("clips", [400, 397])
def test_scores_by_recording_sum_to_the_scores(made_runs, clips):
    found = rankings(made_runs(*of_sets(3, mel=0.8), *of_sets(zcr=0.7), clips=clips))[0]
    scores = [run.score.value for run in found.runs]
    assert found.by_recording.sum(axis=0) == pytest.approx(scores)
    assert found.differences[0].p < 0.002


def test_what_is_not_compared_has_a_reason(made_runs):
    mel, zcr = made_runs(MEL, ZCR)
    changes = {
        "dataset": {"dataset": "esc10"},
        "task": {"task": CATEGORIES},
        "classes": {"classes": mel.classes[::-1]},
        # The same predictions have another interval if clips belong to other
        # recordings.
        "groups": {"groups": mel.clip_ids},
        "clips": {"clip_ids": np.sort(mel.groups)},
        "protocol": {"checkpoint": "best"},
    }
    others = [replace(mel, name=reason, **change) for reason, change in changes.items()]
    partial = MadeRun(features="rms", folds=(1, 2))
    others.append(replace(*made_runs(partial), name="folds"))
    main, *apart = rankings([mel, zcr, *others])
    assert (features(main), main.reason) == (["mel", "zcr"], "")
    assert {ranking.best.name: ranking.reason for ranking in apart} == {
        run.name: run.name for run in others
    }


@cases("change", "comparable")
def test_runs_of_caches_that_differ_are_not_compared(made_runs, change, comparable):
    """mel and zcr share no feature, so they are comparable; mel+zcr shares one with
    each.
    """
    both, mel, zcr = made_runs(MadeRun(features="mel+zcr"), MEL, ZCR)
    rewrite(mel.folders[0], cache={"mel": "as mel"})
    rewrite(both.folders[0], **change)
    found = rankings([zcr, mel, both])
    assert [len(ranking.runs) for ranking in found] == ([3] if comparable else [2, 1])
    assert {ranking.reason for ranking in found[1:]} <= {"audio or features"}


def test_runs_of_all_folds_lead_and_partial_ones_are_compared_if_there_are_no_others(
    made_runs,
):
    sets = "rms", "mfcc", "mel+rms"
    partial = [MadeRun(features=name, folds=(1, 2)) for name in sets]
    assert features(rankings(made_runs(MEL, ZCR, *partial))[0]) == ["mel", "zcr"]
    main, apart = rankings(made_runs(MEL, *partial))
    assert len(main.runs) == 3 and main.folds.tolist() == [1, 2]
    assert (features(apart), apart.reason) == (["mel"], "folds")


def test_runs_that_lack_clips_of_another_do_not_lead(made_runs):
    """Such as those of features that were not extracted for the clips added since."""
    fewer = made_runs(ZCR, MadeRun(features="rms"), clips=380)
    main, apart = rankings([*fewer, *made_runs(MEL)])
    assert (features(main), apart.reason) == (["mel"], "clips")


def test_an_answer_leads_its_report_and_a_higher_run_is_the_second_sentence(made_runs):
    both, mel, own = made_runs(*of_sets(mel_mfcc=0.8, mel=0.6, rms=0.7))
    rewrite(own.folders[0], **vars(answer_of(own.config)))
    found = findings([both, mel, own])
    assert [each.run.features for each in found.ranked] == ["rms", "mel+mfcc", "mel"]
    assert found.best.run is own and found.higher.run is both
    assert found.ranked[1].difference.value == pytest.approx(0.1)
    first, second = sentences.headline(found).split("correctly. ")
    assert " with features chosen without the tested clips classified 70.0 %" in first
    assert second == "mel+mfcc with resnet18 reaches 80.0 %."
    lower = findings([mel, own])
    assert lower.higher is None and "reaches" not in sentences.headline(lower)


def test_the_runs_of_an_answer_are_not_compared_with_it(made_runs):
    part = MadeRun(features="rms", folds=(1,))
    whole, own, part = made_runs(*of_sets(mel=0.8, mfcc=0.7), part)
    rewrite(own.folders[0], **vars(answer_of(own.config, whole.name, part.name)))
    found = findings([whole, part, own])
    assert [each.run for each in found.ranked] == [own]
    assert [(each.run, each.reason) for each in found.others] == [
        (whole, "part of an answer")
    ]
    assert [*found.trained] == [whole, part]
    # nor does another run hide which of them is higher
    (other,) = made_runs(MadeRun(features="zcr", skill=0.3))
    labels = sentences.facts(findings([whole, own, other]))
    leads = [label for label in labels if label.startswith("Lead")]
    assert leads == ["Lead over chance, 10.0 %"]
    assert not [each for each in found.problems if each.run == part.name]


def test_the_interval_of_an_answer_counts_fewer_clips_than_that_of_a_run(made_runs):
    """For five folds its variance is 1 + 5/4 of that of a run (Nadeau and Bengio)."""
    (run,) = made_runs(MadeRun(skill=0.5))
    (folder,) = run.folders
    vars(folder)["config"] = answer_of(folder.config)
    assert run.members
    score = run_folder.tested_run(run.folders).score
    wide, before = (own.high - own.low for own in (score, run.score))
    assert wide == pytest.approx(1.5 * before, rel=0.02)


def test_speakers_of_one_class_each_do_not_hide_what_is_better_than_chance(run_of_rows):
    """20 speakers; half of the clips of one class are recognised."""
    classes = ["angry", "happy", "sad"]
    rows = []
    for speaker in range(20):
        place = speaker % 3
        for clip in range(8 if place == 0 else 6):
            wrong = place == 0 and clip % 2
            probabilities = np.full(3, 0.1)
            probabilities[1 if wrong else place] = 0.8
            name = f"c{speaker}-{clip}"
            rows.append((name, f"g{speaker}", 1, classes[place], [*probabilities]))
    ranking = rankings([run_of_rows("mel", classes, rows)])[0]
    assert ranking.chance == pytest.approx(1 / 3)
    assert ranking.against_chance.p < 0.01
