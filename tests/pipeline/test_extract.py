"""`features`: what a change costs, parts that run at once, its files and its output."""

import multiprocessing
import shutil
import threading
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from featurestack.features_cache import writer
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.feature_names import FeatureName, parse_feature_name
from featurestack.features_cache.hdf5 import lock
from featurestack.features_cache.reservations import reserved
from featurestack.pipeline import extract, extraction_plan
from featurestack.pipeline.extraction_plan import plan_extraction, with_frame
from featurestack.pipeline.features import FEATURES, resolve_feature
from featurestack.pipeline.options import FeaturesCommand
from featurestack.pipeline.parameters import EvenSamples, Samples
from featurestack.train.options import RunOptions
from featurestack.train.plan import make_plan
from tests.cases import cases, data
from tests.pipeline.datasets.folders import write
from tests.pipeline.extraction import anew, cache, extracted, options, run, stored
from tests.pipeline.noise_dataset import damage_frame
from tests.refusal import refused


def test_a_file_that_has_to_be_made_again_waits_for_the_part_that_writes_to_it(
    sounds, monkeypatch
):
    run(sounds)
    folder = cache(sounds).folder
    ended = []
    waits = threading.Event()
    told = []
    monkeypatch.setattr(writer, "tell", lambda text: (told.append(text), waits.set()))
    with reserved(folder, ["zcr"], (0, 4)), lock(folder, "zcr") as writing:
        writing.take(shared=True)

        def end():
            waits.wait()
            ended.append(cache(sounds)["zcr"].dtype)
            writing.drop()

        threading.Thread(target=end, daemon=True).start()
        assert run(sounds, dtype="float32", part="2/2") == {"rms": 4, "zcr": 4}
    assert [*ended, cache(sounds)["zcr"].dtype] == ["float16", "float32"]
    assert len(told) == 1 and told[0].startswith("waiting: zcr.h5")


def test_a_stored_feature_keeps_its_type_unless_another_is_given(sounds):
    assert run(sounds, features="zcr", dtype="float32") == {"zcr": 8}
    assert run(sounds, features="zcr rms") == {"zcr": 0, "rms": 8}
    assert [cache(sounds)[name].dtype for name in ("zcr", "rms")] == [
        *("float32", "float16")
    ]
    assert run(sounds, features="zcr rms", dtype="float16") == {"zcr": 8, "rms": 0}
    assert cache(sounds)["zcr"].dtype == "float16"


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_mp3_with_a_damaged_frame_is_named_once(
    tmp_path, capfd, forked_workers, jobs
):
    y = 0.1 * np.random.default_rng(0).standard_normal(16_000)
    for name in ("whole", "broken"):
        folder = tmp_path / "sounds" / f"class {name}"
        folder.mkdir(parents=True)
        soundfile.write(folder / f"{name}.mp3", y, 16_000)
    damage_frame(folder / "broken.mp3")
    data = tmp_path / "data"
    given = {"dataset": str(folder.parent), "data": data, "jobs": jobs}
    asked = FeaturesCommand(features="rms zcr", **given)
    assert extract.extract_features(asked) == 0
    output = capfd.readouterr()
    printed = output.out + output.err
    assert printed.count("broken.mp3") == 1 and "whole.mp3" not in printed
    assert "libmpg123" not in printed and "1 MP3 has damaged frames" in printed


def test_another_version_of_librosa_computes_no_feature_again(sounds, monkeypatch):
    monkeypatch.setattr(extraction_plan, "libraries", lambda: "librosa 0.11.0")
    assert run(sounds) == {"rms": 8, "zcr": 8}
    monkeypatch.setattr(extraction_plan, "libraries", lambda: "librosa 1.0.0")
    assert run(sounds) == {"rms": 0, "zcr": 0}


# what happens, options, computed maps, what is told
CHANGES = data(__file__)["CHANGES"]


