"""The three sentences: each case from made-up runs, and the estimates of what would tell."""

from collections.abc import Callable

import numpy as np
import pytest

from analysis.answer import Answer, answer, clips_needed, interval, seed_deviation, seeds_needed
from analysis.ranking import Ranking, rankings
from analysis.results import Results
from bench.made_runs import MadeRun


def ranked(results: Results) -> Ranking:
    return rankings(results.runs, np.random.default_rng(0), replicates=4000)[0]


def said(results: Results) -> Answer:
    found = answer(ranked(results))
    assert len(found.sentences) == 3
    assert all(sentence.endswith(".") and ".." not in sentence for sentence in found.sentences)
    return found


def test_a_clear_winner(made: Callable[..., Results]) -> None:
    runs = [("mel+mfcc", 0.8), ("mel", 0.7), ("zcr", 0.3)]
    found = said(made(*(MadeRun(features=name, skill=skill) for name, skill in runs), clips=1000))
    assert found.kind == "clear winner"
    assert found.sentences[0].startswith("mel+mfcc is the clear winner of 3 sets: 80.0 % of 1,000 test clips")
    assert "5 folds, 1 seed, synthetic data, last epoch" in found.sentences[0]
    assert "ahead of mel by 10.0 points" in found.sentences[1]
    assert "and of every other set by more" in found.sentences[1]
    assert found.sentences[2].startswith("Corrected for having been chosen")
    assert "one seed, so training noise was not measured" in found.sentences[2]


def test_a_tie_names_the_tied_sets(made: Callable[..., Results]) -> None:
    runs = [("mel+mfcc", 0.8), ("mel", 0.795), ("mfcc", 0.79), ("zcr", 0.3)]
    found = said(made(*(MadeRun(features=name, skill=skill) for name, skill in runs), clips=1000))
    assert found.kind == "tie"
    assert found.sentences[0].startswith("A tie: mel+mfcc, mel and mfcc cannot be told apart")
    assert "of the other sets 1 is shown to be worse" in found.sentences[1]
    assert "zcr" not in found.text
    assert found.sentences[2].startswith("Take the cheapest of the tied")


def test_too_little_data_says_how_many_clips_would_tell(made: Callable[..., Results]) -> None:
    results = made(MadeRun(features="mel+mfcc", skill=0.8), MadeRun(skill=0.75), clips=100)
    found = said(results)
    assert found.kind == "too little data"
    needed = clips_needed(ranked(results), 0.05)
    assert 200 < needed < 1500
    assert f"about {needed:,} test clips instead of 100" in found.sentences[2]
    assert "mel+mfcc is ahead" in found.sentences[0]
    assert "mel may be as good" in found.sentences[0]


def test_the_clips_that_would_tell_do_tell(made: Callable[..., Results]) -> None:
    """The estimate is no guess: with so many clips of the same kind, the interval is narrow enough."""
    few = made(MadeRun(features="mel+mfcc", skill=0.78), MadeRun(skill=0.76), clips=200)
    needed = clips_needed(ranked(few), 0.05)
    many = made(
        MadeRun(features="mel+mfcc", skill=0.78), MadeRun(skill=0.76), clips=2 * needed, dataset="more"
    )
    more = [run for run in many.runs if run.config["dataset"] == "more"]
    assert needed > 200
    assert clips_needed(ranked(Results(more, [])), 0.05) == 0


def test_too_little_data_says_how_many_seeds_would_tell(made: Callable[..., Results]) -> None:
    runs = [MadeRun(skill=0.8, seed=0), MadeRun(skill=0.7, seed=1), MadeRun(features="mfcc", skill=0.74)]
    found = said(made(*runs, clips=1000))
    # Standard deviation over seeds 7.07 points: 2 (1.96 * 7.07 / 5)^2 = 15.4
    assert found.kind == "too little data"
    assert "about 16 seeds of each set instead of 1" in found.sentences[2]


def test_a_lead_smaller_than_the_noise_of_seeds_is_no_clear_winner(made: Callable[..., Results]) -> None:
    runs = [MadeRun(skill=skill, seed=seed) for seed, skill in enumerate((0.9, 0.7))]
    results = made(*runs, MadeRun(features="mfcc", skill=0.7), clips=1000)
    assert not ranked(results).tied
    assert said(results).kind == "too little data"


