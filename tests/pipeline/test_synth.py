"""The synthetic dataset: reproducible, hard enough, and each pair separated by one property."""

import errno
from pathlib import Path

import librosa
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline import audio, synth
from pipeline.datasets import load
from pipeline.datasets.download import UNFINISHED
from pipeline.options import SourceOptions
from pipeline.synth import wav, write_dataset

RATE = synth.SAMPLE_RATE


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "synth")


@pytest.fixture(scope="module")
def rows(folder):
    return pd.read_csv(folder / "meta" / "synth.csv")


@pytest.fixture(scope="module")
def mel(folder, rows):
    """(clips, bands, frames) in decibels, at half the rate: what the pairs differ in lies below 11 kHz."""
    sounds = [audio.load_clip(folder / "audio" / name, RATE // 2, RATE // 2 * 5) for name in rows["filename"]]
    powers = [librosa.feature.melspectrogram(y=y, sr=RATE // 2, n_mels=64, hop_length=512) for y in sounds]
    return np.stack([librosa.power_to_db(power) for power in powers])


def accuracy_by_fold(values: np.ndarray, rows: pd.DataFrame, among: list[str] | None = None) -> np.ndarray:
    keep = rows["category"].isin(among or rows["category"].unique()).to_numpy()
    values, rows = values[keep], rows[keep]
    scores = []
    for fold in range(1, 6):
        test = (rows["fold"] == fold).to_numpy()
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
        model.fit(values[~test], rows["category"][~test])
        scores.append(model.score(values[test], rows["category"][test]))
    return np.array(scores)


def test_layout_is_that_of_esc50(folder, rows):
    assert list(rows.columns) == ["filename", "fold", "target", "category", "esc10", "src_file", "take"]
    assert len(rows) == 200
    assert (pd.crosstab(rows["category"], rows["fold"]) == 4).all(axis=None)
    assert rows.groupby("src_file")[["fold", "category"]].nunique().max().tolist() == [1, 1]
    assert rows.groupby("src_file").size().min() >= 2  # several takes of every source
    for row in rows.itertuples():
        assert row.filename == f"{row.fold}-{row.src_file}-{row.take}-{row.target}.wav"
        assert audio.file_info(folder / "audio" / row.filename) == (44_100, 220_500, 1)


def test_a_clip_depends_on_its_row_and_the_seed_alone(folder, rows):
    for row in rows.iloc[::40].itertuples():
        assert wav(synth.clip(row)) == (folder / "audio" / row.filename).read_bytes()
        assert np.abs(synth.clip(row, seed=1) - synth.clip(row)).max() > 0.01


def test_no_clip_is_clipped_or_silent(folder, rows):
    for name in rows["filename"]:
        y = audio.load_clip(folder / "audio" / name, RATE, 220_500)
        assert 0.1 < np.abs(y).max() < 0.95


def test_mean_mel_is_neither_chance_nor_enough(mel, rows):
    scores = accuracy_by_fold(mel.mean(axis=2), rows)
    assert 0.3 < scores.mean() < 0.75, scores
    assert scores.min() > 0.2


def test_chroma_separates_the_scales(folder, rows):
    pair = ["chimes_in_c", "chimes_in_f_sharp"]
    chroma = np.zeros((len(rows), 12))
    for number in np.flatnonzero(rows["category"].isin(pair)):
        y = audio.load_clip(folder / "audio" / rows["filename"][number], RATE, 220_500)
        chroma[number] = librosa.feature.chroma_stft(y=y, sr=RATE, tuning=0.0).mean(axis=1)
    assert accuracy_by_fold(chroma, rows, pair).mean() > 0.9


def test_rhythm_separates_the_beats_and_mean_mel_does_not(mel, rows):
    pair = ["steady_beat", "galloping_beat"]
    onsets = [librosa.onset.onset_strength(S=one, sr=RATE // 2) for one in mel]
    tempograms = [
        librosa.feature.tempogram(onset_envelope=onset, sr=RATE // 2, win_length=96) for onset in onsets
    ]
    spread = np.array([[t.mean(axis=1).std(), np.sort(t.mean(axis=1)[8:])[-4:].mean()] for t in tempograms])
    rhythm = accuracy_by_fold(spread, rows, pair).mean()
    assert rhythm > accuracy_by_fold(mel.mean(axis=2), rows, pair).mean() + 0.1


def test_the_direction_of_time_separates_the_envelopes_and_mean_mel_does_not(mel, rows):
    pair = ["knocks", "swells"]
    change = np.diff(mel.mean(axis=1), axis=1)
    direction = np.stack([change.max(axis=1), -change.min(axis=1)], axis=1)
    assert accuracy_by_fold(direction, rows, pair).mean() > 0.85
    assert accuracy_by_fold(mel.mean(axis=2), rows, pair).mean() < 0.75


@pytest.mark.parametrize("pair", [["hollow_drone", "bright_drone"], ["hiss", "rumble"]])
def test_the_spectrum_separates_timbres_and_colours(mel, rows, pair):
    assert accuracy_by_fold(mel.mean(axis=2), rows, pair).mean() > 0.7


def test_a_complete_dataset_is_left_alone_and_an_incomplete_one_is_made_again(tmp_path, rows, monkeypatch):
    monkeypatch.setattr(synth, "clip_rows", lambda: rows.head(3))
    first = write_dataset(tmp_path) / "audio" / rows["filename"][0]
    before = first.stat().st_mtime_ns
    write_dataset(tmp_path)
    assert first.stat().st_mtime_ns == before
    first.unlink()
    (tmp_path / UNFINISHED / "audio").mkdir(parents=True)  # what a killed run leaves
    write_dataset(tmp_path)
    assert first.exists()
    assert not (tmp_path / UNFINISHED).exists()


def test_a_disk_that_fills_up_leaves_nothing(tmp_path, rows, monkeypatch):
    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(synth, "clip_rows", lambda: rows.head(3))
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left on device") as failed:
        write_dataset(tmp_path)
    assert failed.value.filename == str(tmp_path)  # one sentence of the command, exit status 1
    assert [path.name for path in tmp_path.iterdir()] == [".making.lock"]


def test_it_is_called_synthetic(folder):
    dataset = load(SourceOptions(dataset="synth", data=folder.parent))
    assert dataset.synthetic
    assert dataset.source == "synth"
    assert (dataset.sample_rate, dataset.duration, dataset.samples) == (44_100, 5.0, 220_500)
    assert set(dataset.table["category"]) == {"pitch", "rhythm", "timbre", "noise colour", "envelope"}
    assert load(SourceOptions(dataset=str(folder), data=folder.parent)).synthetic
