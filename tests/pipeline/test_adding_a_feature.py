"""The worked example of docs/howto/adding.md is true."""

import re

import numpy as np
import pytest

from docs.cards import text_of_document
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.features import FEATURES, feature
from featurestack.pipeline.show_features import card
from tests.golden.commands import ROOT
from tests.pipeline.test_features import feature_of

DOCUMENT = ROOT / "docs" / "howto" / "adding.md"


@pytest.fixture
def example():
    """The example is loaded like a file in pipeline/features, also if somebody saved it
    there.
    """
    saved = FEATURES.pop("crest", None)
    code = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert code
    names = {"__name__": "featurestack.pipeline.features.crest"}
    exec(compile(code[1], str(DOCUMENT), "exec"), names)
    yield "crest"
    del FEATURES["crest"]
    if saved:
        FEATURES["crest"] = saved


def test_the_example_is_a_feature_with_variants_and_a_card(example):
    tone = 0.4 * np.sin(2 * np.pi * 441 * np.arange(44100) / 44100).astype(np.float32)
    crest = feature_of(example)
    clips = [Clip(factor * tone, 44100) for factor in (1, 2, 0)]
    values, louder, silent = map(crest.compute, clips)
    assert values.shape == crest.shape(44100, 44100) == (1, 87)
    assert values[0, 5:-5] == pytest.approx(20 * np.log10(np.sqrt(2)), abs=0.05)
    assert louder == pytest.approx(values, abs=1e-4) and not silent.any()
    assert feature_of("crest@hop_length=1024").shape(44100, 44100) == (1, 44)
    assert card(example)["Ignores"].startswith("loudness")
    document = text_of_document()
    assert "| [`crest`](#crest) | 1 | Crest factor" in document
    assert "- **Values:** dB, difference; 1 row, 431 frames" in document


def test_a_decorator_without_its_unit_says_what_it_takes():
    with pytest.raises(TypeError, match="takes the unit of the values"):
        feature(abs)


def test_all_that_the_document_names_exists():
    text = DOCUMENT.read_text()
    for path in re.findall(r"`(pipeline/[\w/]+(?:\.py)?)/?`", text):
        assert (ROOT / path).exists() or path.endswith("crest.py"), path
    for method in re.findall(r"`clip\.(\w+)\(", text):
        assert hasattr(Clip, method), method