def test_seed_noise_by_hand(made: Callable[..., Results]) -> None:
    twice = made(MadeRun(skill=0.8, seed=0), MadeRun(skill=0.7, seed=1), clips=1000).runs
    assert seed_deviation(twice[0]) == pytest.approx(np.std([0.8, 0.7], ddof=1))
    assert seeds_needed(twice, 1.0) == 0


def test_several_seeds_are_no_single_seed(made: Callable[..., Results]) -> None:
    runs = [MadeRun(skill=skill, seed=seed) for seed, skill in enumerate((0.8, 0.801, 0.802))]
    found = said(made(*runs, MadeRun(features="zcr", skill=0.3), clips=1000))
    assert found.kind == "clear winner"
    assert "3 seeds" in found.sentences[0]
    assert "one seed" not in found.text


def test_runs_of_one_set_are_told_by_their_models_then_by_their_names(made: Callable[..., Results]) -> None:
    found = said(made(MadeRun(skill=0.8), MadeRun(skill=0.4, model="cnn4"), clips=1000))
    assert found.sentences[0].startswith("mel (resnet18) is the clear winner of 2 sets")
    assert "and of every other set" not in found.sentences[1]
    found = said(made(MadeRun(skill=0.8), MadeRun(skill=0.4, augment="none"), clips=1000))
    assert found.sentences[0].startswith("mel-resnet18")


def test_many_tied_sets_are_counted(made: Callable[..., Results]) -> None:
    found = said(made(*(MadeRun(features=f"f{number}", skill=0.7) for number in range(9)), clips=1000))
    assert found.kind == "tie"
    assert "A tie: f7, f0, f1 and 6 more cannot be told apart" in found.sentences[0]
    assert "of the other sets none is shown to be worse" in found.sentences[1]


def test_a_small_lead_says_how_many_clips_would_show_it(made: Callable[..., Results]) -> None:
    results = made(MadeRun(features="mel+mfcc", skill=0.80), MadeRun(skill=0.79), clips=1000)
    found = said(results)
    needed = clips_needed(ranked(results), 0.01)
    assert found.kind == "tie" and needed > 1000
    assert f"about {needed:,} test clips would show so small a difference" in found.sentences[1]


def test_an_exact_solution_has_no_seeds_to_try(made: Callable[..., Results]) -> None:
    runs = [MadeRun(skill=0.8, model="linear"), MadeRun(features="zcr", skill=0.3, model="linear")]
    found = said(made(*runs, clips=1000))
    assert found.kind == "clear winner"
    assert "seed, so training noise" not in found.text


def test_the_score_stands_with_its_deviation_over_folds(made: Callable[..., Results]) -> None:
    results = made(MadeRun(skill=0.8), MadeRun(features="zcr", skill=0.3))
    deviation = ranked(results).fold_accuracy[0].std(ddof=1)
    assert f", sd {100 * deviation:.1f}; 5 folds" in said(results).sentences[0]


def test_a_reversed_interval_is_mirrored(made: Callable[..., Results]) -> None:
    ranking = ranked(made(MadeRun(skill=0.8), MadeRun(features="zcr", skill=0.3)))
    ranking.pairs.loc[0, ["low", "high"]] = [0.45, 0.55]
    pair = ranking.pair(*ranking.runs)
    assert interval(pair) == "95 % interval +45.0 to +55.0"
    assert interval(pair, -1) == "95 % interval −55.0 to −45.0"


def test_an_interval_without_zero_that_does_not_stand_correction_says_so(
    made: Callable[..., Results],
) -> None:
    ranking = ranked(made(MadeRun(skill=0.8), MadeRun(features="mfcc", skill=0.79), clips=1000))
    ranking.pairs.loc[0, ["low", "high"]] = [0.001, 0.02]
    assert "not certain among so many comparisons" in answer(ranking).sentences[1]


def test_one_fold_cannot_correct_for_the_choice(made: Callable[..., Results]) -> None:
    runs = [MadeRun(skill=0.8, folds=(1,)), MadeRun(features="zcr", skill=0.3, folds=(1,))]
    found = said(made(*runs, clips=2000))
    assert "1 of 5 folds, " in found.sentences[0]
    assert found.sentences[2].startswith("With one fold alone the score cannot be corrected")


def test_one_run_and_none(made: Callable[..., Results]) -> None:
    alone = said(made(MadeRun(skill=0.8)))
    assert alone.kind == "one run"
    assert alone.sentences[0].startswith("mel with resnet18 gets 80.0 % of 400 test clips right")
    nothing = answer(None)
    assert nothing.kind == "no run"
    assert nothing.text.startswith("No run has been trained yet")
