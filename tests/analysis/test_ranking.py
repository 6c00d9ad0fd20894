"""What is ranked with what, the verdicts, and the score of nested selection."""

from collections.abc import Callable

import numpy as np
import pytest

from analysis.ranking import Ranking, nested_selection, not_compared, not_compared_sentence, rank, rankings
from analysis.results import Results, Run
from tests.analysis.made_runs import MadeRun


def ranked(results: Results) -> list[Ranking]:
    return rankings(results.runs, np.random.default_rng(0), replicates=2000)


def test_best_first_with_intervals_around(made: Callable[..., Results]) -> None:
    first = ranked(made(MadeRun(features="zcr", skill=0.4), MadeRun(skill=0.8)))[0]
    assert [run.features for run in first.runs] == ["mel", "zcr"]
    assert first.accuracy == pytest.approx([0.8, 0.4])
    assert (first.interval[:, 0] < first.accuracy).all()
    assert (first.accuracy < first.interval[:, 1]).all()
    pair = first.pairs.iloc[0]
    assert (pair["a"], pair["b"]) == (first.runs[0].name, first.runs[1].name)
    assert pair["difference"] == pytest.approx(0.4)
    assert pair["low"] < 0.4 < pair["high"]
    assert pair["differs"]
    assert first.tied == ()


def test_accuracy_is_the_mean_over_folds_of_unequal_size(hand_run: Callable[..., Run]) -> None:
    rows = [(f"c{n}", f"g{n}", 1 if n < 8 else 2, "dog", [0.9, 0.1]) for n in range(10)]
    rows[9] = ("c9", "g9", 2, "rain", [0.9, 0.1])
    found = rank([hand_run("mel", ["dog", "rain"], rows)], np.random.default_rng(0), 500)
    assert found.accuracy.tolist() == [(1 + 0.5) / 2]
    assert found.fold_accuracy.tolist() == [[1, 0.5]]


def test_runs_that_do_not_differ_significantly_are_tied(made: Callable[..., Results]) -> None:
    runs = [
        MadeRun(features=name, skill=skill) for name, skill in (("mel", 0.8), ("mfcc", 0.79), ("zcr", 0.3))
    ]
    first = ranked(made(*runs))[0]
    assert [run.features for run in first.tied] == ["mfcc"]


def test_equal_runs_are_tied_with_certainty(made: Callable[..., Results]) -> None:
    results = made(MadeRun(), MadeRun(features="mfcc"))
    twin = results.runs[0].checkpoints
    results.runs[1].checkpoints.update(twin)
    pair = ranked(results)[0].pairs.iloc[0]
    assert (pair["difference"], pair["p"], pair["p_best"]) == (0, 1, 1)
    # None of 200 recordings differs: a share of up to 1 - 0.025^(1/200) may, without one having been seen.
    assert [-pair["low"], pair["high"]] == pytest.approx([1 - 0.025 ** (1 / 200)] * 2)


def test_four_recordings_that_differ_are_no_clear_winner(hand_run: Callable[..., Run]) -> None:
    """Four to none is p = 1/8 by McNemar's exact test, however many clips the runs agree on."""

    def rows(right: int) -> list[tuple[str, str, int, str, list[float]]]:
        return [(f"c{n}", f"g{n}", 1 + n % 2, "dog", [1, 0] if n < right else [0, 1]) for n in range(40)]

    runs = [hand_run(name, ["dog", "rain"], rows(right)) for name, right in (("a", 34), ("b", 30))]
    pair = rank(runs, np.random.default_rng(0), 10_000).pairs.iloc[0]
    assert (pair["p"], pair["p_best"]) == pytest.approx((1 / 8, 1 / 8), abs=0.01)
    assert not pair["differs"]


def test_too_few_recordings_have_no_interval_and_no_verdict(hand_run: Callable[..., Run]) -> None:
    rows = {
        name: [(f"c{n}", f"speaker{n % 4}", 1, "dog", [right, 1 - right]) for n in range(80)]
        for name, right in (("a", 1.0), ("b", 0.0))
    }
    found = rank(
        [hand_run(name, ["dog", "rain"], rows[name]) for name in rows], np.random.default_rng(0), 500
    )
    assert not found.testable
    assert np.isnan(found.interval).all()
    assert not found.pairs["differs"].any()


def test_a_perfect_score_has_an_interval(hand_run: Callable[..., Run]) -> None:
    rows = [(f"c{n}", f"g{n}", 1, "dog", [1.0, 0.0]) for n in range(40)]
    low, high = rank([hand_run("a", ["dog", "rain"], rows)], np.random.default_rng(0), 500).interval[0]
    assert (low, high) == pytest.approx((0.025 ** (1 / 40), 1))  # Clopper and Pearson's: 91.2 to 100 %


def test_finished_runs_lead_whatever_the_number_of_partial_ones(made: Callable[..., Results]) -> None:
    partial = [MadeRun(features=name, skill=0.95, folds=(1,)) for name in ("rms", "zcr", "mel+rms")]
    found = ranked(
        made(MadeRun(skill=0.7), MadeRun(features="mfcc", skill=0.69), *partial, MadeRun(val="next"))
    )
    assert [run.features for run in found[0].runs] == ["mel", "mfcc"]
    assert sorted(run.features for run in found[2].runs) == ["mel+rms", "rms", "zcr"]
    assert not_compared_sentence(found) == (
        "4 of 6 runs are not compared, because 3 lack folds and 1 has another protocol."
    )
    assert not_compared_sentence(found[:1]) == ""


