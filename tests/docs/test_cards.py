"""The page of all features, and what is measured on it."""

import pandas as pd

from docs import cards
from featurestack.pipeline.features import FEATURES
from tests.reference import DEFINITIONS


def test_the_page_of_features_is_up_to_date(tmp_path, monkeypatch):
    """If this fails: python -m docs.cards."""
    stored = cards.DOCUMENT.read_text(encoding="utf-8")
    monkeypatch.setattr(cards, "DOCUMENT", tmp_path / "features.md")
    cards.document()
    assert cards.DOCUMENT.read_text(encoding="utf-8") == stored


def test_measured_table_covers_every_feature_once():
    """A feature of one's own may be missing until `python -m docs.cards DATASET=…` adds
    it.
    """
    measured = pd.read_csv(cards.MEASURED)["feature"].tolist()
    assert [name for name in FEATURES.complete() if name in measured] == measured
    assert set(DEFINITIONS) <= set(measured)
