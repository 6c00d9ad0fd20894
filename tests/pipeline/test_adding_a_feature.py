"""The worked example of docs/howto/adding-a-feature.md is true."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from features_cache.names import parse_channel
from pipeline.cards import described, text_of_document
from pipeline.features import FEATURES, Clip, resolve_feature

DOCUMENT = Path(__file__).parents[2] / "docs" / "howto" / "adding-a-feature.md"


@pytest.fixture
def example() -> Iterator[str]:
    """The example's file has been loaded, as every file in pipeline/features is."""
    code = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert code
    exec(compile(code[1], str(DOCUMENT), "exec"), {"__name__": "pipeline.features.crest"})
    yield "crest"
    del FEATURES["crest"]


def test_the_example_is_a_feature_with_variants_and_a_card(example: str) -> None:
    tone = np.sin(2 * np.pi * 441 * np.arange(44100) / 44100).astype(np.float32)
    values = resolve_feature(parse_channel(example)).compute(Clip(tone, 44100))
    assert values.shape == resolve_feature(parse_channel(example)).shape(44100, 44100) == (1, 87)
    assert values[0, 5:-5] == pytest.approx(20 * np.log10(np.sqrt(2)), abs=0.05)
    assert np.all(
        resolve_feature(parse_channel(example)).compute(Clip(np.zeros(44100, np.float32), 44100)) == 0
    )
    assert resolve_feature(parse_channel("crest@hop_length=1024")).shape(44100, 44100) == (1, 44)
    assert described(example)["Ignores"].startswith("loudness")
    assert "| [`crest`](#crest) | 1 | 431 | dB | Crest factor" in text_of_document()


def test_all_that_the_document_names_exists() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    root = DOCUMENT.parents[2]
    for path in re.findall(r"`(pipeline/[\w/]+(?:\.py)?)/?`", text):
        assert (root / path).exists() or path.endswith("crest.py"), path
    for method in re.findall(r"`clip\.(\w+)\(", text):
        assert hasattr(Clip, method), method
