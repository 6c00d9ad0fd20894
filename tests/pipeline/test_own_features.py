"""Features of one's own beside a cache that is only read."""

import shutil
from pathlib import Path

import pytest

from featurestack.features_cache import Cache, cache_folder
from featurestack.features_cache.location import JOINED, is_cache
from featurestack.pipeline import request
from tests.pipeline import extraction
from tests.pipeline.extraction import anew, cache, contents, extracted, run
from tests.refusal import refused


@pytest.fixture
def shared(sounds):
    """The folder of a cache with rms and zcr."""
    run(sounds)
    return cache(sounds).folder


def beside(shared, **given):
    """The words of a run beside the shared cache, into the folder `mine`."""
    data = shared.parents[2] / "mine"
    return {"dataset": str(shared), "data": data} | given


def own(shared):
    return Path(beside(shared)["data"]) / "sounds" / "features"


def test_values_are_those_of_a_single_cache(sounds, shared):
    run(sounds, **beside(shared, features="rms flatness"))
    joined = Cache(own(shared))
    assert contents(joined, "flatness") == anew(sounds, "flatness", features="flatness")
    assert contents(joined, "rms") == contents(Cache(shared), "rms")


def test_only_features_that_the_shared_cache_lacks_are_computed(sounds, shared):
    assert run(sounds, **beside(shared, features="rms zcr flatness")) == {
        "rms": 0,
        "zcr": 0,
        "flatness": 8,
    }
    assert [path.stem for path in own(shared).glob("*.h5")] == ["flatness"]
    assert run(sounds, **beside(shared, features="rms zcr flatness")) == {
        "rms": 0,
        "zcr": 0,
        "flatness": 0,
    }
    assert Cache(shared).features == ["rms", "zcr"]


def test_one_folder_is_found_by_name_and_by_the_path_of_the_shared_cache(
    sounds, shared
):
    data = beside(shared)["data"]
    assert cache_folder(str(shared), data) == shared
    run(sounds, **beside(shared, features="flatness"))
    found = [cache_folder(name, data) for name in (str(shared), "sounds")]
    assert found == [own(shared)] * 2
    assert Cache(found[0]).features == ["flatness", "rms", "zcr"]
    assert run(sounds, dataset="sounds", data=data, features="mel rms") == {
        "mel": 8,
        "rms": 0,
    }


def test_no_audio_is_hashed_again(sounds, shared, monkeypatch):
    monkeypatch.setattr(request, "read_source", None)
    assert run(sounds, **beside(shared, features="flatness")) == {"flatness": 8}


def test_a_kill_after_the_joining_leaves_the_shared_features(sounds, shared):
    run(sounds, **beside(shared, features="flatness"))
    for path in own(shared).glob("*"):
        if path.name != JOINED and path.is_file():
            path.unlink()
    assert Cache(own(shared)).features == ["rms", "zcr"]
    assert run(sounds, **beside(shared, features="flatness")) == {"flatness": 8}


def test_own_features_of_clips_that_changed_are_left_out_and_computed_again(
    sounds, shared
):
    run(sounds, **beside(shared, features="flatness"))
    sounds.edit()
    sounds.shuffle()
    run(sounds)
    assert Cache(own(shared)).readable(["flatness"]).sum() == 7
    assert run(sounds, **beside(shared, features="flatness")) == {"flatness": 1}
    mine = contents(Cache(own(shared)), "flatness")
    assert mine == anew(sounds, "flatness", features="flatness")


def test_audio_that_the_shared_cache_does_not_know_is_not_computed(sounds, shared):
    sounds.edit()
    words = beside(shared, features="flatness")
    asked = request.request(extraction.options(sounds, **words))
    assert "clips changed in their audio: 1" in asked.notes
    result = extraction.extract(asked, extraction.options(sounds, **words))
    ((_, _, reason),) = result.failures
    assert "changed since the cache noted it" in reason
    assert Cache(own(shared)).readable(["flatness"]).sum() == 7


def test_another_cache_in_the_place_of_the_own_folder_is_refused(sounds, shared):
    other = beside(shared)["data"]
    extracted(sounds, data=other)
    with refused(rf"{own(shared)} is a cache itself.*DATA= or NAME="):
        run(sounds, **beside(shared, features="flatness"))
    words = beside(shared, features="flatness", name="others")
    assert run(sounds, **words) == {"flatness": 8}
    (other / "others" / "features" / JOINED).write_text(f"{own(shared)}\n")
    with refused(rf"joins {own(shared)}.*DATA= or NAME="):
        run(sounds, **words | {"features": "mel"})


def test_a_shared_cache_that_moved_is_joined_again(sounds, shared):
    run(sounds, **beside(shared, features="flatness"))
    moved = shared.parents[2] / "moved" / "sounds" / "features"
    shutil.copytree(shared, moved)
    shutil.rmtree(shared)
    assert is_cache(own(shared))
    with refused(f"joins {shared}, where no cache is.*DATASET="):
        Cache(own(shared))
    words = beside(shared, features="flatness rms") | {"dataset": str(moved)}
    run(sounds, **words | {"features": "flatness rms mel"})
    assert Cache(own(shared)).features == ["flatness", "mel", "rms", "zcr"]
