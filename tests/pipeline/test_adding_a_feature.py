"""The worked example of docs/howto/adding-a-feature.md is true."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from docs.cards import text_of_document
from features_cache.names import parse_channel
from pipeline import extract
from pipeline.features import FEATURES, Clip, feature, resolve_feature
from pipeline.listing import card
from tests.pipeline.changing import ChangingDataset
from tests.pipeline.extraction import options

DOCUMENT = Path(__file__).parents[2] / "docs" / "howto" / "adding-a-feature.md"


@pytest.fixture
def example() -> Iterator[str]:
    """The example has been loaded, as every file in pipeline/features is, also where somebody saved it."""
    saved = FEATURES.pop("crest", None)
    code = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert code
    exec(compile(code[1], str(DOCUMENT), "exec"), {"__name__": "pipeline.features.crest"})
    yield "crest"
    del FEATURES["crest"]
    if saved:
        FEATURES["crest"] = saved


def test_the_example_is_a_feature_with_variants_and_a_card(example: str) -> None:
    tone = 0.4 * np.sin(2 * np.pi * 441 * np.arange(44100) / 44100).astype(np.float32)
    crest = resolve_feature(parse_channel(example))
    values, louder, silent = (crest.compute(Clip(factor * tone, 44100)) for factor in (1, 2, 0))
    assert values.shape == crest.shape(44100, 44100) == (1, 87)
    assert values[0, 5:-5] == pytest.approx(20 * np.log10(np.sqrt(2)), abs=0.05)
    assert louder == pytest.approx(values, abs=1e-4) and not silent.any()
    assert resolve_feature(parse_channel("crest@hop_length=1024")).shape(44100, 44100) == (1, 44)
    assert card(example)["Ignores"].startswith("loudness")
    assert "| [`crest`](#crest) | 1 | 431 | dB, difference | Crest factor" in text_of_document()


@pytest.fixture
def entropy() -> Iterator[dict[str, object]]:
    """A feature that returns what `entropy["returned"]` is."""
    returned: dict[str, object] = {}

    @feature(units="1")
    def entropy(clip: Clip) -> np.ndarray:
        """What the test says."""
        return returned["value"]  # type: ignore[return-value]

    yield returned
    del FEATURES["entropy"]


def test_a_feature_of_another_shape_is_named_with_both(entropy: dict[str, object]) -> None:
    entropy["value"] = np.zeros(8)
    with pytest.raises(ValueError, match=r"entropy returned the shape \(8,\), .* \(1, 8\)"):
        resolve_feature(parse_channel("entropy")).compute(Clip(np.zeros(8, np.float32), 8))


def test_values_that_are_not_finite_are_named_with_their_frames(
    entropy: dict[str, object], sounds: ChangingDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    values = np.ones((1, 8000))
    values[:, 6000:] = np.nan
    entropy["value"] = values
    assert extract.run(options(sounds, features="entropy")) == 1
    assert "clip00001: entropy: 2,000 values NaN or infinite, in frames 6000 to 7999\n" in (
        capsys.readouterr().out
    )


def test_all_that_the_document_names_exists() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    root = DOCUMENT.parents[2]
    for path in re.findall(r"`(pipeline/[\w/]+(?:\.py)?)/?`", text):
        assert (root / path).exists() or path.endswith("crest.py"), path
    for method in re.findall(r"`clip\.(\w+)\(", text):
        assert hasattr(Clip, method), method
