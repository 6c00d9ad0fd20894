"""What artefacts and new values of a field take from a score."""

import numpy as np
import pandas as pd
import pytest

from featurestack.checks import WARNING
from featurestack.checks.measures import ARTEFACTS
from featurestack.checks.probes import (
    accuracies,
    artefact_findings,
    is_lost,
    random_splits,
)

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("by_clip", "by_group", "clips", "lost"),
    [
        (0.953, 0.502, 600, True),  # digits by speaker
        (0.80, 0.77, 60, False),  # two clips of 60
        (0.5, 0.6, 200, False),
    ],
)
def test_a_loss_is_more_than_two_standard_errors(by_clip, by_group, clips, lost):
    assert is_lost(by_clip, by_group, clips) == lost


def test_random_splits_have_as_many_clips_of_each_class_as_the_groups():
    """So a speaker who says one word more often than others is no leak."""
    labels = pd.Series(RNG.integers(0, 5, 60).astype(str))
    speakers = pd.Series(RNG.integers(0, 3, 60).astype(str))
    speakers[:20] = labels[:20]
    for split in random_splits(speakers, labels):
        assert (split != speakers).any()
        assert pd.crosstab(split, labels).equals(pd.crosstab(speakers, labels))


@pytest.mark.parametrize(("effect", "most_lost"), [(0.0, 1), (1.0, 5)])
def test_a_field_of_uneven_values_costs_points_only_if_it_has_an_effect(
    effect, most_lost
):
    clips = 200
    lost = 0
    for _ in range(5):
        field = RNG.permutation(np.repeat([0, 1, 2, 3], [140, 40, 10, 10]))
        target = RNG.integers(0, 4, clips)
        x = RNG.normal(size=(clips, 40))
        x[:, :4] += 1.2 * np.eye(4)[target]
        x += effect * RNG.normal(size=(4, 4, 40))[field, target]
        table = pd.DataFrame({"label": target.astype(str)})
        table["group"] = np.arange(clips).astype(str)
        of_clips, of_field = accuracies([x], table, pd.Series(field.astype(str)))
        lost += is_lost(of_clips, of_field, clips)
    assert most_lost - 1 <= lost <= most_lost


def measured(recordings, each, x):
    """A table of clips with these measures, the classes in turn."""
    table = pd.DataFrame(x, columns=ARTEFACTS)
    recording = np.repeat(np.arange(recordings), each)
    return table.assign(
        clip_id=np.arange(len(x)).astype(str),
        label=(recording % 2).astype(str),
        group=recording.astype(str),
        fold=1 + recording // 2 % 2,
        start=0.0,
        end=0.0,
    )


def test_measures_of_four_recordings_say_nothing_about_their_classes():
    recordings = np.repeat(RNG.normal(size=(4, len(ARTEFACTS))), 10, axis=0)
    clips = recordings + 0.1 * RNG.normal(size=recordings.shape)
    assert artefact_findings(measured(4, 10, clips)) == []


def test_a_measure_between_those_of_another_class_predicts_it():
    x = RNG.normal(size=(60, len(ARTEFACTS)))
    level = ARTEFACTS.index("level")
    x[:, level] = np.where(np.arange(60) % 2, RNG.choice([-9, 9], 60), 0)
    (found,) = artefact_findings(measured(60, 1, x))
    assert found.severity == WARNING
    assert found.names[0].startswith("level 100.0 %")
