"""Decoding: what librosa gives for every common kind of file, a reason for every one that is not whole."""

import os
import resource
import stat
import struct
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile

from pipeline import audio
from tests.pipeline.changing import with_flac_length

# librosa.load imports audioread, which imports modules that Python 3.13 removes.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated and slated for removal:DeprecationWarning")

RATE = 22_050
KINDS = {
    "8-bit.wav": "PCM_U8",
    "16-bit.wav": "PCM_16",
    "24-bit.wav": "PCM_24",
    "32-bit.wav": "PCM_32",
    "float.wav": "FLOAT",
    "double.wav": "DOUBLE",
    "mu-law.wav": "ULAW",
    "a.flac": "PCM_16",
    "24-bit.flac": "PCM_24",
    "a.ogg": "VORBIS",
    "a.opus": "OPUS",
    "a.mp3": "MPEG_LAYER_III",
    "a.aiff": "PCM_16",
}


def sound(seconds: float = 1.0, rate: int = RATE, channels: int = 1) -> np.ndarray:
    rng = np.random.default_rng(7)
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
    return tone[:, None] + 0.05 * rng.standard_normal((len(tone), channels))


def write(
    path: Path, subtype: str = "PCM_16", rate: int = RATE, channels: int = 1, seconds: float = 1.0
) -> Path:
    container = {".opus": "OGG"}.get(path.suffix)
    soundfile.write(path, sound(seconds, rate, channels), rate, subtype=subtype, format=container)
    return path


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_librosa_for_every_input(tmp_path, kind, channels):
    rate = 48_000 if kind.endswith("opus") else RATE
    path = write(tmp_path / kind, KINDS[kind], rate, channels)
    for wanted in (RATE, 16_000):
        expected, _ = librosa.load(path, sr=wanted)
        np.testing.assert_allclose(audio.load_clip(path, wanted, len(expected)), expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 44_101, 96_000])
def test_a_cut_clip_is_the_beginning_of_the_whole_one(tmp_path, rate):
    path = write(tmp_path / "long.wav", rate=rate, seconds=4)
    expected, _ = librosa.load(path, sr=RATE)
    np.testing.assert_array_equal(audio.load_clip(path, RATE, RATE), expected[:RATE])


def test_real_clips_equal_librosa(esc10):
    for path in sorted((esc10 / "audio").glob("*.ogg"))[::100]:
        expected, _ = librosa.load(path, sr=44_100)
        whole = librosa.util.fix_length(expected, size=220_500)
        np.testing.assert_array_equal(audio.load_clip(path, 44_100, 220_500), whole)


@pytest.mark.parametrize("samples", [1, 10, 5 * RATE])
def test_the_length_is_what_was_asked_for_with_zeros_behind(tmp_path, samples):
    path = write(tmp_path / "a.wav", seconds=100 / RATE)
    y = audio.load_clip(path, RATE, samples)
    assert y.shape == (samples,)
    assert y.dtype == np.float32
    assert not y[100:].any()


def test_one_sample_silence_and_clipping_are_clips(tmp_path):
    for name, y in {"one": np.full(1, 0.5), "silent": np.zeros(RATE), "clipped": np.full(RATE, 1.0)}.items():
        soundfile.write(tmp_path / f"{name}.wav", y, RATE)
        assert np.isfinite(audio.load_clip(tmp_path / f"{name}.wav", RATE, RATE)).all()


def test_a_wrong_extension_is_no_obstacle(tmp_path):
    path = write(tmp_path / "a.flac").rename(tmp_path / "really flac.wav")
    assert audio.file_info(path) == (RATE, RATE, 1)
    assert audio.load_clip(path, RATE, RATE).any()


