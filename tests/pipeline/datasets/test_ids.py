"""What a clip is called."""

import pytest

from commandline import RequestError
from pipeline.datasets import ids


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["1-100-A-0.wav", "b.ogg"], ["1-100-A-0", "b"]),
        (["a.wav", "a.flac", "b.wav"], ["a.wav", "a.flac", "b"]),
        (["x/a.wav", "y/a.wav"], ["x/a", "y/a"]),
        (["v1.0.wav", "v1.1.wav"], ["v1.0", "v1.1"]),
    ],
)
def test_a_clip_is_called_by_its_file_name_unless_two_agree(names, expected):
    assert ids.by_name(names) == expected


def test_with_class_folders_the_folder_belongs_to_the_id():
    paths = ["dog/1.wav", "dog/1.ogg", "cat/1.wav", "cat/new/2.wav"]
    assert ids.by_path(paths) == ["dog/1.wav", "dog/1.ogg", "cat/1", "cat/new/2"]


def test_a_clip_that_is_listed_twice_is_told():
    with pytest.raises(RequestError, match="is listed twice"):
        ids.by_name(["a.wav", "a.wav"])
