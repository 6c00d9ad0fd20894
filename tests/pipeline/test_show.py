"""Features of a file as a drawing."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from matplotlib.figure import Figure

from featurestack.pipeline import show
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.options import ShowCommand
from tests.pipeline.test_features import NOISE
from tests.refusal import refused


def test_each_feature_is_drawn_with_its_units_and_a_single_row_as_a_curve():
    clip = Clip(NOISE[:8000].astype(np.float32), 8000)
    figure = show.draw(Figure(), clip, "rms mfcc:1-4 modulation rms")
    rms, mfcc, modulation = (ax for ax in figure.axes if ax.get_title(loc="left"))
    assert mfcc.get_title(loc="left") == "mfcc:1-4"
    assert rms.get_ylabel() == "amplitude" and len(rms.lines[0].get_xdata()) == 16
    assert mfcc.collections[0].get_array().shape == (4, 16)
    assert (rms.get_xlabel(), modulation.get_xlabel()) == ("s", "Hz")


def test_the_command_writes_a_png_and_says_where(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    soundfile.write("dog.wav", np.sin(np.arange(8000)), 8000)
    assert (
        show.show_features(ShowCommand(audio=tmp_path / "dog.wav", features="rms")) == 0
    )
    assert capsys.readouterr().out == "dog.png\n"
    assert (tmp_path / "dog.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (
            {"features": "cqt", "sample_rate": 8000},
            "cqt cannot exist here: its highest band",
        ),
        ({"features": "mfcc:5-40"}, "mfcc:5-40: it has rows 0 to 39"),
        ({"features": "rms", "out": Path("dog.doc")}, "OUT=dog.doc: expected a name"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, given, reason):
    soundfile.write(tmp_path / "dog.wav", np.sin(np.arange(8000)), 44100)
    with refused(reason):
        show.show_features(ShowCommand(audio=tmp_path / "dog.wav", **given))


def test_a_file_is_drawn_at_its_own_rate_and_its_figure_again(tmp_path, monkeypatch):
    clips = []
    monkeypatch.setattr(
        show, "Clip", lambda y, rate: clips.append(rate) or Clip(y, rate)
    )
    soundfile.write(tmp_path / "dog.wav", np.sin(np.arange(8000)), 8000)
    command = ShowCommand(
        audio=tmp_path / "dog.wav", features="rms", out=tmp_path / "a.png"
    )
    assert [show.show_features(command), show.show_features(command)] == [
        0,
        0,
    ] and clips == [8000, 8000]


def test_no_other_picture_or_table_is_replaced(tmp_path):
    soundfile.write(tmp_path / "dog.wav", np.sin(np.arange(8000)), 8000)
    photo = tmp_path / "dog.png"
    for content in (b"\x89PNG a photo", b"clip_id\n"):
        photo.write_bytes(content)
        with refused("is not replaced: give another OUT"):
            show.show_features(ShowCommand(audio=tmp_path / "dog.wav", out=photo))
        assert photo.read_bytes() == content


def test_row_0_of_a_cepstrum_has_an_axis_of_its_own_and_ticks_are_round():
    clip = Clip(NOISE[:16000].astype(np.float32), 8000)
    figure = show.draw(Figure(), clip, "mfcc mel")
    level, others, mel = (ax for ax in figure.axes if ax.get_title(loc="left"))
    titles = [ax.get_title(loc="left") for ax in (level, others, mel)]
    assert titles == ["mfcc:0-0", "mfcc:1-39", "mel"]
    assert len(level.lines) == 1
    assert others.collections[0].get_array().shape == (39, 32)
    labels = [label.get_text() for label in mel.get_yticklabels()]
    assert {"500", "1000", "2000"} <= {*labels}
