"""One identity of a dataset: its place and its content, whatever it is called."""

import os
import shutil

import pandas as pd
import pytest

from featurestack.base.files import content_hash
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.clip_table import complete
from featurestack.features_cache.external import create_cache
from featurestack.features_cache.identity import (
    Identity,
    digest_of_sounds,
    of_cache,
    of_files,
)
from tests.noise import write_clips


def identity(folder):
    return of_files(folder, sorted(folder.rglob("*.wav")))


@pytest.fixture
def birds(tmp_path):
    write_clips(tmp_path / "birds", "ant", "bee", clips=2)
    return tmp_path / "birds"


def moved(birds):
    return birds.rename(birds.with_name("moved"))


def copied(birds):
    return shutil.copytree(birds, birds.parent / "elsewhere/birds")


def linked(birds):
    link = birds.with_name("link")
    link.symlink_to(birds)
    return link


def renamed_inside(birds):
    (birds / "ant").rename(birds / "wasp")
    return birds.rename(birds.with_name("moved"))


@pytest.mark.parametrize("change", [moved, copied, linked, renamed_inside])
def test_equal_content_at_another_place_is_the_same_dataset(birds, change):
    before = identity(birds)
    assert before.is_same(identity(change(birds)))


def other_sounds(birds):
    """Files of the same names, sizes and times."""
    there = copied(birds)
    for file in there.rglob("*.wav"):
        status = file.stat()
        content = file.read_bytes()
        file.write_bytes(content[:-2] + bytes(reversed(content[-2:])))
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    return there


def one_sound_more(birds):
    there = copied(birds)
    (there / "ant/new.wav").write_bytes(b"another sound")
    return there


def one_sound_less(birds):
    there = copied(birds)
    next(there.rglob("*.wav")).unlink()
    return there


@pytest.mark.parametrize("change", [other_sounds, one_sound_more, one_sound_less])
def test_other_content_at_another_place_is_another_dataset(birds, change):
    before = identity(birds)
    assert not before.is_same(identity(change(birds)))


def test_a_changed_dataset_at_its_place_is_the_same_dataset(birds):
    before = identity(birds)
    (birds / "ant/new.wav").write_bytes(b"another sound")
    assert before != identity(birds) and before.is_same(identity(birds))


@pytest.mark.parametrize("unknown", [Identity(""), Identity("", ""), Identity("/b")])
def test_what_is_unknown_is_not_the_same(unknown):
    assert not Identity("", digest_of_sounds([])).is_same(unknown)
    assert not Identity("/a").is_same(unknown)


@pytest.mark.parametrize("place", ["/a b/c", "esc50", "", "/ä\n"])
@pytest.mark.parametrize("content", ["", "0" * 32])
def test_a_record_keeps_an_identity_as_text(place, content):
    known = Identity(place, content)
    assert Identity.parse(str(known)) == known


def test_a_file_that_cannot_be_read_has_no_part_in_the_content(birds):
    files = sorted(birds.rglob("*.wav"))
    assert of_files(birds, files) == of_files(birds, [*files, birds / "no.wav", birds])
    assert of_files("esc50", []) == Identity("esc50")
    hashes = [content_hash(file) for file in reversed(files)]
    assert of_files(birds, files).content == digest_of_sounds(hashes)


def test_a_cache_without_sounds_is_known_by_its_clips(tmp_path):
    clips = {"clip_id": ["a", "b"], "label": ["yes", "no"], "fold": [1, 2]}
    create_cache(tmp_path / "one", clips)
    create_cache(tmp_path / "other", clips | {"label": ["no", "yes"]})
    before = Cache(tmp_path / "one").identity
    shutil.move(tmp_path / "one", tmp_path / "moved")
    after = Cache(tmp_path / "moved").identity
    assert before.is_same(after) and before.place != after.place
    assert not before.is_same(Cache(tmp_path / "other").identity)


def test_an_index_keeps_the_content_and_needs_no_sound(birds, tmp_path):
    files = sorted(birds.rglob("*.wav"))
    clips = {"clip_id": [*map(str, files)], "path": [*map(str, files)]}
    table = complete(clips | {"label": list("aabb"), "fold": [1, 2, 1, 2]})
    table = table.assign(source_hash=[content_hash(file) for file in files])
    settings = {"source": str(birds), "sample_rate": 8000, "samples": 8000}
    expected = of_files(birds, files)
    shutil.rmtree(birds)
    assert of_cache(tmp_path, table, settings) == expected
    windows = pd.concat([table, table])  # clips that share a file
    assert of_cache(tmp_path, windows, settings) == expected
