"""`features`: its files, in parts and beside other runs, and its output."""

import os
import threading

import numpy as np
import pytest
import soundfile

from featurestack.features_cache import writer
from featurestack.features_cache.claims import claimed
from featurestack.features_cache.hdf5 import lock
from featurestack.pipeline import extract, extraction_request
from featurestack.pipeline.options import FeaturesCommand
from tests.pipeline.damaged_mp3 import damage_frame
from tests.pipeline.extraction import cache, run


def test_a_file_that_has_to_be_made_again_waits_for_the_part_that_writes_to_it(
    sounds, monkeypatch
):
    run(sounds)
    folder = cache(sounds).folder
    ended = []
    waits = threading.Event()
    told = []
    monkeypatch.setattr(writer, "tell", lambda text: (told.append(text), waits.set()))
    with claimed(folder, ["zcr"], (0, 4)), lock(folder, "zcr") as writing:
        writing.take(shared=True)

        def end():
            waits.wait()
            ended.append(cache(sounds)["zcr"].dtype)
            writing.drop()

        threading.Thread(target=end, daemon=True).start()
        assert run(sounds, dtype="float32", part="2/2") == {"rms": 4, "zcr": 4}
    assert [*ended, cache(sounds)["zcr"].dtype] == ["float16", "float32"]
    assert len(told) == 1 and told[0].startswith("waiting: zcr.h5")
    assert f"process {os.getpid()} on" in told[0]


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_mp3_with_a_damaged_frame_is_named_once(tmp_path, capfd, quick, jobs):
    y = 0.1 * np.random.default_rng(0).standard_normal(16_000)
    for name in ("whole", "broken"):
        folder = tmp_path / "sounds" / f"class {name}"
        folder.mkdir(parents=True)
        soundfile.write(folder / f"{name}.mp3", y, 16_000)
    damage_frame(folder / "broken.mp3")
    data = tmp_path / "data"
    asked = FeaturesCommand(
        dataset=str(folder.parent), data=data, features="rms zcr", jobs=jobs
    )
    assert extract.extract_features(asked) == 0
    output = capfd.readouterr()
    printed = output.out + output.err
    assert printed.count("broken.mp3") == 1 and "whole.mp3" not in printed
    assert "libmpg123" not in printed and "1 MP3 has damaged frames" in printed


def test_another_version_of_librosa_computes_no_feature_again(sounds, monkeypatch):
    monkeypatch.setattr(extraction_request, "libraries", lambda: "librosa 0.11.0")
    assert run(sounds) == {"rms": 8, "zcr": 8}
    monkeypatch.setattr(extraction_request, "libraries", lambda: "librosa 1.0.0")
    assert run(sounds) == {"rms": 0, "zcr": 0}
