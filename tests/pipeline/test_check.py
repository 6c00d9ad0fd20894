"""What is wrong with a dataset: every finding on a dataset made to have it, and none on a clean one."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from pipeline import check
from pipeline.datasets import load
from pipeline.near_duplicates import NO_LANDMARKS, audio_fingerprint, correlate, find_near_duplicates
from pipeline.options import SourceOptions

RATE = 16_000
SECONDS = 2


def noise(seed: int, seconds: float = SECONDS) -> np.ndarray:
    """A different crackle for every seed: bursts over noise, well below full scale."""
    rng = np.random.default_rng(seed)
    envelope = np.repeat(rng.uniform(0.05, 1, size=40), round(seconds * RATE / 40))
    return (0.1 * envelope * rng.standard_normal(len(envelope))).clip(-0.9, 0.9)


def make(folder: Path, sounds: dict[str, np.ndarray], rows: list[str] | None = None) -> Path:
    """A CSV of `filename,label,fold,group` rows; without rows two classes in two folds, every clip alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, y in sounds.items():
        soundfile.write(folder / name, y, RATE)
    if rows is None:
        rows = [f"{n},{'ab'[i % 2]},{1 + i // 2 % 2},{n}" for i, n in enumerate(sounds)]
    (folder / "mine.csv").write_text("\n".join(["filename,label,fold,group", *rows]))
    return folder / "mine.csv"


def findings(path: Path, tmp_path: Path) -> dict[str, check.Finding]:
    found = check.findings_in(load(str(path), tmp_path / "data", duration=SECONDS))
    return {finding.what: finding for finding in found}


def only(found: dict[str, check.Finding], start: str) -> check.Finding:
    (one,) = [finding for what, finding in found.items() if what.startswith(start)]
    return one


CLEAN = {f"{number}.wav": noise(number) for number in range(8)}


def test_nothing_but_the_classifiers_score_is_found_in_a_clean_dataset(tmp_path, capsys):
    path = make(tmp_path, CLEAN)
    found = findings(path, tmp_path)
    assert [finding.severity for finding in found.values()] == [check.NOTE]
    only(found, "a linear classifier of artefacts alone reaches")
    options = SourceOptions(dataset=str(path), data=tmp_path / "data")
    assert check.run(options) == 0
    assert "mine: 8 clips, 2 classes, 2 folds" in capsys.readouterr().out


MOVED = {
    "the same": lambda y: y,
    "softer": lambda y: 0.11 * y,
    "upside down": lambda y: -y,
    "later": lambda y: np.concatenate([np.zeros(5_000), y])[: len(y)],
    "earlier, shorter": lambda y: y[9_000:],
    "turned around the end": lambda y: np.roll(y, 7_001),
    "softer and later, over faint noise": lambda y: (
        0.5 * np.roll(y, 3_333) + 0.02 * y.std() * noise(99) / 0.05
    ),
}


@pytest.mark.parametrize("moved", MOVED)
def test_the_same_audio_in_two_folds_is_a_leak_however_it_was_moved(tmp_path, moved):
    path = make(tmp_path, CLEAN | {"1.wav": MOVED[moved](CLEAN["3.wav"])})
    leak = only(findings(path, tmp_path), "the same audio is in two folds")
    assert leak.severity == check.LEAK
    (named,) = leak.names
    assert re.match(r"1 \(fold 1\) = 3 \(fold 2\)", named)
    assert check.run(SourceOptions(dataset=str(path), data=tmp_path / "data")) == 1


def test_the_same_audio_in_two_folds_of_one_group_leaks_as_its_recording_alone(tmp_path):
    rows = [f"{n}.wav,{'ab'[n % 2]},{1 + n // 2 % 2},{'one' if n in (1, 3) else n}" for n in range(8)]
    found = findings(make(tmp_path, CLEAN | {"1.wav": CLEAN["3.wav"]}, rows), tmp_path)
    assert only(found, "a source recording is in several folds").names == ["one (folds 1, 2)"]
    assert not [what for what in found if what.startswith("the same audio")]


def test_the_same_audio_in_one_fold_is_named_and_so_are_its_two_labels(tmp_path):
    found = findings(make(tmp_path, CLEAN | {"1.wav": CLEAN["0.wav"]}), tmp_path)
    beside = only(found, "the same audio under two source recordings, in one fold")
    assert beside.severity == check.WARNING
    assert only(found, "the same audio has two labels").names == ["0 is a, 1 is b"]
    assert not [what for what in found if "two folds" in what]


