"""What the report says: each sentence beside the facts that it takes."""

from types import SimpleNamespace

import numpy as np
import pytest

from featurestack.analysis.report_warnings import Artefacts
from featurestack.analysis.sentences import comparison
from featurestack.analysis.sentences.result import media, of_hundred


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


FOUND = (
    "With these clips a true difference of 9.7 points to mel would be found four times"
    " in five (power 80 %)"
)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, f"{FOUND}."),
        (
            {"state": "winner"},
            (
                f"{FOUND}. The measured difference is smaller, 5.0 points: other"
                " recordings might not show it."
            ),
        ),
        (
            {"detectable": 0.95},
            "40 recordings can show no difference to mel, however large (power 80 %).",
        ),
        (
            {"detectable": np.nan, "recordings_needed": 51},
            "About 51 recordings would confirm the measured difference; there are 40.",
        ),
        (
            {"detectable": np.nan, "recordings_needed": 500},
            (
                "Ten times as many recordings would not be enough to confirm the"
                " measured difference."
            ),
        ),
    ],
)
def test_what_the_clips_can_show_is_said_with_its_power(facts, said):
    assert comparison.enough(two_runs(**facts)) == said


def test_media_that_are_elsewhere_are_said():
    assert "no players" in media(3, 0, 0, 0)
    assert media(0, 0, 12, 0) == "Every run predicted every clip correctly."
    assert "audio of 2 of the 3 clips that some run" in media(3, 2, 2, 1)


def test_artefacts_of_clips_with_several_labels_have_the_name_of_their_score():
    found = SimpleNamespace(several_labels=True, main=None, score="mAP")
    said = Artefacts(0.8, 0.5).says(found)
    assert "predict the tags (macro AUROC 80.0 %, chance is 50.0 %)." in said


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.816, "82"), (1 - 1e-12, "100"), (1.0, "100"), (0.996, "99.6"), (0.0, "0")],
)
def test_a_share_is_whole_but_next_to_its_ends(share, said):
    assert of_hundred(share) == said
