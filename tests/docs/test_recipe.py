"""Choices of the recipe see folds 1 to 3 alone, are recorded, and go on where they
stopped.
"""

import numpy as np
import pandas as pd
import pytest

from docs import recipe
from docs.recipe import Decision, RecipeOptions, ensemble
from featurestack.commandline.errors import RequestError
from featurestack.features_cache import Cache
from featurestack.train.models.architecture import resolve
from tests.docs.conftest import run_here


def options(esc50, **changes):
    given = {
        "dataset": esc50,
        "out": esc50.parent / "out",
        "table": esc50.parent / "recipe.csv",
        "decision": ("little",),
    }
    return RecipeOptions(**given | changes)


def table(asked):
    return pd.read_csv(asked.table, dtype=str, keep_default_na=False)


@pytest.fixture
def little(monkeypatch):
    """A decision that takes seconds, and the commands that it runs."""
    decision = Decision(
        "is it quick?", "FEATURES=mel", ("MODEL=linear", "MODEL=linear@C=1"), True
    )
    commands = []

    def run_command(module, words):
        commands.append(module)
        return run_here(module, words)

    monkeypatch.setattr(recipe, "DECISIONS", {"little": decision})
    monkeypatch.setattr(recipe, "run_command", run_command)
    return commands


def test_a_decision_is_recorded_without_folds_4_and_5_and_goes_on(esc50, little):
    asked = options(esc50, folds=(2,))
    recipe.recipe(asked)
    cache = Cache(asked.out / "data" / "choice23" / "features")
    assert sorted(set(cache.clips["fold"])) == [1, 2, 3]
    first = table(asked)
    assert list(first) == list(recipe.COLUMNS)
    assert len(first) == 2 + len(recipe.WEIGHTS)
    assert (first["mean"] == first["fold2"]).all()
    assert not first[["fold1", "fold3"]].to_numpy().any()
    assert little.count("train") == 2

    asked = options(esc50, folds=(2, 3))
    recipe.recipe(asked)
    second = table(asked)
    assert (second["fold2"] == first["fold2"]).all()
    assert second["fold3"].all() and not second["fold1"].any()
    assert little.count("train") == 4
    seconds = second["processor_seconds"].astype(float)
    assert (seconds[:2] > first["processor_seconds"][:2].astype(float)).all()

    recipe.recipe(asked)
    assert little.count("train") == 4
    pd.testing.assert_frame_equal(table(asked), second)


def test_other_folds_are_refused(esc50, little):
    with pytest.raises(RequestError, match="folds 1, 2 and 3 alone"):
        recipe.recipe(options(esc50, folds=(4,)))


def test_an_ensemble_is_its_members_at_weights_0_and_1_and_their_logits_mean_between():
    chance = np.random.default_rng(0)
    first, second = chance.dirichlet(np.ones(5), size=(2, 8))
    np.testing.assert_allclose(ensemble(first, second, 0), first, atol=1e-9)
    np.testing.assert_allclose(ensemble(first, second, 1), second, atol=1e-9)
    between = first**0.25 * second**0.75
    expected = between / between.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ensemble(first, second, 0.75), expected, atol=1e-9)


def test_every_candidate_has_options_of_a_run():
    for decision in recipe.DECISIONS.values():
        for candidate in decision.candidates:
            given = decision.options(candidate)
            del given["FRAME"]
            resolve(recipe.run_options(given).model)
