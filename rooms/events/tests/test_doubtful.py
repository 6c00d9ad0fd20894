"""What to annotate next, and the tables that lie beside it."""

import errno

import numpy as np
import pandas as pd
import pytest
import soundfile

from featurestack.pipeline.datasets.layouts import find_recordings
from featurestack.results.config import DetectionRule
from featurestack.rooms.events import doubtful
from featurestack.rooms.events.doubtful import (
    doubtful_parts,
    most_doubtful,
    own_folder,
    write_doubtful,
)
from featurestack.rooms.events.frames import Frames
from featurestack.storage.files import content_hash, replace_file

RATE = 8000


@pytest.fixture
def parts():
    """Three runs of frames, of scores 0.9, 0.55 and 0.2, in one recording of 10 s."""
    stretches = pd.DataFrame(
        {"file": ["a.wav"], "start": 0.0, "end": 10.0, "fold": 0, "frames": 100}
    )
    times = np.arange(100) / 10 + 0.05
    frames = Frames(stretches, times, 0.1, ("dog",))
    probabilities = np.zeros((100, 1))
    probabilities[10:15], probabilities[40:45], probabilities[70:75] = 0.9, 0.55, 0.2
    return doubtful_parts(frames, probabilities, {"dog": DetectionRule()}, 10)


def test_the_part_nearest_to_the_threshold_comes_first(parts):
    assert parts["start"].tolist() == pytest.approx([4.0, 7.0, 1.0])
    assert parts["margin"].tolist() == pytest.approx([0.05, 0.3, 0.4])


def test_parts_do_not_overlap_and_are_as_many_as_asked(parts):
    shifted = parts.assign(start=parts["start"] + 0.2, end=parts["end"] + 0.2)
    both = most_doubtful([parts, shifted], 10)
    assert len(both) == 3
    assert len(most_doubtful([parts, shifted], 2)) == 2


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    y = np.random.default_rng(0).normal(0, 0.1, 10 * RATE)
    soundfile.write(folder / "a.wav", y, RATE)
    return folder


def write(parts, folder):
    files, seconds = {"a.wav": folder / "a.wav"}, {"a.wav": 10.0}
    write_doubtful(parts, files, seconds, RATE, folder)


def test_cuts_are_no_recordings_of_the_next_call(recordings, parts):
    write(parts, recordings)
    cuts = recordings / "doubtful"
    assert len([*cuts.glob("*.wav")]) == 3
    first = min(cuts.glob("*.wav"))
    assert soundfile.info(first).duration == pytest.approx(2.5)  # with the context
    table = pd.read_csv(cuts / "doubtful.selections.txt", sep="\t")
    assert table["Begin Time (s)"].tolist() == pytest.approx([4.0, 7.0, 1.0])
    assert [*find_recordings(recordings)] == ["a.wav"]


def test_only_files_that_were_written_are_removed(recordings, parts):
    write(parts, recordings)
    cuts = recordings / "doubtful"
    mine = cuts / "2024-06-01@site3.wav"
    mine.write_bytes(b"mine")
    edited = max(cuts.glob("[0-9]-*.wav"))
    edited.write_bytes(b"edited")
    write(parts[:1], recordings)
    assert mine.read_bytes() == b"mine" and edited.read_bytes() == b"edited"
    assert len([*cuts.glob("*.wav")]) == 3


def test_a_list_of_files_elsewhere_removes_nothing(recordings, parts):
    write(parts, recordings)
    state = f'{{"../a.wav": "{content_hash(recordings / "a.wav")}"}}'
    (recordings / "doubtful" / ".no-data.json").write_text(state)
    write(parts, recordings)
    assert (recordings / "a.wav").is_file()


def test_what_the_user_has_changed_is_kept_beside_the_new_files(recordings, parts):
    write(parts, recordings)
    cuts = recordings / "doubtful"
    for file in cuts.glob("[!.]*"):
        file.write_text("changed")
    before = {file.name for file in cuts.glob("[!.]*")}
    write(parts, recordings)
    assert all((cuts / name).read_text() == "changed" for name in before)
    assert len(list(cuts.glob("[!.]*"))) == 2 * len(before)


@pytest.mark.parametrize("after", [1, 2, 3, 4, 5, 6, 7])
def test_cuts_before_a_full_disk_are_removed_by_the_next_call(
    recordings, parts, monkeypatch, after
):
    own_folder(recordings)
    files_written = []

    def until_full(file, content):
        if len(files_written) == after:
            raise OSError(errno.ENOSPC, "No space left on device", str(file))
        files_written.append(file)
        replace_file(file, content)

    with monkeypatch.context() as full_disk:
        full_disk.setattr(doubtful, "replace_file", until_full)
        with pytest.raises(OSError, match="No space left"):
            write(parts, recordings)
    write(parts[:0], recordings)
    names = {file.name for file in (recordings / "doubtful").iterdir()}
    assert names == {".no-data.json", "doubtful.selections.txt"}


def test_a_folder_of_the_user_is_left_alone(tmp_path):
    (tmp_path / "doubtful").mkdir()
    assert own_folder(tmp_path).name == "doubtful2"
    assert own_folder(tmp_path).name == "doubtful2"
    assert not [*(tmp_path / "doubtful").iterdir()]
