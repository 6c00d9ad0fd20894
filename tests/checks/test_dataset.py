"""Faults of a dataset: each finding on a dataset that has the fault, none on a clean
one.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from featurestack.checks import LEAK, NOTE, WARNING, ridge_findings
from featurestack.checks.clips import ARTEFACTS, correlate, measure_clip
from featurestack.checks.dataset import check_dataset, findings_in
from featurestack.checks.ridge_findings import (
    accuracies,
    artefact_findings,
    is_lost,
    random_splits,
)
from featurestack.features_cache.index_file import read_check
from featurestack.pipeline.datasets.load import load
from featurestack.pipeline.options import SourceOptions
from tests.cases import cases
from tests.golden.commands import ROOT
from tests.pipeline.datasets.folders import dataset
from tests.pipeline.noise_dataset import damage_frame
from tests.refusal import refused

RATE = 16_000
SECONDS = 2


def noise(seed, seconds=SECONDS):
    """Noise in bursts, different for every seed, well below full scale."""
    rng = np.random.default_rng(seed)
    envelope = np.repeat(rng.uniform(0.05, 1, size=40), round(seconds * RATE / 40))
    return (0.1 * envelope * rng.standard_normal(len(envelope))).clip(-0.9, 0.9)


CLEAN = {f"{number}.wav": noise(number) for number in range(8)}


def make(folder, sounds, rows=None):
    """A CSV of `filename,label,fold,group` rows; by default two classes, two folds,
    each clip a source.
    """
    for name, y in sounds.items():
        soundfile.write(folder / name, y, RATE)
    if rows is None:
        rows = [f"{n},{'ab'[i % 2]},{1 + i // 2 % 2},{n}" for i, n in enumerate(sounds)]
    (folder / "mine.csv").write_text("\n".join(["filename,label,fold,group", *rows]))
    return folder / "mine.csv"


def findings(path, **given):
    """Kind -> finding."""
    clips = dataset(path, path.parent, duration=SECONDS, **given)
    return {found.kind: found for found in findings_in(clips)[1]}


def test_nothing_is_found_in_a_clean_dataset(tmp_path):
    assert findings(make(tmp_path, CLEAN)) == {}


def test_a_dataset_whose_sounds_were_moved_fails_with_the_remedy(tmp_path):
    path = make(tmp_path, CLEAN)
    given = SourceOptions(dataset=str(path), data=tmp_path / "data", sample_rate=RATE)
    for file in tmp_path.glob("*.wav"):
        file.unlink()
    with refused("no clip of mine can be read: AUDIO_DIR= names the folder"):
        check_dataset(replace(given, duration=SECONDS))


MOVED = {
    "correlation -1.000": lambda y: -0.11 * y,
    "shifted by +0.562 s": lambda y: y[9_000:],  # shorter
    "shifted by ": lambda y: np.roll(y, 7_001),  # around the end
    "shifted by -0.208 s": lambda y: (
        0.5 * np.roll(y, 3_333) + 0.1 * y.std() * noise(99)
    ),
}


@pytest.mark.parametrize("moved", MOVED)
def test_the_same_audio_in_two_folds_is_a_leak_however_it_was_moved(tmp_path, moved):
    found = findings(make(tmp_path, CLEAN | {"1.wav": MOVED[moved](CLEAN["3.wav"])}))
    assert found["duplicates_across_folds"].severity == LEAK
    (named,) = found["duplicates_across_folds"].names
    assert named.startswith("1 (fold 1) = 3 (fold 2), ") and moved in named


def test_two_clips_with_one_landmark_in_common_are_not_similar():
    y = noise(1)
    other = np.append(y[-1_600:], noise(2)[1_600:])
    assert correlate(y, other, 1_600 - len(y)) == 0


def test_similar_calls_in_two_folds_are_noted_and_perhaps_one_session(tmp_path):
    call = 0.5 * np.roll(CLEAN["3.wav"], 3_333) + 3 * CLEAN["3.wav"].std() * noise(99)
    found = findings(make(tmp_path, CLEAN | {"1.wav": call}))
    assert found.keys() == {"similar"}
    assert found["similar"].severity == NOTE
    assert "one session" in found["similar"].remedy
    assert found["similar"].names[0].startswith("1 (fold 1) ~ 3 (fold 2), shifted by ")


def test_the_same_audio_of_one_group_or_in_one_fold_is_no_leak_of_audio(tmp_path):
    rows = [
        f"{n}.wav,{'ab'[n % 2]},{1 + n // 2 % 2},{'one' if n in (1, 3) else n}"
        for n in range(8)
    ]
    sounds = CLEAN | {"1.wav": CLEAN["3.wav"], "4.wav": CLEAN["5.wav"]}
    found = findings(make(tmp_path, sounds, rows))
    assert found["source_across_folds"].names == ["one (folds 1, 2)"]
    assert found["source_across_folds"].severity == LEAK
    assert found["duplicates"].severity == WARNING
    assert found["two_labels"].names == ["4 is a, 5 is b"]
    assert "duplicates_across_folds" not in found


def test_shifted_cuts_of_a_recording_may_have_different_tags(tmp_path):
    y = noise(50)
    shifted = np.append(y[800:], noise(60)[:800])
    rows = [f"{n}.wav,{'a;b' if n else 'a'},{1 + n % 2},g{n}" for n in range(8)]
    found = findings(make(tmp_path, CLEAN | {"0.wav": y, "1.wav": shifted}, rows))
    assert "two_labels" not in found and "duplicates_across_folds" in found


def test_damage_is_named(tmp_path):
    spectrum = np.fft.rfft(noise(7))
    spectrum[len(spectrum) // 2 :] = 0  # a recording at half the rate has nothing there
    sounds = CLEAN | {
        "0.wav": np.zeros(SECONDS * RATE),
        "1.wav": (30 * noise(5)).clip(-1, 1),
        "2.wav": np.pad(0.2 * noise(6, 0.5), (RATE, RATE // 2)),
        "3.wav": noise(3, 3.0),
        "7.wav": np.fft.irfft(spectrum),
    }
    rows = [
        f"{n}.wav,{'rare' if n == 0 else 'ab'[n % 2]},{1 + n // 4},{n}"
        for n in range(8)
    ]
    path = make(tmp_path, sounds, rows)
    (tmp_path / "4.wav").write_bytes(b"no sound")
    (tmp_path / "5.wav").unlink()
    found = findings(path)
    named = {"silent": "0", "clipped": "1", "padded": "2", "cut": "3", "narrow": "7"}
    named |= {"unreadable": "4 5", "missing_class": "rare"}
    for kind, names in named.items():
        assert " ".join(name.split()[0] for name in found[kind].names) == names, kind
    assert all(one.remedy for one in found.values() if one.severity != NOTE)


def test_a_duration_that_no_clip_fills_is_noted(tmp_path):
    clips = dataset(make(tmp_path, CLEAN), tmp_path, duration=2 * SECONDS)
    (found,) = [one for one in findings_in(clips)[1] if one.kind == "length"]
    assert "DURATION=2" in found.what


def test_every_kind_of_finding_has_a_test_and_every_measure_its_remedy_on_the_page():
    files = (ROOT / "featurestack" / "checks").glob("*.py")
    code = "".join(file.read_text(encoding="utf-8") for file in files)
    tests = Path(__file__).read_text(encoding="utf-8")
    kinds = {*re.findall(r'Finding\(\s*"(\w+)"', code)}
    assert {kind for kind in kinds if f'"{kind}"' not in tests} == set()
    page = (ROOT / "docs" / "howto" / "datasets.md").read_text(encoding="utf-8")
    assert [measure for measure in ARTEFACTS if f"`{measure}`" not in page] == []


def test_channels_in_antiphase_cancel_and_the_remedy_is_a_file_of_one(tmp_path):
    opposite = np.stack([noise(8), -noise(8)], axis=1)
    silent = findings(make(tmp_path, CLEAN | {"8.wav": opposite}))["silent"]
    assert [name.split()[0] for name in silent.names] == ["8"]
    assert "channels in antiphase cancel: write the channel that you" in silent.remedy


def test_clips_with_damaged_mp3_frames_are_found_by_name_alone(tmp_path, capfd):
    path = make(tmp_path, {f"{n}.mp3": noise(n) for n in range(16)})
    damage_frame(tmp_path / "5.mp3")
    found = findings(path)["damaged"]
    assert found.names == ["5"]
    assert "libmpg123" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("labels", "metric", "accuracy"),
    [(["a", "b"], "accuracy", 0.95), (["", "a", "b", "a;b"], "macro AUROC", 0.7)],
)
def test_artefacts_that_predict_a_class_are_a_warning(
    tmp_path, labels, metric, accuracy
):
    """Clips of b are padded."""
    sounds = {f"{number}.wav": noise(number) for number in range(32)}
    rows = []
    for number, (name, y) in enumerate(sounds.items()):
        label = labels[number % len(labels)]
        if "b" in label:
            y[RATE:] = 0
        rows.append(f"{name},{label},{1 + number // 4 % 2},{name}")
    found = findings(make(tmp_path, sounds, rows))["artefacts"]
    assert found.severity == WARNING and f" % {metric} " in found.what
    assert found.accuracy > accuracy and found.chance == 0.5
    first, *others = (name.split()[0] for name in found.names)
    assert first == "trail" and not {"sample_rate", "channels", "lead"} & {*others}


def test_the_command_keeps_what_it_found_beside_the_cache_and_ends_with_1_for_a_leak(
    tmp_path, capsys
):
    leaking = CLEAN | {"1.wav": CLEAN["3.wav"], "0.wav": np.zeros(SECONDS * RATE)}
    folder = tmp_path / "data" / "mine" / "features"
    kinds_of_leaking = ["duplicates_across_folds", "silent"]
    for sounds, status, kinds in ((leaking, 1, kinds_of_leaking), (CLEAN, 0, [])):
        path = make(tmp_path, sounds)
        options = SourceOptions(dataset=str(path), data=tmp_path / "data")
        assert check_dataset(options) == status
        stored = read_check(folder, load(options).table)
        severe = [found for found in stored if found["severity"] != "note"]
        assert [found["kind"] for found in severe] == kinds
        shown = capsys.readouterr().out
        assert shown.startswith("mine: 8 clips of 8 groups, 2 classes, 2 folds")
        for found in stored:
            assert found["what"] in shown and found["remedy"] in shown


def test_the_price_of_a_leak_is_measured_by_clip_and_by_speaker(tmp_path):
    """Each speaker says the two classes with the pitches exchanged."""
    sounds = {}
    rows = []
    time = np.arange(SECONDS * RATE) / RATE
    for number in range(24):
        speaker = "abc"[number % 3]
        label = "xy"[number // 3 % 2]
        pitch = 300 + 500 * (number % 3) + (200 if label == "x" else 0)
        if speaker == "b":
            pitch = 300 + 500 + (0 if label == "x" else 200)
        name = f"{label}_{speaker}speaker_{number}.wav"
        sounds[name] = 0.3 * np.sin(2 * np.pi * pitch * time) + 0.01 * noise(number)
        rows.append(f"{name},{label},{1 + number % 2},")
    path = make(tmp_path, sounds, [*rows, "empty.wav,x,1,"])
    (tmp_path / "empty.wav").touch()
    found = findings(path)
    assert found["field"].what.startswith("field 2 of the names has 3 values")
    said = (
        r"ridge on mel\+mfcc scores \d+\.\d points lower on new speakers, sites or"
        r" devices \(accuracy 100\.0 % by clip, "
    )
    assert re.match(said + r"\d+\.\d % by field 2 of the names", found["price"].what)
    assert found["price"].names[1:] == ["GROUP=_(.*)_"]


@cases("by_clip", "by_group", "said")
def test_the_price_says_which_way_the_score_goes(
    tmp_path, monkeypatch, by_clip, by_group, said
):
    monkeypatch.setattr(
        ridge_findings, "accuracies", lambda *given: (by_clip, by_group)
    )
    rows = [
        f"{name},{'ab'[n % 2]},{1 + n // 4},{n // 2}" for n, name in enumerate(CLEAN)
    ]
    found = findings(make(tmp_path, CLEAN, rows))
    assert found["price"].what.startswith(said)


def test_names_of_classes_that_look_the_same_are_named(tmp_path):
    names = ["dog", "Dog", "do g", "caf\u00e9", "cafe\u0301", "cat", "hen", "owl"]
    rows = [f"{n}.wav,{names[n % 8]},{1 + n // 8},{n}" for n in range(16)]
    found = findings(make(tmp_path, {f"{n}.wav": noise(n) for n in range(16)}, rows))
    same = ["'Dog' = 'do g' = 'dog'", "'cafe\\u0301' = 'caf\\xe9'"]
    assert found["same_classes"].names == same


RNG = np.random.default_rng(0)


def test_random_splits_have_as_many_clips_of_each_class_as_the_groups():
    """So a speaker who says one word more often than others is no leak."""
    labels = pd.Series(RNG.integers(0, 5, 60).astype(str))
    speakers = pd.Series(RNG.integers(0, 3, 60).astype(str))
    speakers[:20] = labels[:20]
    for split in random_splits(speakers, labels):
        assert (split != speakers).any()
        assert pd.crosstab(split, labels).equals(pd.crosstab(speakers, labels))


@pytest.mark.parametrize(("effect", "most_lost"), [(0.0, 1), (1.0, 5)])
def test_a_field_of_uneven_values_costs_points_only_if_it_has_an_effect(
    effect, most_lost
):
    clips = 200
    lost = 0
    for _ in range(5):
        field = RNG.permutation(np.repeat([0, 1, 2, 3], [140, 40, 10, 10]))
        target = RNG.integers(0, 4, clips)
        x = RNG.normal(size=(clips, 40))
        x[:, :4] += 1.2 * np.eye(4)[target]
        x += effect * RNG.normal(size=(4, 4, 40))[field, target]
        table = pd.DataFrame({"label": target.astype(str)})
        table["group"] = np.arange(clips).astype(str)
        of_clips, of_field = accuracies([x], table, pd.Series(field.astype(str)))
        lost += is_lost(of_clips, of_field, clips)
    assert most_lost - 1 <= lost <= most_lost


def measured(recordings, each, x):
    """A table of clips with these measures, the classes in turn."""
    table = pd.DataFrame(x, columns=ARTEFACTS)
    recording = np.repeat(np.arange(recordings), each)
    clip = np.arange(len(x)).astype(str)
    names = {"clip_id": clip, "group": recording.astype(str), "start": 0.0, "end": 0.0}
    label = (recording % 2).astype(str)
    return table.assign(**names, label=label, fold=1 + recording // 2 % 2)


@pytest.mark.parametrize("rare", [10, 2])  # every second clip, or every tenth
def test_an_artefact_of_uneven_classes_is_a_warning(rare):
    """Its balanced accuracy is 89 %; the commonest class alone has 90 % accuracy."""
    x = RNG.normal(size=(300, len(ARTEFACTS)))
    table = measured(300, 1, x)
    has = np.arange(300) % rare == 0
    table["label"], table["fold"] = has.astype(str), 1 + np.arange(300) // 20 % 5
    table["level"] += 2.5 * has
    (found,) = artefact_findings(table)
    assert found.names[0].startswith("level 8") or found.names[0].startswith("level 9")
    assert found.chance == 0.5
    metric = "accuracy" if rare == 2 else "balanced accuracy"
    assert f" % {metric} (" in found.what


def test_measures_of_four_recordings_say_nothing_about_their_classes():
    recordings = np.repeat(RNG.normal(size=(4, len(ARTEFACTS))), 10, axis=0)
    clips = recordings + 0.1 * RNG.normal(size=recordings.shape)
    assert artefact_findings(measured(4, 10, clips)) == []


def test_a_measure_between_those_of_another_class_predicts_it():
    x = RNG.normal(size=(60, len(ARTEFACTS)))
    level = ARTEFACTS.index("level")
    x[:, level] = np.where(np.arange(60) % 2, RNG.choice([-9, 9], 60), 0)
    (found,) = artefact_findings(measured(60, 1, x))
    assert found.severity == WARNING
    assert found.names[0].startswith("level 100.0 %")


def test_measures_by_known_answers():
    tone = 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(RATE) / RATE)
    measured = measure_clip(np.pad(tone, RATE // 4), RATE, 1)
    assert measured["level"] == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.05)
    assert measured["bandwidth"] == pytest.approx(1_000, abs=300)
    flat = [0, 1, 1, 1, 0, 1, 1, -1, -1, -1]
    assert measure_clip(np.array(flat), RATE, 1)["clipped"] == 0.6
