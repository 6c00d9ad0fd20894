"""Timelines, detections and scores of recordings; windows and resampling block by
block.
"""

import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import soxr

from featurestack.pipeline.datasets.annotations import read_events
from featurestack.results.windows import EVENT_COLUMNS
from featurestack.train.timeline import output_paths, resampled, time_edges, windows
from tests.refusal import refused
from tests.train.sounds import RATE, sound
from tests.train.test_predict import ask

FIELD = sound("hiss", 50, seconds=3), sound("tone", 50, seconds=3), np.zeros(2 * RATE)


def record(file, *parts):
    """A recording of these parts, one after the other."""
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, np.concatenate(parts), RATE)


def test_writes_csv_labels_and_figure_and_scores_beside_the_best_possible(
    sounding, tmp_path, capsys
):
    for name in ("field.wav", "hill.wav"):
        record(tmp_path / "in" / name, *FIELD)
    (tmp_path / "in" / "bad.wav").write_bytes(b"nothing")
    (tmp_path / "field.txt").write_text("0\t3\thiss\n3\t6\ttone\n6.1\t6.2\tbat\n")
    given = {
        "audio": tmp_path / "in",
        "tables": tmp_path / "field.txt",
        "reports": tmp_path,
    }
    assert ask(sounding, hop=1.0, gate=-60.0, csv=True, **given) == 1
    file = tmp_path / "little" / "timelines" / "field"
    assert file.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    rows = pd.read_csv(file.with_suffix(".csv"), keep_default_na=False)
    assert rows["start"].tolist() == [*range(8)]
    assert rows["predicted"].tolist() == ["hiss"] * 3 + ["tone"] * 3 + [""] * 2
    labels = [
        line.split("\t")[:3]
        for line in file.with_suffix(".txt").read_text().splitlines()
    ]
    assert labels == [["0.000", "3.000", "hiss"], ["3.000", "6.000", "tone"]]
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == "field.wav: 2 detections"
    assert [line.split()[2] for line in lines[1:3]] == ["hiss", "tone"]
    assert "bad.wav: not audio" in err and "CSV do not apply to HOP" in err
    assert lines[-1].split()[:5] == ["all", "classes", "1.00", "1.00", "1.00"]
    assert "recordings without a table, not scored: hill.wav" in err
    assert "labels that are no class of the model, not scored: bat" in err
    scores = pd.read_csv(tmp_path / "little" / "scores.csv", index_col="label")
    best = scores.loc[
        "hiss",
        ["event_recall", "false_alarms", "f1_iou", "best_f1_iou", "best_f1_collar"],
    ]
    assert best.tolist() == [1, 0, 1, 1, 1]
    with refused("TABLES .* give HOP"):
        ask(sounding, **given)
    (tmp_path / "field.txt").write_text("9\t10\thiss\n")
    with refused(r"field\.txt, line 1: the event lasts from 9 to 10 s"):
        ask(sounding, hop=1.0, **given | {"reports": tmp_path / "none"})
    assert not (tmp_path / "none").exists()


def test_detections_read_back_the_same_from_every_format(sounding, tmp_path):
    silence = np.zeros(RATE)
    for name, label in (("field.wav", "hiss"), ("deep/hill.wav", "tone")):
        record(tmp_path / "in" / name, silence, sound(label, 50, seconds=2), silence)
    assert (
        ask(sounding, audio=tmp_path / "in", hop=0.3, gate=-60.0, reports=tmp_path) == 0
    )
    folder = tmp_path / "little"
    written = pd.read_csv(folder / "detections.csv")
    assert list(written) == ["file", "start", "end", "class", "mean", "largest"]
    assert set(written["file"]) == {"deep/hill.wav", "field.wav"}
    assert set(written["class"]) >= {"tone", "hiss"}
    assert (written["largest"] >= written["mean"]).all()
    found = written.rename(columns={"class": "label"})[EVENT_COLUMNS]
    for windows_of in (folder / "timelines").rglob("*.csv"):
        windows_of.unlink()  # no annotation tables
    recordings = {"field.wav": 4.0, "deep/hill.wav": 4.0}
    for table in (
        "detections.csv",
        "detections.selections.txt",
        "detections.tsv",
        "timelines",
    ):
        assert read_events(folder / table, recordings).events.round(6).equals(found), (
            table
        )
    raven = pd.read_csv(folder / "detections.selections.txt", sep="\t")
    # one sequence
    assert (raven["Begin Time (s)"] - raven["File Offset (s)"]).isin([0.0, 4.0]).all()


