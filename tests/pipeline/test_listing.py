"""The list of features and their cards."""

import pytest

from featurestack.pipeline import listing
from featurestack.pipeline.features import FEATURES
from featurestack.pipeline.options import ShowOptions


@pytest.mark.parametrize("name", FEATURES)
def test_every_card_is_complete(name):
    card = listing.card(name)
    assert card["What it is"].endswith(".")
    assert set(listing.HEADINGS) <= set(card) and all(card.values())


def test_card_of_a_variant_on_the_command_line(capsys):
    listing.list_features(ShowOptions(features="mel@n_mels=64"))
    text = capsys.readouterr().out
    assert (
        text.startswith("mel@n_mels=64\n")
        and "64 rows (Hz" in text
        and "n_mels=64" in text
    )
    assert "Separates" not in text  # only the plain feature was measured


def test_table_lists_every_feature_with_its_size_and_what_is_impossible():
    text = listing.feature_table(8000, 1.0)
    lines = {line.split()[0]: line for line in text.splitlines() if line}
    assert lines["mel"].split()[1:4] == ["128", "16", "0.004"]
    assert "cqt cannot exist here: its highest band" in text
    assert set(FEATURES) <= set(lines)
