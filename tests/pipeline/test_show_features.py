"""`show`: the list of features, their cards, and those of a file as a figure."""

import re

import numpy as np
import pandas as pd
import pytest
import soundfile

import featurestack as fs
from featurestack.cli.audio import show_command
from featurestack.features_cache import external
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.hdf5 import read_header
from featurestack.features_cache.index_file import write_failures
from featurestack.pipeline import show_features
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.features import FEATURES
from featurestack.pipeline.options import ShowOptions
from tests.cases import cases
from tests.pipeline.test_features import NOISE
from tests.refusal import refused


@pytest.mark.parametrize("name", FEATURES.complete())
def test_every_card_is_complete(name):
    card = show_features.card(name)
    assert card["What it is"].endswith(".")
    assert set(show_features.HEADINGS) <= set(card) and all(card.values())


def test_card_of_a_variant_on_the_command_line(capsys):
    show_features.show(ShowOptions(features="mel@n_mels=64"))
    text = capsys.readouterr().out
    assert text.startswith("mel@n_mels=64\n") and "64 rows (Hz" in text
    assert "Separates" not in text  # only the plain feature was measured


def test_table_lists_every_feature_with_its_size_and_what_is_impossible():
    text = show_features.feature_table(8000, 1.0)
    lines = {line.split()[0]: line for line in text.splitlines() if line}
    assert lines["mel"].split()[1:4] == ["128", "16", "0.004"]
    assert "cqt cannot exist here: its highest band" in text
    assert set(FEATURES.complete()) <= set(lines)


def test_each_feature_is_drawn_with_its_units_and_a_single_row_as_a_curve():
    clip = Clip(NOISE[:8000].astype(np.float32), 8000)
    figure = fs.show(clip, "rms mfcc:1-4 modulation rms")
    panels = [panel for ax in figure.axes for panel in ax.child_axes]
    titles = {panel.get_title(loc="left"): panel for panel in panels}
    assert [*titles] == ["rms", "mfcc:1-4", "modulation"]
    rms, mfcc, modulation = titles.values()
    assert rms.get_ylabel() == "amplitude" and len(rms.lines[0].get_xdata()) == 16
    assert mfcc.images[0].get_array().shape == (64, 16)  # each row is drawn 16 times
    assert (rms.get_xlabel(), modulation.get_xlabel()) == ("s", "Hz")


def test_the_command_writes_a_png_and_says_where(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    soundfile.write("dog.wav", np.sin(np.arange(8000)), 8000)
    assert show_command(ShowOptions(audio=tmp_path / "dog.wav", features="rms")) == 0
    assert capsys.readouterr().out == "reports/show/dog.png\n"
    assert (tmp_path / "reports/show/dog.png").read_bytes().startswith(b"\x89PNG")


@cases("given", "reason")
def test_what_cannot_be_drawn_is_refused(tmp_path, given, reason):
    soundfile.write(tmp_path / "dog.wav", np.sin(np.arange(8000)), 44100)
    with refused(reason):
        show_command(ShowOptions(audio=tmp_path / "dog.wav", **given))


def test_clips_and_failures_of_a_cache_and_what_cannot_be_read_are_listed(tmp_path):
    clips = [f"clip{number}" for number in range(8)]
    table = {"clip_id": clips, "label": ["x", "y"] * 4, "fold": [1] * 4 + [2] * 4}
    folder = tmp_path / "brought"
    external.create_cache(folder, table, sample_rate=8000, duration=1.0)
    values = np.ones((8, 4, 5), np.float32)
    external.write_feature(folder, "mine", values, clips, units="dB")
    for name, forgotten in (("a", [1, 2]), ("b", range(8))):
        external.write_feature(folder, name, np.full((8, 2), 1.5), clips)
        read_header(folder / f"{name}.h5").forget(np.array(forgotten))
    (folder / "cut.h5").write_bytes(b"")
    failures = [(0, "all", "empty"), (0, "mine", "NaN"), (3, "mine", "NaN")]
    paths = pd.DataFrame({"clip_id": clips, "path": ""})
    write_failures(folder, paths, np.arange(8), ["mine"], failures)
    shown = show_features.describe_cache(Cache(folder))
    assert shown.startswith("brought: 8 clips, source brought, 8000 Hz, 1 s\n")
    assert re.search(r"^mine +4 +5 +8 +0\.1 +float16 +dB$", shown, re.MULTILINE)
    cells = [re.split(" {2,}", line) for line in shown.splitlines()]
    assert [cell[3] for cell in cells if cell[0] in "ab"] == ["6", "0"]
    assert "; code 0; made 20" in shown and "cut.h5 cannot be read" in shown
    assert "\n1 clip failed" in shown and "\nmine: 1 clip failed" in shown