def test_each_change_of_a_dataset_costs_only_what_it_must(sounds, capsys):
    run(sounds)
    before = {path: path.read_bytes() for path in cache(sounds).folder.glob("*.h5")}
    assert run(sounds) == {"rms": 0, "zcr": 0}
    assert before == {path: path.read_bytes() for path in before}
    for happens, given, computed, told in CHANGES:
        if happens:
            getattr(sounds, happens[0])(*happens[1:])
        lines = extraction_plan.plan_extraction(options(sounds, **given)).notes
        assert list(run(sounds, **given).values()) == computed, happens
        assert told in "\n".join(lines) + capsys.readouterr().out
        clips = cache(sounds).clips
        assert list(clips["clip_id"]) == sounds.ids
        known = [[row["label"], row["fold"]] for row in sounds.rows]
        assert clips[["label", "fold"]].to_numpy().tolist() == known
    assert stored(sounds, "zcr") == anew(sounds, "zcr", **given)


def test_all_brings_the_variants_in_the_cache_up_to_date(sounds):
    run(sounds, features="rms@hop_length=256")
    shutil.copy(
        cache(sounds).folder / "rms@hop_length=256.h5",
        cache(sounds).folder / "embedding@model=lost.h5",
    )
    asked = extraction_plan.plan_extraction(options(sounds, features="all"))
    assert {"rms@hop_length=256", "rms", "zcr"} < {*asked.names}
    assert "embedding@model=lost" in " ".join(asked.notes)  # its network is not here
    with refused("embedding@model=lost needs a network"):
        extraction_plan.plan_extraction(
            options(sounds, features="embedding@model=lost")
        )


@pytest.mark.parametrize(
    ("what", "now"),
    [("version", FEATURES["zcr"].version + 1), ("code", "digest of an edited text")],
)
def test_other_code_of_a_feature_makes_it_again(what, now, sounds, monkeypatch, capsys):
    run(sounds)
    monkeypatch.setitem(vars(FEATURES["zcr"]), what, now)
    assert run(sounds) == {"rms": 0, "zcr": 8}
    assert "made again: zcr.h5 was made with version " in capsys.readouterr().out


def test_a_changed_default_keeps_the_former_values_under_their_own_name(
    sounds, monkeypatch, capsys
):
    run(sounds)
    before = stored(sounds, "rms")
    file = cache(sounds).folder / "rms.h5"
    rms = vars(FEATURES["rms"])
    compute = rms["function"]

    def coarser(clip, *, frame_length: EvenSamples = 2048, hop_length: Samples = 1024):
        return compute(clip, frame_length=frame_length, hop_length=hop_length)

    monkeypatch.setitem(rms, "function", coarser)
    monkeypatch.delitem(rms, "declared", raising=False)
    assert run(sounds) == {"rms": 8, "zcr": 0}
    told = "rms.h5 was made with hop_length 512, here 1024; its values stay, as rms@"
    assert told + "hop_length=512" in capsys.readouterr().out
    assert run(sounds, features="rms@hop_length=512 rms") == {
        "rms@hop_length=512": 0,
        "rms": 0,
    }
    assert stored(sounds, "rms@hop_length=512") == before != stored(sounds, "rms")
    # values of other code have no name
    shutil.copy(file.with_name("rms@hop_length=512.h5"), file)
    monkeypatch.setitem(rms, "version", 2)
    assert run(sounds, features="rms") == {"rms": 8}


def test_settings_of_the_whole_cache_put_no_feature_out_of_date_silently(sounds):
    run(sounds)
    before = {name: stored(sounds, name) for name in ("rms", "zcr")}
    for given in ({"sample_rate": 4000}, {"duration": 0.5}):
        with refused("has rms, zcr, made from .* NAME=sounds2 .* YES=1"):
            run(sounds, **given)
    assert {name: stored(sounds, name) for name in before} == before
    assert run(sounds, name="sounds2", sample_rate=4000) == {"rms": 8, "zcr": 8}
    assert run(sounds, yes=True, features="rms", duration=0.5) == {"rms": 8}
    # the next command finds these settings in the cache
    assert run(sounds, duration=None, features="zcr") == {"zcr": 8}


PARTS = 3  # eight clips divide into parts of 2, 3 and 3


def fill(sounds, part):
    """Run a job of the array; return the number of its clips."""
    return extracted(sounds, part=f"{part}/{PARTS}").clips


def test_a_part_says_what_other_parts_have_to_compute(sounds, capsys):
    for part, missing in (("2/3", 5), ("1/3", 3)):
        extract.extract_features(options(sounds, part=part))
        shown = capsys.readouterr().out
        assert f"{missing} of 8 clips are missing: extract the other parts" in shown
        assert "next: " not in shown
    extract.extract_features(options(sounds, part="3/3"))
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("next: make train ")


