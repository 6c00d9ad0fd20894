"""What featurestack adds to the functions behind the commands."""

import pytest

import featurestack as fs
from tests.refusal import refused
from tests.train.sounds import write_dataset


def test_a_clip_that_fails_is_warned_about_and_the_others_are_there(tmp_path):
    table = write_dataset(tmp_path / "sounds")
    (tmp_path / "sounds" / "tone-1-0.wav").write_bytes(b"no sound")
    with pytest.warns(UserWarning, match=r"1 clips could not be done, .*failures.csv says why"):
        cache = fs.extract("rms", str(table), data=str(tmp_path / "data"), name="other", jobs=1)
    assert cache.readable(["rms"]).sum() == len(cache.clips) - 1
    assert cache.folder == tmp_path / "data" / "other" / "features"
    assert len(fs.clips(str(cache.folder), data=str(tmp_path / "data"))) == len(cache.clips)


def test_a_keyword_that_no_option_has_is_named_with_the_nearest():
    with refused("unknown keyword 'epoch'; did you mean 'epochs'"):
        fs.train(dataset="synth", epoch=3)
