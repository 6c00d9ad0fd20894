"""Rate and duration, found in the files or given."""

import pytest

from commandline import RequestError
from pipeline.datasets import load
from tests.pipeline.datasets.sounds import class_folders, write


def test_the_commonest_rate_and_the_longest_clip(tmp_path):
    for number, (seconds, rate) in enumerate([(0.2, 8_000), (0.75, 8_000), (0.5, 16_000)]):
        write(tmp_path / "mine" / "dog" / f"{number}.wav", seconds, rate)
    dataset = load(str(tmp_path / "mine"), tmp_path / "data")
    assert (dataset.sample_rate, dataset.duration, dataset.samples) == (8_000, 0.75, 6_000)
    assert any("1 clips of 16000 Hz" in note for note in dataset.notes)


def test_a_minute_is_cut_to_thirty_seconds_unless_asked_for(tmp_path):
    write(tmp_path / "mine" / "dog" / "long.wav", 60, 8_000)
    assert load(str(tmp_path / "mine"), tmp_path / "data").duration == 30
    assert load(str(tmp_path / "mine"), tmp_path / "data", duration=60).samples == 480_000


@pytest.mark.parametrize(
    "given", [{"sample_rate": 0}, {"sample_rate": -8}, {"duration": 0}, {"duration": -1.0}]
)
def test_a_rate_or_duration_that_cannot_be_is_told(tmp_path, given):
    with pytest.raises(RequestError, match="expected"):
        load(str(class_folders(tmp_path / "mine", each=1)), tmp_path / "data", **given)


def test_nothing_readable_at_all_is_told_with_a_reason(tmp_path):
    (tmp_path / "mine" / "dog").mkdir(parents=True)
    (tmp_path / "mine" / "dog" / "a.wav").write_bytes(b"")
    with pytest.raises(RequestError, match=r"none of 1 files can be read.*0 bytes"):
        load(str(tmp_path / "mine"), tmp_path / "data")
