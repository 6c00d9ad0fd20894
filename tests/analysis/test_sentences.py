"""What the report says: each sentence beside the facts that it takes."""

from types import SimpleNamespace

import pytest

from featurestack.analysis.report_warnings import Artefacts
from featurestack.analysis.sentences import media, of_hundred


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