def test_parts_at_once_make_the_cache_that_one_run_makes(sounds):
    # a spawned process loads its libraries anew
    forked = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(PARTS, forked) as jobs:
        done = list(jobs.map(fill, [sounds] * PARTS, range(1, PARTS + 1)))
    assert done == [2, 3, 3]
    assert run(sounds) == {"rms": 0, "zcr": 0}
    by_parts = stored(sounds, "rms")
    (cache(sounds).folder / "rms.h5").unlink()
    assert run(sounds) == {"rms": 8, "zcr": 0} and stored(sounds, "rms") == by_parts


def test_every_feature_of_frames_exists_with_frames_of_a_duration():
    for name in FEATURES.complete():
        channel = with_frame(FeatureName(name), 46)
        assert ("@frame=46" in str(channel)) == (name != "waveform")
        assert all(resolve_feature(channel, 48_000).shape(48_000, 2 * 48_000))


@cases("of", "name")
def test_a_feature_of_another_s_map_is_framed_like_the_other(of, name):
    assert str(with_frame(FeatureName("imagenet", (("of", of),)), 46)) == name


def test_a_duration_is_samples_of_the_rate_and_the_name_of_every_rate():
    channel = parse_feature_name("mel@frame=64.0")
    shorter, longer = (resolve_feature(channel, rate) for rate in (8000, 16000))
    assert shorter.stored == longer.stored == "mel@frame=64"
    stated = parse_feature_name("mel@hop_length=256,n_fft=1024")
    assert longer.recorded_facts == resolve_feature(stated).recorded_facts
    assert shorter.recorded_facts["hop_length"] == 128
    for wrong, reason in [
        ("mel@frame=64,n_fft=512", "frame= decides n_fft"),
        ("mel@frame=0", "expected a number from 1 to 1000"),
        ("waveform@frame=64", "unknown parameter 'frame'"),
    ]:
        with refused(reason):
            resolve_feature(parse_feature_name(wrong), 16000)


def at_16_khz(folder):
    """Two clips of each of two classes, at 16 kHz."""
    for name in ("dog/1", "dog/2", "cat/1", "cat/2"):
        write(folder / f"{name}.wav", 0.5, 16_000)
    return str(folder)


def test_all_features_get_such_frames_and_a_plain_name_finds_them(tmp_path, capsys):
    given = {"dataset": at_16_khz(tmp_path / "sounds"), "data": tmp_path / "data"}
    asked = FeaturesCommand(features="mel rms", jobs=1, frame=46, **given)
    assert extract.extract_features(asked) == 0
    assert "FRAME=" not in capsys.readouterr().out
    made = Cache(tmp_path / "data" / "sounds" / "features")
    assert made.features == ["mel@frame=46", "rms@frame=46"]
    assert made["mel"].stored == made.features[0]
    assert made["mel@frame=46,n_mels=128"].parameters["n_fft"] == 768
    assert np.isclose(np.diff(made["mel"].frame_axis)[0], 0.012)
    plan = make_plan(RunOptions(features="mel", model="linear", **given))
    told = f"mel: {made.features[0]}, the only one in the cache"
    assert told in plan.messages and plan.training.features == made.features[0]


def test_what_a_rate_rules_out_of_all_is_one_line(tmp_path):
    given = {"dataset": at_16_khz(tmp_path / "sounds"), "data": tmp_path / "data"}
    asked = FeaturesCommand(features="all", sample_rate=8000, **given)
    (note,) = [note for note in plan_extraction(asked).notes if "left out" in note]
    assert note.startswith("10 features left out, which need a higher rate or longer")
    assert note.endswith("make show SAMPLE_RATE=8000 DURATION=0.5 says why")
    with refused("cqt cannot exist here: its highest band"):
        plan_extraction(replace(asked, features="cqt"))


def test_of_two_variants_with_other_frames_a_plain_name_means_neither(tmp_path):
    given = {"dataset": at_16_khz(tmp_path / "sounds"), "data": tmp_path / "data"}
    names = "mel@n_fft=512 mel@n_fft=1024"
    asked = FeaturesCommand(features=names, jobs=1, **given)
    assert extract.extract_features(asked) == 0
    assert "mel" not in Cache(tmp_path / "data" / "sounds" / "features")
