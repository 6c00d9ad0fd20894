"""The answer's headline and lines, and the overview: each case from made-up runs."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import ablations
from analysis.answer import (
    Answer,
    answer,
    clips_needed,
    families,
    interval_text,
    seeds_needed,
)
from analysis.ensemble import write_ensemble
from analysis.naming import display_names
from analysis.overview import overview_lines
from analysis.ranking import Ranking, rank, rankings
from analysis.results import Results, Run, load_runs
from results.run_folder import RunFolder, find
from tests.analysis.made_runs import MadeRun


def ranked(results: Results) -> Ranking:
    return rankings(results.runs, np.random.default_rng(0), replicates=4000)[0]


def answer_of(ranking: Ranking) -> Answer:
    return answer(ranking, ablations.all_ablations(ranking, np.random.default_rng(0)).features)


def answered(results: Results) -> Answer:
    found = answer_of(ranked(results))
    assert not found.headline.endswith(".")
    for _, sentence in (*found.lines, *found.details, *found.notes):
        assert sentence.endswith(".") and ".." not in sentence and "nan" not in sentence
    return found


def lines(found: Answer) -> dict[str, str]:
    return dict((*found.lines, *found.notes, *found.details))


def of_skill(**skills: float) -> list[MadeRun]:
    """One run a feature set; `_` stands for +."""
    return [MadeRun(features=name.replace("_", "+"), skill=skill) for name, skill in skills.items()]


def test_a_clear_winner(made: Callable[..., Results]) -> None:
    found = answered(made(*of_skill(mel_mfcc=0.8, mel=0.7, zcr=0.3), clips=1000))
    assert found.kind == "clear winner"
    assert found.headline == "Best features: mel+mfcc, 80.0 % accuracy"
    assert "5 folds, 1 seed, synthetic data, last epoch" in found.summary
    said = lines(found)
    assert said["How sure?"].startswith("Probably 77.")
    assert "Leaving out mfcc (mel alone) is clearly worse (−10.0 points, 95 % CI −1" in said["How sure?"]
    assert said["How sure?"].endswith("; so is the other one.")
    assert (
        said["Why combine?"]
        == "mel alone 70.0 %; together 80.0 %. The comparison above finds a clear difference."
    )
    assert "Enough data?" not in said
    assert said["Seeds"] == "One, so the variation between seeds is unknown."
    assert "corrected for 2 comparisons" in said["Verdict"]
    assert "Selected on all folds but one and scored on that one" in said["Selection"]


def test_a_tie_counts_the_tied_and_the_worse(made: Callable[..., Results]) -> None:
    runs = of_skill(mel_mfcc=0.8, mel_mfcc_chroma=0.795, mel=0.79, zcr=0.3, rms=0.2)
    found = answered(made(*runs, clips=1000))
    assert found.kind == "tie"
    assert found.headline == "Best features: mel+mfcc, 80.0 % accuracy, tied with 2 others"
    sure = lines(found)["How sure?"]
    assert "Adding chroma makes no clear difference (−0.5 points, 95 % CI −" in sure
    assert " Neither does one other. The 2 other configurations are clearly worse than the best." in sure
    assert lines(found)["Why combine?"].endswith(": no clear difference.")
    assert lines(found)["Verdict"].endswith(
        "A set 5 points below the best would have been found with a power of 80 %."
    )


def test_too_little_data_says_how_many_clips_are_needed(made: Callable[..., Results]) -> None:
    results = made(*of_skill(mel_mfcc=0.8, mel=0.75), clips=100)
    found = answered(results)
    assert found.kind == "too little data"
    assert (
        found.headline == "Best features so far: mel+mfcc, 80.0 % accuracy, no clear difference from mel yet"
    )
    needed = clips_needed(ranked(results), 0.05)
    assert 200 < needed < 1500
    assert lines(found)["Enough data?"] == (
        "No: to find a difference of 5.0 points with a power of 80 % takes "
        f"about {needed:,} test clips instead of 100."
    )
    assert "Leaving out mfcc (mel alone) makes no clear difference" in lines(found)["How sure?"]


def test_of_several_runs_of_a_feature_combining_is_compared_with_the_best(
    made: Callable[..., Results],
) -> None:
    results = made(*of_skill(mel_mfcc=0.8, mel=0.7, mfcc=0.6, zcr=0.3), clips=1000)
    again = replace(results.runs[1], name="mel-resnet18-again")
    said = lines(answered(Results([*results.runs, again], [])))
    assert said["Why combine?"].startswith("mel alone 70.0 % and mfcc alone 60.0 %; together 80.0 %")


def test_two_numbers_of_clips_say_of_which_differences_they_are(made: Callable[..., Results]) -> None:
    said = lines(answered(made(*of_skill(mel_mfcc=0.8, mel=0.78), clips=100)))
    (needed,) = re.findall(r"about ([\d,]+) test clips", said["Enough data?"])
    assert f"(four times as many for half the difference; the {needed} are for 5.0 points)" in said["Verdict"]


def test_different_number_formats_are_said_where_the_runs_are_compared(hand_run: Callable[..., Run]) -> None:
    rows = [(f"c{n}", f"g{n}", 1 + n % 2, "dog", [0.8, 0.2]) for n in range(12)]
    runs = [
        hand_run(name, ["dog", "rain"], rows, precision=one)
        for name, one in (("mel", "bf16"), ("mfcc", "bf16"), ("zcr", "fp32"))
    ]
    assert "2 in bf16 and 1 in fp32." in lines(answered(Results(runs, [])))["Number format"]
    assert "Number format" not in lines(answered(Results(runs[:2], [])))


def test_the_estimated_number_of_clips_suffices(made: Callable[..., Results]) -> None:
    """With the estimated number of clips the interval is narrow enough."""
    few = made(MadeRun(features="mel+mfcc", skill=0.78), MadeRun(skill=0.76), clips=200)
    needed = clips_needed(ranked(few), 0.05)
    many = made(
        MadeRun(features="mel+mfcc", skill=0.78), MadeRun(skill=0.76), clips=2 * needed, dataset="more"
    )
    more = [run for run in many.runs if run.config["dataset"] == "more"]
    assert needed > 200
    assert clips_needed(ranked(Results(more, [])), 0.05) == 0


def test_too_little_data_says_how_many_seeds_are_needed(made: Callable[..., Results]) -> None:
    runs = [MadeRun(skill=0.8, seed=0), MadeRun(skill=0.7, seed=1), MadeRun(features="mfcc", skill=0.74)]
    found = answered(made(*runs, clips=1000))
    # Standard deviation over seeds 7.07 points: 2 ((2.33 + 0.84) * 7.07 / 5)^2 = 40.1
    assert found.kind == "too little data"
    assert "about 41 seeds of each set instead of 1" in lines(found)["Enough data?"]
    assert lines(found)["Seeds"] == (
        "2 of the best configuration, with a standard deviation of 7.1 points between them; "
        "some other configurations have 1."
    )


def test_a_lead_within_the_variation_between_seeds_is_no_clear_winner(made: Callable[..., Results]) -> None:
    runs = [MadeRun(skill=skill, seed=seed) for seed, skill in enumerate((0.9, 0.7))]
    results = made(*runs, MadeRun(features="mfcc", skill=0.7), clips=1000)
    assert not ranked(results).tied
    assert answered(results).kind == "too little data"


def test_seed_deviation_by_hand(made: Callable[..., Results]) -> None:
    twice = made(MadeRun(skill=0.8, seed=0), MadeRun(skill=0.7, seed=1), clips=1000).runs
    assert twice[0].seed_deviation == pytest.approx(np.std([0.8, 0.7], ddof=1))
    assert seeds_needed(twice, 1.0) == 0


def test_an_exact_solution_needs_no_seeds(made: Callable[..., Results]) -> None:
    seeds = [MadeRun(skill=skill, seed=seed) for seed, skill in enumerate((0.80, 0.80, 0.801))]
    runs = made(*seeds, MadeRun(model="linear", skill=0.7), clips=1000).runs
    trained, linear = sorted(runs, key=lambda run: run.exact)
    assert linear.exact and not trained.exact
    assert seeds_needed((trained, linear), 0.05) == 0  # three seeds of the network suffice
    assert seeds_needed((linear,), 0.05) == 0
    half = seeds_needed((trained, linear), 0.001)
    assert 3 < half < seeds_needed((trained, trained), 0.001) <= 2 * half


def test_several_seeds_are_no_single_seed(made: Callable[..., Results]) -> None:
    runs = [MadeRun(skill=skill, seed=seed) for seed, skill in enumerate((0.8, 0.801, 0.802))]
    found = answered(made(*runs, MadeRun(features="zcr", skill=0.3), clips=1000))
    assert found.kind == "clear winner"
    assert "3 seeds" in found.summary
    assert lines(found)["Seeds"].startswith("3 of the best configuration, with a standard")


def test_runs_of_one_set_are_named_by_their_models_then_by_their_settings(
    made: Callable[..., Results],
) -> None:
    found = answered(made(MadeRun(skill=0.8), MadeRun(skill=0.4, model="cnn4"), clips=1000))
    assert found.headline == "Best features: mel with resnet18, 80.0 % accuracy"
    assert "mel (cnn4) is clearly worse (−40.0 points" in found.text
    found = answered(made(MadeRun(skill=0.8), MadeRun(skill=0.4, augment="none"), clips=1000))
    assert found.headline.startswith("Best features: mel (resnet18, augment default), ")


def test_a_tied_set_of_the_same_model_is_named_by_its_features(made: Callable[..., Results]) -> None:
    runs = [*of_skill(mel_mfcc=0.8, mel=0.79), MadeRun(features="mel", skill=0.3, model="cnn4")]
    found = answered(made(*runs, clips=2000))
    assert found.headline == "Best features: mel+mfcc with resnet18, 80.0 % accuracy, tied with mel"


def test_many_tied_sets_are_counted(made: Callable[..., Results]) -> None:
    found = answered(made(*(MadeRun(features=f"f{number}", skill=0.7) for number in range(9)), clips=2000))
    assert found.kind == "tie"
    assert found.headline.endswith(", tied with 8 others")
    assert "f0 makes no clear difference (0.0 points" in lines(found)["How sure?"]
    assert lines(found)["How sure?"].endswith(" Neither do 7 others.")
    assert "Why combine?" not in lines(found)


def test_a_small_lead_says_how_many_clips_are_needed(made: Callable[..., Results]) -> None:
    results = made(MadeRun(features="mel+mfcc", skill=0.80), MadeRun(skill=0.79), clips=1000)
    found = answered(results)
    needed = clips_needed(ranked(results), 0.01)
    assert found.kind == "tie" and needed > 1000
    assert (
        f"to find so small a difference with a power of 80 % would take about {needed:,} test clips"
        in lines(found)["Verdict"]
    )


def test_an_exact_solution_has_no_seeds_to_try(made: Callable[..., Results]) -> None:
    runs = [MadeRun(skill=0.8, model="linear"), MadeRun(features="zcr", skill=0.3, model="linear")]
    found = answered(made(*runs, clips=1000))
    assert found.kind == "clear winner"
    assert lines(found)["Seeds"] == "An exact solution: another seed changes nothing."
    assert "5 folds, exact solution, " in found.summary and "1 seed" not in found.summary


def test_an_exact_solution_is_said_once(hand_run: Callable[..., Run]) -> None:
    rows = [(f"c{n}", f"g{n}", 1 + n % 2, "dog", [0.8, 0.2]) for n in range(12)]
    own = {"model": "linear", "val": "none", "protocol": "each fold tested; exact solution"}
    runs = [hand_run(name, ["dog", "rain"], rows, **own) for name in ("mel", "mfcc")]
    assert answered(Results(runs, [])).summary.count("exact solution") == 1


def test_runs_of_one_feature_set_and_model_are_named_by_what_differs(hand_run: Callable[..., Run]) -> None:
    rows = [(f"c{n}", f"g{n}", 1 + n % 2, "dog", [0.8, 0.2]) for n in range(12)]
    settings = (
        {"options": {"epochs": 20}},
        {"options": {"epochs": 40}},
        {"options": {"epochs": 20}, "tag": "b"},
    )
    runs = [
        hand_run(f"mel-{number}", ["dog", "rain"], rows, features="mel", **own)
        for number, own in enumerate(settings)
    ]
    assert sorted(display_names(ranked(Results(runs, [])))) == [
        "mel (resnet18, epochs 20, no tag)",
        "mel (resnet18, epochs 20, tag b)",
        "mel (resnet18, epochs 40, no tag)",
    ]


def test_the_score_stands_with_its_deviation_over_folds(made: Callable[..., Results]) -> None:
    results = made(MadeRun(skill=0.8), MadeRun(features="zcr", skill=0.3))
    deviation = ranked(results).fold_accuracy[0].std(ddof=1)
    assert f", SD {100 * deviation:.1f}; 5 folds" in answered(results).summary


def test_a_reversed_interval_is_mirrored(made: Callable[..., Results]) -> None:
    ranking = ranked(made(MadeRun(skill=0.8), MadeRun(features="zcr", skill=0.3)))
    ranking.pairs.loc[0, ["low", "high"]] = [0.45, 0.55]
    pair = ranking.pair(*ranking.runs)
    assert interval_text(ranking, pair) == "95 % CI +45.0 to +55.0"
    assert interval_text(ranking, pair, -1) == "95 % CI −55.0 to −45.0"


def test_of_an_interval_without_zero_that_is_not_significant_p_and_its_level_are_named(
    made: Callable[..., Results],
) -> None:
    runs = [MadeRun(skill=0.8), MadeRun(features="mfcc", skill=0.79), MadeRun(features="zcr", skill=0.3)]
    ranking = ranked(made(*runs[:2], clips=1000))
    ranking.pairs.loc[0, ["low", "high", "p_best"]] = [0.001, 0.02, 0.048]
    assert "95 % CI −2.0 to −0.1, not significant: p = 0.048, level 0.02)" in answer_of(ranking).text
    assert lines(answer_of(ranking))["Verdict"].startswith(
        "Significant is p below 0.02, not 0.05: a report also"
    )
    ranking = ranked(made(*runs, clips=1000))
    ranking.pairs.loc[0, ["low", "high", "p_best"]] = [0.001, 0.02, 0.031]
    assert (
        "not significant: p = 0.031 after correction for 2 comparisons, level 0.02)"
        in answer_of(ranking).text
    )


def test_with_one_fold_the_selected_score_is_called_optimistic(made: Callable[..., Results]) -> None:
    runs = [MadeRun(skill=0.8, folds=(1,)), MadeRun(features="zcr", skill=0.3, folds=(1,))]
    found = answered(made(*runs, clips=2000))
    assert "1 of 5 folds, " in found.summary
    assert lines(found)["Selection"].endswith("selected on the test folds, so its score is optimistic.")


def test_one_run_and_none(made: Callable[..., Results]) -> None:
    alone = answered(made(MadeRun(skill=0.8)))
    assert alone.kind == "one run"
    assert alone.headline == "One run so far: mel with resnet18, 80.0 % accuracy"
    assert lines(alone)["How sure?"].endswith("so nothing is known about others.")
    assert answer(None, pd.DataFrame()).headline == "No run has been trained yet"


def test_where_the_best_is_a_single_feature_combining_is_said_to_gain_nothing(
    made: Callable[..., Results],
) -> None:
    found = answered(made(*of_skill(mel=0.8, mel_mfcc=0.79, zcr=0.3), clips=1000))
    assert lines(found)["Why combine?"] == (
        "mel alone 80.0 %; mel+mfcc 79.0 %. The comparison above finds no clear difference."
    )


def test_an_ensemble_of_runs_combines_no_features(written: Callable[..., Results], tmp_path: Path) -> None:
    results = written(*of_skill(mel=0.6, mfcc=0.59))
    write_ensemble([run.folders[0] for run in results.runs], tmp_path)
    main = ranked(load_runs(find(tmp_path)))
    assert [[run.trained for run in together] for together in families(main)] == [[True, True], [False]]
    if not main.best.trained:
        assert "Why combine?" not in dict(answer_of(main).lines)


def test_fewer_than_five_recordings_have_no_verdict(hand_run: Callable[..., Run]) -> None:
    runs = []
    for name, right in (("mel", 0.9), ("mfcc", 0.2)):
        rows = [(f"c{n}", f"speaker{n % 4}", 1, "dog", [right, 1 - right]) for n in range(80)]
        runs.append(hand_run(name, ["dog", "rain"], rows))
    found = answered(Results(runs, []))
    assert found.kind == "too little data"
    assert found.headline == "Highest accuracy: mel, 100.0 %, too few recordings for a verdict"
    said = lines(found)
    assert said["How sure?"] == (
        "No interval: the test clips come from fewer than 5 source recordings (4). No verdict on mfcc."
    )
    assert "no interval, fewer than 5 source recordings" in found.summary
    assert said["Enough data?"].startswith("No: clips of one recording are not independent.")
    main = ranked(Results(runs, []))
    overview = overview_lines(main, ablations.all_ablations(main, np.random.default_rng(0)).features)
    assert "nan" not in " ".join(sentence for _, sentence in overview)


def test_what_would_have_been_found_has_the_stated_power(tmp_path: Path) -> None:
    """Of equal runs on as many recordings as the statement takes, a set 5 points lower is found in 80 %."""
    rng = np.random.default_rng(0)
    clips = 400
    while clips_needed(equal_runs(clips, 0.0, rng), 0.05):
        clips += 100
    found = sum(not equal_runs(clips, 0.05, rng).tied for _ in range(100))
    assert 70 <= found <= 97


def equal_runs(clips: int, worse: float, rng: np.random.Generator) -> Ranking:
    """Two runs of 80 % accuracy, the second worse by so much, that agree on four clips of five."""
    names = np.array([f"{number:05d}" for number in range(clips)])
    shared, both = rng.random(clips) < 0.6, rng.random((2, clips))
    runs = []
    for name, accuracy, own in (("mel", 0.8, both[0]), ("mfcc", 0.8 - worse, both[1])):
        correct = shared | (own < 1 - (1 - accuracy) / 0.4)
        folder = RunFolder(Path(name))
        folder.__dict__["config"] = {"dataset": "d", "features": name, "model": "m", "seed": 0, "folds": [1]}
        probabilities = np.where(correct[:, None], [1.0, 0.0], [0.0, 1.0])[None]
        parts = {"folders": (folder,), "classes": ("dog", "rain"), "categories": ("", ""), "clip_ids": names}
        folds = np.ones(clips, dtype=int)
        parts |= {
            "groups": names,
            "folds": folds,
            "target": 0 * folds,
            "checkpoints": {"last": probabilities},
        }
        runs.append(Run(name=name, history=None, **parts))  # type: ignore[arg-type]
    return rank(runs, rng, 500)
