"""Decoding: every common kind of file gives librosa's samples, a damaged one is refused
with a reason.
"""

import os
import struct
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile

from featurestack.pipeline import audio, audio_headers
from tests.cases import data
from tests.pipeline.noise_dataset import damage_frame, with_flac_length

# librosa.load imports audioread, which imports modules that Python 3.13 removes.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.* is deprecated and slated for removal:DeprecationWarning"
)

RATE = 22_050
KINDS = data(__file__)["KINDS"]


def write(path, subtype="PCM_16", rate=RATE, channels=1, seconds=1.0):
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
    noise = np.random.default_rng(7).standard_normal((len(tone), channels))
    y = tone[:, None] + 0.05 * noise
    container = {".opus": "OGG"}.get(path.suffix)
    soundfile.write(path, y, rate, subtype=subtype, format=container)
    return path


def write_wrong(path, after, offset, form, number):
    """A file with a wrong number in its header, `offset` bytes after the beginning of
    the text `after`.
    """
    whole = bytearray(write(path).read_bytes())
    struct.pack_into(form, whole, whole.index(after) + offset, number)
    path.write_bytes(whole)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_librosa_for_every_input(tmp_path, kind, channels):
    rate = 48_000 if kind.endswith("opus") else RATE
    path = write(tmp_path / kind, KINDS[kind], rate, channels)
    expected, _ = librosa.load(path, sr=16_000)
    clip = audio.load_clip(path, 16_000, len(expected))
    np.testing.assert_allclose(clip, expected, rtol=0, atol=1e-7)


WINDOWED = {
    **{kind: {"subtype": KINDS[kind]} for kind in ("16-bit.wav", "a.flac", "a.ogg")},
    "a.mp3": {"subtype": KINDS["a.mp3"]},
    # each frame needs earlier ones
    "low.mp3": {"bitrate_mode": "CONSTANT", "compression_level": 0.95},
    "no length.mp3": {"bitrate_mode": "VARIABLE"},
}


def recording(path, y, rate):
    """Write a stereo file, one of WINDOWED."""
    with soundfile.SoundFile(path, "w", rate, 2, **WINDOWED[path.name]) as file:
        for block in np.split(y, 20):
            file.write(block)
    if path.name == "no length.mp3":
        content = path.read_bytes()
        _, (second, _), *_ = audio_headers.frames_in(content)
        path.write_bytes(content[second:])  # without the frame that states it
    return path


@pytest.mark.parametrize("kind", WINDOWED)
def test_a_window_is_what_it_would_be_cut_from_the_whole_recording(tmp_path, kind):
    rng = np.random.default_rng(3)
    y = 0.2 * rng.standard_normal((20 * 11_025, 2))
    path = recording(tmp_path / kind, y, 44_100)
    # reading on, seeking back and forth
    starts = [0, 1.0, 1.25, 0.5, 3.2, *rng.uniform(0, 4, 3), 4.5]
    for rate, largest in ((44_100, 0), (32_000, 1e-6)):
        whole = audio.decode(path, rate)
        padded = np.pad(whole, (0, rate))
        for start in starts:
            first = round(start * rate)
            span = start, min(start + 1, len(whole) / rate)
            windowed = audio.load_clip(path, rate, rate, span)
            expected = padded[first : first + rate]
            np.testing.assert_allclose(windowed, expected, rtol=0, atol=largest)


def test_a_window_outside_of_its_file_is_refused_and_a_changed_file_is_opened_again(
    tmp_path,
):
    path = write(tmp_path / "a.wav")
    before = audio.decode(path, span=(0.25, 0.75))
    with pytest.raises(audio.AudioError, match=r"0\.5 to 1\.2 s should be read.* 1 s"):
        audio.decode(path, span=(0.5, 1.2))
    write(path, subtype="PCM_24")
    again = audio.decode(path, span=(0.25, 0.75))
    assert len(before) == len(again) == RATE // 2 and not np.array_equal(before, again)


@pytest.mark.parametrize("length", [1, RATE])
def test_zeros_follow_a_short_clip(tmp_path, length):
    soundfile.write(tmp_path / "a.wav", np.ones(length), RATE, subtype="FLOAT")
    for samples in (1, 5 * RATE):
        clip = audio.load_clip(tmp_path / "a.wav", RATE, samples)
        assert clip.sum() == clip[:length].sum() == min(length, samples)
        assert len(clip) == samples


