"""The page of all features, and what is measured on it."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import soundfile

from docs import cards
from featurestack.base.options import DatasetOptions
from featurestack.pipeline.features import FEATURES


def test_the_page_of_features_is_up_to_date(tmp_path, monkeypatch):
    """If this fails: python -m docs.cards."""
    stored = cards.DOCUMENT.read_text(encoding="utf-8")
    monkeypatch.setattr(cards, "DOCUMENT", tmp_path / "features.md")
    cards.document()
    assert cards.DOCUMENT.read_text(encoding="utf-8") == stored


def test_only_features_that_the_table_lacks_are_measured(tmp_path, monkeypatch):
    """No other test needs a measured row."""
    measured = pd.read_csv(cards.MEASURED)
    assert measured["feature"].is_unique
    monkeypatch.setattr(cards, "MEASURED", tmp_path / "pairs.csv")
    kept = measured[~measured["feature"].isin(["rms", "zcr"])]
    kept.to_csv(cards.MEASURED, index=False)
    rng = np.random.default_rng(0)
    paths = [str(tmp_path / f"{number}.wav") for number in range(8)]
    for path in paths:
        soundfile.write(path, 0.1 * rng.normal(size=4000), 8000)
    table = pd.DataFrame({"path": paths, "label": [*"abababab"], "fold": [*"11112222"]})
    dataset = SimpleNamespace(table=table, sample_rate=8000, duration=0.5)
    monkeypatch.setattr(cards, "load", lambda _: dataset)
    cards.measure(DatasetOptions(dataset="made"))
    again = pd.read_csv(cards.MEASURED)
    missing = {*FEATURES.complete()} - {*kept["feature"]}
    assert {*again["feature"][len(kept) :]} == missing
    assert again[: len(kept)].equals(kept.reset_index(drop=True))