def test_the_four_recordings_that_esc50s_own_table_puts_in_two_folds_are_named(tmp_path):
    spread = {"131943": (1, 4), "134049": (2, 3), "209698": (1, 5), "234879": (2, 4)}
    rows, sounds = [], {}
    for source, folds in spread.items():
        for letter, fold in zip("AB", folds):
            rows.append(f"{fold}-{source}-{letter}-0.wav,{fold},0,dog,{source},{letter}")
            sounds[rows[-1].split(",")[0]] = noise(len(sounds), 0.2)
    path = make(tmp_path, sounds, rows)
    path.write_text("\n".join(["filename,fold,target,category,src_file,take", *rows]))
    leak = only(findings(path, tmp_path), "a source recording is in several folds")
    assert leak.severity == check.LEAK
    assert leak.names == [
        "131943 (folds 1, 4)",
        "134049 (folds 2, 3)",
        "209698 (folds 1, 5)",
        "234879 (folds 2, 4)",
    ]


def test_damage_is_named(tmp_path):
    flat = (30 * noise(5)).clip(-1, 1)
    quiet_ends = np.concatenate([np.zeros(RATE), 0.2 * noise(6, 0.5), np.zeros(RATE // 2)])
    sounds = CLEAN | {
        "0.wav": np.zeros(SECONDS * RATE),
        "1.wav": flat,
        "2.wav": quiet_ends,
        "3.wav": noise(3, 3.0),
    }
    path = make(tmp_path, sounds)
    (tmp_path / "4.wav").write_bytes(b"no sound")
    (tmp_path / "5.wav").unlink()
    soundfile.write(tmp_path / "6.wav", noise(6)[::2], RATE // 2)
    found = findings(path, tmp_path)
    assert only(found, "silent").names == ["0"]
    assert only(found, "clipped").names == ["1"]
    assert only(found, "mostly padded").names == ["2"]
    assert only(found, "longer than 2 s").names == ["3"]
    assert only(found, "another rate than 16000 Hz").names == ["6"]
    unreadable = only(found, "cannot be read").names
    assert [name.split(" ")[0] for name in unreadable] == ["4", "5"]
    assert "missing" in unreadable[1]


def test_a_lower_sample_rate_before_is_found(tmp_path):
    spectrum = np.fft.rfft(noise(3))
    spectrum[len(spectrum) // 2 :] = 0  # as if it had been recorded at half the rate
    found = findings(make(tmp_path, CLEAN | {"3.wav": np.fft.irfft(spectrum)}), tmp_path)
    assert only(found, "nothing above 80% of the band").names == ["3"]


def test_a_class_that_a_fold_lacks_is_reported(tmp_path):
    rows = [f"{n}.wav,{'rare' if n == 0 else 'ab'[n % 2]},{1 + n // 4},{n}" for n in range(8)]
    assert only(findings(make(tmp_path, CLEAN, rows), tmp_path), "a class is missing").names == ["rare"]


def test_artefacts_that_predict_the_class_are_a_warning(tmp_path):
    """Class b is padded: nothing of its sound is needed to know it."""
    rng = np.random.default_rng(0)
    sounds = {}
    for number in range(24):
        y = noise(number)
        if number % 2:
            y[rng.integers(RATE, RATE + 4_000) :] = 0
        sounds[f"{number}.wav"] = y
    finding = only(findings(make(tmp_path, sounds), tmp_path), "a linear classifier of artefacts alone")
    assert finding.severity == check.WARNING
    assert float(re.search(r"reaches ([\d.]+) ± [\d.]+ % accuracy ", finding.what)[1]) > 95
    assert re.fullmatch(r"[\d.]+ % by the silence at the end alone", finding.names[0])
    assert "    the silence at the end: cut the silence at the clips' ends" in finding.remedy


def test_every_measure_has_its_words_and_a_remedy_that_several_share_is_given_once():
    assert set(check.WORDS) == set(check.EVEN) == set(check.ARTEFACTS)
    table = pd.DataFrame({"label": list("aabb"), "bandwidth": [8_000.0, 8_000.0, 3_000.5, 4_000.0]})
    lowest = "twice 3,500 Hz, the lowest median bandwidth of a class (b)"
    lowest = f"the bandwidth: SAMPLE_RATE=7001 in make features, {lowest}"
    assert check._advice(table, ["level", "bandwidth", "peak"]) == [
        "the level and the largest sample: NORM=clip in the training of a network",
        lowest,
    ]


def test_what_is_wrong_comes_with_what_to_do_and_the_next_command(tmp_path, capsys):
    path = make(tmp_path, CLEAN | {"1.wav": CLEAN["3.wav"], "0.wav": np.zeros(SECONDS * RATE)})
    (tmp_path / "4.wav").write_bytes(b"no sound")
    found = findings(path, tmp_path).values()
    assert {one.severity for one in found if one.remedy} == {check.LEAK, check.WARNING}
    assert all(one.remedy for one in found if one.severity != check.NOTE)
    assert check.run(SourceOptions(dataset=str(path), data=tmp_path / "data")) == 1
    shown = capsys.readouterr().out
    assert "what to do: remove one of each pair, or give both one group" in shown
    assert shown.splitlines()[-1].startswith(f"next: make features DATASET={path} ")


def test_the_classifier_is_fitted_without_a_leak(tmp_path):
    table = load(str(make(tmp_path, CLEAN)), tmp_path / "data").table
    measured = pd.DataFrame(np.random.default_rng(0).random((8, len(check.ARTEFACTS))))
    measured.columns = list(check.ARTEFACTS)
    scores = check.artefact_accuracies(pd.concat([table, measured], axis=1))
    assert scores.shape == (2,)  # one a fold


def test_copies_are_not_checked(tmp_path):
    dataset = load(str(make(tmp_path, CLEAN)), tmp_path / "data", copies=1, alter="gain")
    assert [finding.severity for finding in check.findings_in(dataset)] == [check.NOTE]


def test_what_is_really_there_in_the_real_clips(esc10, tmp_path, capsys):
    """No recording and no sound in two folds; two uploads of one fire; clips that are mostly padding."""
    dataset = load(str(esc10), tmp_path)
    fires = dataset.table[dataset.table["label"].isin(["crackling_fire", "dog"])]
    some = dataset.__class__(**{**vars(dataset), "table": fires.reset_index(drop=True)})
    found = {finding.what: finding for finding in check.findings_in(some)}
    assert not [finding for finding in found.values() if finding.severity == check.LEAK]
    (pair,) = only(found, "the same audio under two source recordings").names
    assert "2-28314-A-12 (fold 2) = 2-30322-A-12 (fold 2)" in pair
    assert "1-100032-A-0" in only(found, "mostly padded").names


# Near duplicates and measures by themselves


def test_silence_has_no_landmarks_and_equals_nothing():
    silence = np.zeros(RATE, np.float32)
    assert audio_fingerprint(silence, RATE).positions.size == 0
    assert (
        find_near_duplicates([NO_LANDMARKS, audio_fingerprint(silence, RATE)], lambda number: silence) == []
    )


def test_different_clips_are_not_near_duplicates():
    sounds = [noise(number).astype(np.float32) for number in range(30)]
    assert find_near_duplicates([audio_fingerprint(y, RATE) for y in sounds], sounds.__getitem__) == []


def test_a_clip_that_begins_at_once_is_not_known_by_that():
    sounds = [(0.9 + 0.01 * noise(number)).astype(np.float32) for number in range(5)]
    assert find_near_duplicates([audio_fingerprint(y, RATE) for y in sounds], sounds.__getitem__) == []


def test_the_shift_between_two_clips_is_found_to_the_sample():
    y = noise(1).astype(np.float32)
    later = np.concatenate([np.zeros(1_234, np.float32), -0.5 * y])[: len(y)]
    sounds = [y, later]
    (pair,) = find_near_duplicates([audio_fingerprint(one, RATE) for one in sounds], sounds.__getitem__)
    assert (pair.a, pair.b, pair.shift) == (0, 1, 1_234)
    assert pair.correlation == pytest.approx(-1, abs=1e-3)


def test_clips_that_share_one_landmark_are_not_the_same():
    a, b = noise(1).astype(np.float32), noise(2).astype(np.float32)
    b[:1_600] = a[-1_600:]
    assert correlate(a, b, 1_600 - len(a)) == 0


def test_forty_copies_of_a_clip_are_all_found_in_few_pairs():
    y = noise(1).astype(np.float32)
    pairs = find_near_duplicates([audio_fingerprint(y, RATE)] * 40, lambda number: y)
    assert {number for pair in pairs for number in (pair.a, pair.b)} == set(range(40))
    assert len(pairs) < 100


def test_measures_by_known_answers():
    time = np.arange(RATE) / RATE
    tone = (0.5 * np.sin(2 * np.pi * 1_000 * time)).astype(np.float32)
    padded = np.concatenate([np.zeros(RATE // 4), tone, np.zeros(RATE // 2)]).astype(np.float32)
    measured = check.measure_clip(padded, RATE, 1)
    assert measured.lead == pytest.approx(0.25, abs=0.001)
    assert measured.trail == pytest.approx(0.5, abs=0.001)
    assert measured.peak == pytest.approx(0.5, abs=0.001)
    assert measured.level == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.05)
    assert measured.clipped == 0
    assert measured.bandwidth == pytest.approx(1_000, abs=300)
    assert check.clipped_fraction(np.array([0, 1, 1, 1, 0, 1, 1, -1, -1, -1], np.float32)) == 0.6


def test_sounds_of_a_few_frames_get_the_words_to_type(tmp_path):
    words = {f"{number}.wav": np.concatenate([noise(number, 0.2), np.zeros(RATE)]) for number in range(8)}
    found = findings(make(tmp_path, words), tmp_path)
    assert "DURATION=0.2 " in only(found, "90% of 2 s is padding").what
    assert "FEATURES=mel@n_fft=1024,hop_length=256+mfcc" in only(found, "a frame of 2048 samples").what