@pytest.mark.parametrize("kind", ["16-bit.wav", "a.flac", "a.ogg", "a.mp3", "a.aiff"])
def test_a_truncated_file_is_refused_and_its_whole_part_is_read_in_windows(
    tmp_path, kind
):
    path = write(tmp_path / kind, KINDS[kind], seconds=3)
    whole = audio.file_info(path)
    y = audio.decode(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.9)])
    with pytest.raises(audio.AudioError, match="truncated"):
        audio.decode(path)
    (reason,) = audio.file_infos([path])  # a kept error must not keep its file open
    assert "truncated" in str(reason)
    opened = Path("/proc/self/fd").iterdir()
    assert str(path) not in map(os.path.realpath, opened)
    info = audio.kept_info(path)
    assert 0 < info.frames < whole.frames
    if info.lost:
        assert info.frames + info.lost == pytest.approx(whole.frames, rel=0.02)
    recording = audio.Recording(path)
    end = info.frames / info.sample_rate
    window = recording.window((end / 2, end))
    middle = round(end / 2 * info.sample_rate)
    expected = y[middle : middle + len(window)]
    assert np.abs(window - expected)[: len(window) // 2].max() < 1e-3
    with pytest.raises(audio.AudioError, match="too short"):
        recording.window((end, 3.0))


def test_a_stream_without_sizes_is_read_to_its_end(tmp_path):
    path = write(tmp_path / "16-bit.wav", KINDS["16-bit.wav"], seconds=1)
    y = audio.decode(path)
    content = bytearray(path.read_bytes())
    for word in (b"RIFF", b"data"):
        struct.pack_into("<I", content, content.index(word) + 4, 2**32 - 1)
    path.write_bytes(content)
    assert np.array_equal(audio.decode(path), y)
    assert audio.file_info(path).frames == len(y)


def test_what_unpacks_to_more_than_the_bound_is_refused_before_it_is_decoded(
    tmp_path, monkeypatch
):
    path = write(tmp_path / "a.flac")
    monkeypatch.setattr(audio, "MOST_SAMPLES", RATE - 1)
    monkeypatch.setattr(
        audio, "_mono_blocks", lambda file, limit: pytest.fail("decoded")
    )
    with pytest.raises(audio.AudioError, match=r"too long: .* samples, at most"):
        audio.decode(path)


UNUSABLE = {
    "missing.wav": (lambda path: None, "missing: there is no such file"),
    "empty.wav": (Path.touch, "empty: the file has 0 bytes"),
    "none.wav": (
        lambda path: write(path, seconds=0),
        "empty: the file holds no samples",
    ),
    "text.mp3": (
        lambda path: path.write_text("this is not a sound\n" * 50),
        "not audio .* reads: convert it",
    ),
    "pipe.wav": (os.mkfifo, "not a regular file"),  # opening it would never end
    "long.flac": (
        lambda path: with_flac_length(write(path), RATE + 1),
        "truncated: .*promises",
    ),
    "nan.wav": (
        lambda path: soundfile.write(path, [0, np.nan], RATE, subtype="DOUBLE"),
        "1 of 2 samples",
    ),
    "cut.wav": (
        lambda path: write_wrong(path, b"data", 4, "<I", 60_000),
        "truncated: its header promises 60000 bytes",
    ),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_clip_is_named_with_its_reason(tmp_path, name):
    make, reason = UNUSABLE[name]
    make(tmp_path / name)
    with pytest.raises(audio.AudioError, match=f"^{reason}"):
        audio.load_clip(tmp_path / name, RATE, RATE)


@pytest.mark.parametrize("name", ["a.mp3", "a.wav"])  # whatever the file is called
def test_a_damaged_frame_of_an_mp3_is_noted_and_not_printed(tmp_path, capfd, name):
    path = damage_frame(write(tmp_path / "a.mp3", "MPEG_LAYER_III"))
    path = path.rename(tmp_path / name)
    with audio.damaged_frames() as damaged:
        audio.decode(path)
    audio.decode(path)
    assert [*damaged] == [str(path)]
    assert capfd.readouterr().err == ""