def cut(path: Path, keep: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    return path


@pytest.mark.parametrize("keep", [0.3, 0.7, 0.97])
@pytest.mark.parametrize("kind", ["16-bit.wav", "float.wav", "a.flac", "a.ogg", "a.mp3", "a.aiff"])
def test_a_truncated_file_is_refused(tmp_path, kind, keep):
    with pytest.raises(audio.AudioError):
        audio.load_clip(cut(write(tmp_path / kind, KINDS[kind], seconds=3), keep), RATE, 5 * RATE)


@pytest.mark.parametrize("promised", [3_000_000_000, 0xFFFFFFFF, 0x7FFFFFFF, 60_000])
def test_a_header_that_promises_more_than_the_file_holds_is_refused_without_memory(tmp_path, promised):
    path = write(tmp_path / "a.wav")
    content = bytearray(path.read_bytes())
    content[40:44] = struct.pack("<I", promised)
    path.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(audio.AudioError, match=f"truncated: its header promises {promised} bytes"):
        audio.load_clip(path, RATE, RATE)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


def test_a_promise_of_gigabytes_that_libsndfile_passes_over_is_refused(tmp_path):
    path = write(tmp_path / "a.w64")
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 16
    content[place : place + 8] = struct.pack("<Q", 3_000_000_000)
    path.write_bytes(content)
    with pytest.raises(audio.AudioError, match="truncated: its header promises 3000000000 bytes"):
        audio.load_clip(path, RATE, RATE)


@pytest.mark.parametrize(
    ("frames", "reason"),
    [(68_584_320_000, "promises 68584320000 samples"), (RATE + 1, "promises"), (0, "does not say how long")],
)
def test_a_flac_header_that_promises_more_samples_than_there_are_is_refused(tmp_path, frames, reason):
    path = with_flac_length(write(tmp_path / "a.flac"), frames)
    for read in (audio.file_info, audio.decode):
        with pytest.raises(audio.AudioError, match=f"truncated: its header {reason}"):
            read(path)


@pytest.mark.parametrize("wanted", [None, 44_100 * 2**10])
def test_what_unpacks_to_more_than_the_bound_is_refused_before_it_is_decoded(tmp_path, monkeypatch, wanted):
    path = write(tmp_path / "a.flac")
    assert len(audio.decode(path)) == RATE
    monkeypatch.setattr(audio, "MOST_SAMPLES", RATE if wanted else RATE - 1)
    monkeypatch.setattr(audio, "_mono_blocks", lambda file, limit: pytest.fail("decoded"))
    with pytest.raises(audio.AudioError, match=r"too long: .* samples are more than"):
        audio.decode(path, wanted)


@pytest.mark.parametrize("rate", [0, 1, 2**31 - 1])
def test_an_absurd_sample_rate_is_refused(tmp_path, rate):
    path = write(tmp_path / "a.wav")
    content = bytearray(path.read_bytes())
    content[24:28] = struct.pack("<I", rate)
    path.write_bytes(content)
    with pytest.raises(audio.AudioError):
        audio.load_clip(path, RATE, RATE)


def test_an_unusable_clip_is_named_with_its_reason(tmp_path):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("this is not a sound\n" * 50)
    (tmp_path / "text.mp3").write_text("this is not a sound\n" * 50)
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")  # opening it would wait for ever
    os.mknod(tmp_path / "socket.wav", stat.S_IFSOCK | 0o600)
    (tmp_path / "zeros.wav").symlink_to("/dev/zero")
    soundfile.write(tmp_path / "none.wav", np.zeros(0), RATE)
    (tmp_path / "a.raw").write_bytes(bytes(1000))
    (tmp_path / "text.au").write_text("libsndfile takes this for a sound without a header\n" * 50)
    reasons = {
        "missing.wav": "missing: there is no such file",
        "empty.wav": "empty: the file has 0 bytes",
        "none.wav": "empty: the file holds no samples",
        "text.wav": "not audio that libsndfile reads: Format not recognised",
        "text.mp3": "not audio that libsndfile reads: Format not recognised",
        "folder.wav": "not a regular file",
        "pipe.wav": "not a regular file",
        "socket.wav": "not a regular file",
        "zeros.wav": "not a regular file",
        "text.au": "not audio that libsndfile reads: it has no header",
        "a.raw": "not audio that libsndfile reads",
    }
    for name, reason in reasons.items():
        with pytest.raises(audio.AudioError) as told:
            audio.load_clip(tmp_path / name, RATE, RATE)
        assert str(told.value).startswith(reason)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_and_counted(tmp_path, bad):
    y = sound()[:, 0]
    y[:17] = bad
    soundfile.write(tmp_path / "a.wav", y, RATE, subtype="FLOAT")
    with pytest.raises(audio.AudioError, match=f"17 of {RATE} samples are NaN, infinite or beyond float32"):
        audio.load_clip(tmp_path / "a.wav", RATE, RATE)


@pytest.mark.parametrize(
    ("peak", "reason"),
    [
        (1e14, r"^samples of up to 1e\+14, where full scale is 1 and at most 1e\+10 is taken$"),
        (1e300, f"^1 of {RATE} samples are NaN, infinite or beyond float32"),
    ],
)
def test_samples_beyond_what_features_hold_are_refused(tmp_path, peak, reason):
    y = sound()[:, 0].astype(np.float64)
    y[17] = -peak
    soundfile.write(tmp_path / "a.wav", y, RATE, subtype="DOUBLE")
    with pytest.raises(audio.AudioError, match=reason):
        audio.load_clip(tmp_path / "a.wav", RATE, RATE)
    with pytest.raises(audio.AudioError, match="samples"):
        list(audio.blocks(tmp_path / "a.wav"))
