"""Numbers in pages, docstrings and tables of sizes that follow from default parameters
of features are those of today's defaults.
"""

import re

import pytest

from featurestack.features_cache.feature_names import parse_feature_name
from featurestack.pipeline.features import resolve_feature
from featurestack.pipeline.features.spectra import Framing
from featurestack.pipeline.parameters import HOP
from featurestack.pipeline.show_features import TYPICAL
from featurestack.train.models import sizes
from tests.docs.test_commands import PAGES
from tests.golden.commands import ROOT

N_FFT = Framing().n_fft
ROWS, FRAMES = resolve_feature(parse_feature_name("mel")).shape(*TYPICAL)


def milliseconds(rate):
    return round(1000 * N_FFT / rate)


# file, sentence, its numbers
STATED = [
    ("docs/cards.py", r"which has (\d+) frames", [FRAMES]),
    ("docs/howto/predicting.md", r"`mel` \(clips, (\d+), (\d+)\)", [ROWS, FRAMES]),
    (
        "docs/howto/datasets.md",
        r"has (\d+) samples \((\d+) ms .*?, (\d+) ms .*?; frames start\s+(\d+)\s",
        [N_FFT, milliseconds(44_100), milliseconds(8_000), HOP],
    ),
    (
        "docs/reference/formats.md",
        r'index\["mel"\]\[0\]  # \((\d+), (\d+)\)',
        [ROWS, FRAMES],
    ),
    ("features_cache/cache.py", r"\(1, (\d+), (\d+)\)", [ROWS, FRAMES]),
    ("features_cache/cache.py", r"# \(8, (\d+), (\d+)\)", [ROWS, FRAMES]),
    (
        "pipeline/extraction_plan.py",
        r"(\d+) samples last (\d+) ms at 44.1 kHz, but (\d+) ms at 16 kHz",
        [N_FFT, milliseconds(44_100), milliseconds(16_000)],
    ),
    ("pipeline/options.py", r"librosa's (\d+) samples", [N_FFT]),
    (
        "notebooks/3_cache_and_train.ipynb",
        r"`mel` has (\d+) rows and (\d+)\\n",
        [ROWS, FRAMES],
    ),
]


@pytest.mark.parametrize(("file", "sentence", "numbers"), STATED)
def test_a_number_that_follows_from_a_default_is_todays(file, sentence, numbers):
    found = re.search(sentence, (ROOT / file).read_text(encoding="utf-8"))
    assert found, f"{file} has no sentence like {sentence}"
    assert [*map(int, found.groups())] == numbers, f"in {file}: {found[0]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_sentence_of_a_page_with_the_shape_of_a_clip_is_tried_here(page):
    text = page.read_text(encoding="utf-8")
    here = [sentence for file, sentence, _ in STATED if ROOT / file == page]
    told = [found[0] for sentence in here for found in re.finditer(sentence, text)]
    shape = f"{ROWS}, {FRAMES})"
    assert text.count(shape) == "".join(told).count(shape), f"{shape} is not in STATED"


def test_sizes_of_models_are_counted_for_clips_of_todays_shape():
    assert (sizes.MEL.rows, sizes.MEL.frames) == (ROWS, FRAMES)
    assert sizes.WAVEFORM.frames == TYPICAL[1]
