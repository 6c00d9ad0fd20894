"""What the report says: each sentence beside the facts that it takes."""

from types import SimpleNamespace

import numpy as np
import pytest

from featurestack.analysis import sentences


def best(**facts):
    return SimpleNamespace(
        best={"accuracy": 0.745, "accuracy_low": 0.68, "accuracy_high": 0.8},
        alike=range(30),
        **{"nested": np.nan, "nested_low": np.nan, "nested_high": np.nan} | facts,
    )


def test_the_best_of_many_has_the_interval_of_one_that_was_named_beforehand():
    assert sentences.probably(best()) == (
        "The best of 30 configurations, probably between 68.0 and 80.0 % (95 % interval"
        " if it had been named beforehand)."
    )


def test_the_best_of_many_has_the_score_of_its_choice_on_the_other_folds():
    found = best(nested=0.759, nested_low=0.701, nested_high=0.81)
    assert sentences.probably(found).endswith(
        "if it had been named beforehand; chosen on the other folds each time, it is"
        " 75.9 %, 70.1 to 81.0)."
    )


def test_a_choice_that_is_the_same_on_the_other_folds_is_said_in_two_words():
    found = best(nested=0.745, nested_low=0.68, nested_high=0.8)
    assert sentences.probably(found).endswith("each time, it is the same).")


@pytest.mark.parametrize(
    ("threats", "score"),
    [((), "98.3 % accuracy"), (("uneven",), "98.3 % accuracy (97.5 % balanced)")],
)
def test_a_choice_inside_the_folds_has_a_score_and_says_how_it_was_made(threats, score):
    found = SimpleNamespace(
        best={"accuracy": 0.983, "balanced_accuracy": 0.975, "model": "texture"},
        choice=SimpleNamespace(candidates=range(36)),
        score="accuracy",
        threats=[SimpleNamespace(kind=kind) for kind in threats],
    )
    assert sentences.right(found) == (
        f"texture has {score}; its features were chosen from 36 without the clips that"
        " test them"
    )


def runs(*sets):
    return SimpleNamespace(
        runs=[
            SimpleNamespace(features=features, composed_from=of)
            for features, of in sets
        ]
    )


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        ([("mel", 0)], ""),
        (
            [("mel", 0), ("mel+mfcc", 25)],
            (
                "mel+mfcc was composed from the best of 25 feature sets on these test"
                " folds; no test or interval here corrects that, so it has no verdict."
            ),
        ),
        (
            [("mel+mfcc", 25), ("mel+rms", 25)],
            (
                "mel+mfcc and mel+rms were composed from the best of 25 feature sets on"
                " these test folds; no test or interval here corrects that, so they"
                " have no verdict."
            ),
        ),
    ],
)
def test_composed_sets_are_named(sets, said):
    assert sentences.composed(runs(*sets)) == said


def two_runs(**facts):
    best = {"label": "mel+mfcc", "accuracy": 0.9, "seeds": 1, "exact": True}
    second = best | {"label": "mel", "difference": -0.05}
    return SimpleNamespace(
        **{
            "rows": [best, second],
            "best": best,
            "state": "tie",
            "detectable": 0.097,
            "recordings": 40,
            "recordings_needed": 0,
            "group": "recording",
            "unit": "recording",
            "groups": "group",
            "score": "accuracy",
            "main": SimpleNamespace(best=SimpleNamespace(clip_ids=range(80))),
        }
        | facts
    )


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (
            {},
            (
                "These clips can show a difference of 9.7 points or more to mel"
                " (power 80 %)."
            ),
        ),
        (
            {"state": "winner"},
            (
                "These clips can show a difference of 9.7 points or more to mel"
                " (power 80 %). The difference found is smaller, 5.0 points: other"
                " recordings might not show it."
            ),
        ),
        (
            {"detectable": 0.95},
            "40 recordings can show no difference to mel, however large (power 80 %).",
        ),
        (
            {"detectable": np.nan, "recordings_needed": 51},
            "About 51 recordings would show the difference found; there are 40.",
        ),
        (
            {"detectable": np.nan, "recordings_needed": 500},
            "Ten times as many recordings would not show the difference found.",
        ),
    ],
)
def test_what_the_clips_can_show_is_said_with_its_power(facts, said):
    assert sentences.enough(two_runs(**facts)) == said


@pytest.mark.parametrize(
    ("seeds", "said"),
    [(1, "Only one seed was trained."), (3, "Some runs have one seed.")],
)
def test_one_seed_leaves_the_variation_between_trainings_out(seeds, said):
    rows = [{"seeds": 1, "exact": False, "label": "mel", "accuracy": 0.9}] * 2
    found = two_runs(rows=rows, best={"seeds": seeds}, detectable=np.nan)
    assert sentences.enough(found) == (
        f"{said} The intervals do not include the variation between trainings."
    )
