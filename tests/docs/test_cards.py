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
    assert not cards.unmeasured(), "python -m docs.cards measures them on ESC-10"
    cards.document(DatasetOptions(dataset="esc10"))
    assert cards.DOCUMENT.read_text(encoding="utf-8") == stored


def test_only_features_that_the_table_lacks_are_measured(tmp_path, monkeypatch, capsys):
    """No other test needs a measured row."""
    measured = pd.read_csv(cards.MEASURED)
    assert measured["feature"].is_unique
    monkeypatch.setattr(cards, "MEASURED", tmp_path / "pairs.csv")
    kept = measured[~measured["feature"].isin(["rms", "zcr", "contrast"])]
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
    # at 8 kHz: its highest band would lie above half the rate
    assert {*again["feature"][len(kept) :]} == missing - {"contrast"}
    assert "not measured: contrast cannot exist here" in capsys.readouterr().err
    assert again[: len(kept)].equals(kept.reset_index(drop=True))