def test_of_partial_runs_those_of_more_clips_lead(made: Callable[..., Results]) -> None:
    few = [MadeRun(features=name, folds=(1,)) for name in ("rms", "zcr", "mfcc")]
    assert ranked(made(*few, MadeRun(folds=(1, 2))))[0].best.features == "mel"


def test_no_winner_among_runs_of_one_skill_more_often_than_promised() -> None:
    """Of 60 comparisons of three equal runs on independent clips, about three may find a difference."""
    rng = np.random.default_rng(8)
    found = 0
    for _ in range(60):
        runs = [_independent(f"r{number}", rng) for number in range(3)]
        found += bool(rank(runs, rng, replicates=500).pairs["differs"].any())
    assert found <= 8


def _independent(name: str, rng: np.random.Generator) -> Run:
    target = np.zeros(200, dtype=np.intp)
    right = rng.random(200) < 0.7
    probabilities = np.where(right[:, None], [1.0, 0.0], [0.0, 1.0])[None]
    names = np.array([f"c{number:03d}" for number in range(200)])
    return Run(
        name=name,
        folders=(),
        classes=("dog", "rain"),
        categories=("", ""),
        clip_ids=names,
        groups=names,
        folds=np.arange(200) % 5,
        target=target,
        checkpoints={"last": probabilities},
        history=None,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (MadeRun(task="categories"), "its task is categories, not classes"),
        (MadeRun(features="rms", folds=(1, 2, 3, 4)), "fold 5 is missing (320 test clips of 400)"),
        (MadeRun(features="rms", folds=(1, 2)), "folds 3, 4, 5 are missing"),
        (MadeRun(val="next"), "its protocol is 'best epoch on VAL=next', not 'last epoch'"),
    ],
)
def test_what_is_not_compared_says_why(made: Callable[..., Results], other: MadeRun, words: str) -> None:
    found = ranked(made(MadeRun(), MadeRun(features="zcr"), other))
    assert [len(ranking.runs) for ranking in found] == [2, 1]
    assert words in not_compared(found)[0].text


def test_other_classes_datasets_or_clips_are_not_compared(
    made: Callable[..., Results], hand_run: Callable[..., Run]
) -> None:
    runs = made(MadeRun(), MadeRun(features="zcr")).runs
    other_classes = hand_run("a", ["dog", "cat"], [("x", "g", 1, "dog", [0.9, 0.1])], dataset="made")
    other_dataset = hand_run("b", ["dog", "cat"], [("x", "g", 1, "dog", [0.9, 0.1])], dataset="esc10")
    other_clips = hand_run("c", runs[0].classes, [("x", "g", 1, "class00", np.eye(10)[0])], dataset="made")
    reasons = {problem.run: problem.text for problem in not_compared(ranked(Results([*runs, other_classes,
               other_dataset, other_clips], [])))}  # fmt: skip
    assert "its class list is another one (2 classes, not 10; 'cat' is in one only)" in reasons["a"]
    assert "its dataset is esc10, not made" in reasons["b"]
    assert "it tested other clips (1, the others 400)" in reasons["c"]


def test_another_number_of_epochs_is_no_other_protocol(made: Callable[..., Results]) -> None:
    results = made(MadeRun(), MadeRun(features="zcr"))
    results.runs[1].config["protocol"] = "last epoch of 240"
    assert len(ranked(results)) == 1


def test_nothing_ranked_keeps_nothing_out() -> None:
    assert rankings([], np.random.default_rng(0)) == []
    assert not_compared([]) == []


def scores(table: list[list[float]], made: Callable[..., Results]) -> Ranking:
    """A ranking whose fold accuracies are these."""
    runs = made(*(MadeRun(features=f"f{number}") for number in range(len(table)))).runs
    ranking = ranked(Results(runs, []))[0]
    object.__setattr__(ranking, "fold_accuracy", np.array(table))
    object.__setattr__(ranking, "folds", np.arange(1, len(table[0]) + 1))
    return ranking


def test_the_selected_run_is_scored_on_the_fold_that_did_not_select_it(made: Callable[..., Results]) -> None:
    # Without fold 1 the second run leads (0.8 to 0.5) and gets 0.6 there; without fold 2 the first does
    # (1.0 to 0.6) and gets 0.5: 0.55, where the highest mean is 0.75.
    ranking = scores([[1.0, 0.5], [0.6, 0.8]], made)
    found = nested_selection(ranking)
    assert found is not None
    assert found.accuracy == pytest.approx(0.55)
    assert found.selected == {1: ranking.runs[1].name, 2: ranking.runs[0].name}


def test_a_run_that_is_best_in_every_fold_keeps_its_score(made: Callable[..., Results]) -> None:
    found = nested_selection(scores([[0.9, 0.8, 0.7], [0.5, 0.4, 0.3]], made))
    assert found is not None
    assert found.accuracy == pytest.approx(0.8)


def test_no_correction_without_a_choice_or_a_second_fold(made: Callable[..., Results]) -> None:
    assert nested_selection(scores([[0.9, 0.8]], made)) is None
    assert nested_selection(scores([[0.9], [0.8]], made)) is None
