"""Cards of features, their table, and the document made from them."""

import re

import numpy as np
import pandas as pd
import pytest

from commandline.registry import RequestError
from pipeline import cards, listing
from pipeline.features import FEATURES, Variant
from pipeline.reference import DEFINITIONS

MEASURED = pd.read_csv(cards.MEASURED)["feature"].tolist()


@pytest.mark.parametrize("name", FEATURES)
def test_every_card_is_complete(name: str) -> None:
    card = cards.Card.of(FEATURES[name])
    assert card.summary.endswith(".")
    assert tuple(card.texts) == cards.HEADINGS and all(card.texts.values())
    if name in MEASURED:
        assert "best" in cards.best_and_worst(name) and "worst" in cards.best_and_worst(name)


def test_document_is_up_to_date() -> None:
    """If this fails: python -m pipeline.cards document."""
    assert cards.DOCUMENT.read_text(encoding="utf-8") == cards.text_of_document()


def test_measured_table_covers_every_feature_once() -> None:
    """But for one of one's own, which `python -m pipeline.cards measure` adds."""
    assert [name for name in FEATURES if name in MEASURED] == MEASURED
    assert set(DEFINITIONS) <= set(MEASURED)


def test_best_pairs_are_better_than_worst() -> None:
    text = cards.best_and_worst("mel")
    best, worst = text.split(";")
    percents = [[int(number) for number in re.findall(r"(\d+)%", part)] for part in (best, worst)]
    assert [len(found) for found in percents] == [2, 2]
    assert min(percents[0]) > max(percents[1])


def test_card_on_the_command_line_and_a_mistyped_name() -> None:
    text = listing.card("mel")
    assert text.splitlines()[0] == "mel"
    assert "128 rows (Hz" in text and "n_mels=128" in text
    with pytest.raises(RequestError, match="did you mean 'mel'"):
        listing.card("mell")


def test_table_lists_every_feature_with_its_size_and_what_is_impossible() -> None:
    text = listing.feature_table(8000, 1.0)
    lines = {line.split()[0]: line for line in text.splitlines() if line}
    assert lines["mel"].split()[1:4] == ["128", "16", "0.004"]
    assert "cqt cannot exist here: its highest band" in text
    assert set(FEATURES) <= set(lines)


def test_features_are_computed_for_their_times_only_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[str] = []

    def milliseconds(variants: list[Variant], *_: object) -> dict[Variant, float]:
        measured.extend(variant.name for variant in variants)
        return dict.fromkeys(variants, 1.5)

    monkeypatch.setattr(listing, "_milliseconds", milliseconds)
    plain = listing.feature_table(8000, 1.0)
    assert not measured and "MEASURE=1 adds the milliseconds" in plain and "ms alone" not in plain
    lines = {
        line.split()[0]: line.split() for line in listing.feature_table(8000, 1.0, True).splitlines() if line
    }
    assert lines["name"][4:] == ["ms", "alone", "ms", "in", "all", "units"]
    assert lines["mel"][4:] == ["1.5", "1.5", "dB"] and measured.count("mel") == 2
    assert lines["all"][2:] == [f"{1.5 * (len(measured) // 2):.1f}"] * 2


def test_classes_that_differ_are_separated_and_others_are_not() -> None:
    generator = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "c"], 40)
    clips = generator.normal(size=(120, 6))
    clips[labels == "c", 0] += 8
    found = cards.pair_accuracies(clips, labels, np.tile(np.arange(5), 24))
    accuracy = {(pair.first, pair.second): pair.accuracy for pair in found.itertuples()}
    assert accuracy["a", "c"] > 0.95 and accuracy["b", "c"] > 0.95
    assert 0.25 < accuracy["a", "b"] < 0.75


def test_statistics_are_mean_and_deviation_of_each_row() -> None:
    assert cards.mean_and_deviation(np.array([[1.0, 3.0], [2.0, 2.0]])) == pytest.approx([2, 2, 1, 0])