def test_thresholds_by_class_decide_instead_of_the_most_probable(sounding, tmp_path):
    record(tmp_path / "tone.wav", sound("tone", 50, seconds=2))
    for threshold, labels in (
        ("1", set()),
        ("0", set(sounding.classes)),
        ("1,hiss=0", {"hiss"}),
    ):
        assert (
            ask(
                sounding, audio=tmp_path, hop=0.5, threshold=threshold, reports=tmp_path
            )
            == 0
        )
        assert (
            set(pd.read_csv(tmp_path / "little" / "detections.csv")["class"]) == labels
        )
    for wrong in ("2", "tone=x", "tune=0.5"):
        with refused(r"did you mean 'tone'|expected a probability"):
            ask(sounding, audio=tmp_path, hop=0.5, threshold=wrong, reports=tmp_path)


def test_windows_are_as_long_as_the_median_clip_if_many_were_padded(
    short, tmp_path, capsys
):
    record(tmp_path / "tone.wav", sound("tone", 50, seconds=2))
    median = short.training.clip_seconds
    assert 0 < median < short.training.duration
    assert ask(short, audio=tmp_path / "tone.wav", hop=0.1, reports=tmp_path) == 0
    assert (
        f"windows of {median:g} s, the median of the training clips"
        in capsys.readouterr().err
    )
    rows = pd.read_csv(tmp_path / "little" / "timelines" / "tone.csv")
    assert (rows["end"] - rows["start"]).tolist() == pytest.approx(
        [median] * len(rows), abs=2e-3
    )
    assert (
        ask(short, audio=tmp_path / "tone.wav", hop=0.1, window=1.0, reports=tmp_path)
        == 0
    )
    assert "median" not in capsys.readouterr().err


def test_each_file_has_a_place_of_its_own(tmp_path):
    files = [
        Path("in/a.wav"),
        Path("in/deep/a.wav"),
        Path("in/b.wav"),
        Path("in/b.flac"),
        Path("in/c.1.ogg"),
    ]
    places = [
        str(place.relative_to(tmp_path)) for place in output_paths(files, tmp_path)
    ]
    assert places == ["a", "deep/a", "b.wav", "b.flac", "c.1"]


@pytest.mark.parametrize("length", [0, 1, 100, 101, 150, 151, 1234])
@pytest.mark.parametrize("hop", [50, 100, 37])
def test_windows_are_those_of_the_whole_recording(length, hop):
    y = np.arange(1, length + 1, dtype=np.float32)
    chance = np.random.default_rng(length)
    blocks = np.split(y, np.sort(chance.integers(0, length + 1, length // 50)))
    *found, (span, last) = windows(blocks, 10, 100, hop)
    for number, (own, samples) in enumerate(found):
        assert np.array_equal(samples, y[number * hop : number * hop + 100])
        assert own == (number * hop / 10, (number * hop + 100) / 10)
    assert np.array_equal(last, y[-100:]) and span == (
        max(0, length - 100) / 10,
        length / 10,
    )
    # none but the last reaches the end
    assert len(found) == max(0, -(-(length - 100) // hop))


def test_a_long_recording_is_never_held_whole():
    alive = []

    def blocks():
        for number in range(200):
            yield (block := np.full(80_000, number, np.float32))
            alive.append(weakref.ref(block))

    for _ in windows(blocks(), 8000, 40_000, 40_000):
        assert sum(block() is not None for block in alive) <= 2


@pytest.mark.parametrize("rate", [8000, 44_100, 16_000])
def test_blocks_are_resampled_as_the_whole_is(rate):
    y = np.random.default_rng(0).normal(0, 0.1, 3 * rate).astype(np.float32)
    streamed = np.concatenate(list(resampled(np.split(y, 30), rate, 16_000)))
    whole = soxr.resample(y, rate, 16_000)
    assert len(streamed) == len(whole) and np.abs(streamed - whole).max() < 1e-5


def test_a_time_line_is_drawn_by_the_middles_of_its_windows():
    start = np.arange(0, 5.25, 0.25)
    spans = pd.DataFrame({"file": "a", "start": start, "end": start + 1})
    edges = time_edges(spans)
    assert edges[0] == 0
    assert edges[-1] == 6
    third = list(start).index(3.5)
    assert edges[third] == 3.875
    assert edges[third + 1] == 4.125
