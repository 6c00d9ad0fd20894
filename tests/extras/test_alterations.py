"""Altered copies: the text decides the samples, every alteration does what its name
says.
"""

import re

import librosa
import numpy as np
import pandas as pd
import pytest
import soundfile

import featurestack as fs
from featurestack.base.options import fields
from featurestack.extras import alterations as alter
from featurestack.extras.alterations import apply_alteration
from featurestack.features_cache.clip_table import originals
from featurestack.pipeline.datasets.load import load, make_dataset
from featurestack.pipeline.options import AlterOptions, SourceOptions
from featurestack.results.splits import fold_split
from tests.golden.commands import command, done, inside
from tests.noise import write_clips
from tests.pipeline.datasets.folders import write
from tests.refusal import refused

RATE = 22_050


# two seconds
TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)).astype(np.float32)


def altered(y, text):
    return alter.apply_alteration(y, RATE, text)


def centroid(y):
    """Spectral centroid (Hz) without the clip's ends."""
    return float(np.median(librosa.feature.spectral_centroid(y=y, sr=RATE)[0, 10:-10]))


@pytest.mark.parametrize("kind", alter.ALTERATIONS)
def test_every_alteration_keeps_length_type_and_silence_and_repeats_its_bytes(kind):
    text = alter.draw_alteration("1-100-A-0", 1, [kind], seed=0)
    for y in (TONE, TONE[:1], np.zeros(RATE, np.float32)):
        changed = altered(y, text)
        assert (changed.shape, changed.dtype) == (y.shape, np.float32)
        assert np.isfinite(changed).all() and changed.any() <= y.any()
        assert changed.tobytes() == altered(y.copy(), text).tobytes()
    assert np.abs(altered(TONE, text) - TONE).max() > 0.001


def test_the_meaning_of_alter_names_every_alteration():
    meaning = fields(AlterOptions)["alter"].metadata["meaning"]
    known = re.split(r"[ ,]+", meaning)
    assert [name for name in alter.ALTERATIONS if name not in known] == []


def test_pitch_moves_a_tone_by_its_semitones():
    higher = altered(TONE, "pitch(semitones=2.0)")
    assert centroid(higher) == pytest.approx(440 * 2 ** (2 / 12), rel=0.02)


def test_stretch_keeps_the_pitch_and_moves_events_earlier():
    y = TONE.copy()
    y[: RATE // 2] = 0  # begins after half a second
    faster = altered(y, "stretch(rate=1.25)")
    begins = int(np.argmax(np.abs(faster) > 0.05)) / RATE
    assert begins == pytest.approx(0.5 / 1.25, abs=0.05)
    assert centroid(faster[RATE // 2 : RATE]) == pytest.approx(440, rel=0.02)


def test_noise_has_the_ratio_and_the_seed_that_its_text_says():
    noises = (altered(TONE, f"noise(snr_db=20.0,seed={seed})") for seed in (3, 4))
    added, other = (noisy - TONE for noisy in noises)
    assert 20 * np.log10(TONE.std() / added.std()) == pytest.approx(20, abs=0.2)
    assert np.abs(added - other).max() > 0.01


@pytest.mark.parametrize(
    ("loud", "db", "peak"), [(0.3, -6, 0.3 * 10**-0.3), (0.3, 12, 1), (2, 12, 2)]
)
def test_gain_changes_the_level_and_never_clips(loud, db, peak):
    """A float file may hold more than full scale already."""
    y = TONE * np.float32(loud / 0.3)
    assert altered(y, f"gain(db={db})").max() == pytest.approx(peak, rel=1e-3)


def test_low_pass_takes_away_what_is_above():
    high = np.sin(2 * np.pi * 6000 * np.arange(RATE) / RATE).astype(np.float32)
    low = altered(np.concatenate([high, TONE]), "lowpass(hertz=3000)")
    assert np.abs(low[1000 : RATE - 1000]).max() < 0.01
    assert np.abs(low[RATE + 1000 :]).max() == pytest.approx(0.3, rel=0.01)


def test_a_room_sounds_on_and_falls_by_its_time():
    y = TONE.copy()
    y[RATE:] = 0
    echoes = altered(y, "room(seconds=0.5,seed=1)")
    tenths = echoes[RATE : 2 * RATE].reshape(10, -1).std(axis=1)
    # 12 dB in a tenth of a second
    falls = 20 * np.log10(tenths[0] / tenths[3])
    assert falls == pytest.approx(36, abs=6)
    assert echoes[: RATE // 2].std() == pytest.approx(TONE.std(), rel=0.3)


def test_overload_clips_and_delay_moves():
    clipped = altered(TONE, "overload(db=12)")
    assert np.abs(clipped).max() == 1 and (np.abs(clipped) == 1).mean() > 0.7
    later = alter.altered(TONE, RATE, "delay(seconds=1)")
    assert not later[:RATE].any() and (later[RATE:] == TONE).all()
    assert (altered(TONE, "delay(seconds=1)") == later[: len(TONE)]).all()


@pytest.mark.parametrize("rate", [8000, 11_000, 16_000, 44_100, 96_000])
def test_an_mp3_of_any_rate_sounds_like_the_clip(rate):
    y = (0.3 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)).astype(np.float32)
    decoded = alter.altered(y, rate, "mp3(kbit=32)")
    heard = decoded[rate // 4 : rate // 4 * 3]
    assert heard.std() == pytest.approx(y.std(), rel=0.1)  # LAME takes 0.4 dB
    strongest = np.abs(np.fft.rfft(heard)).argmax() * rate / len(heard)
    assert strongest == pytest.approx(440, abs=3)
    assert np.abs(decoded[: len(y)] - y[: len(decoded)]).max() > 1e-4


def test_a_clip_takes_every_alteration_once_before_any_comes_twice():
    chosen = sorted(alter.ALTERATIONS)
    numbers = range(1, 2 * len(chosen) + 1)
    texts = [alter.draw_alteration("a", number, chosen, seed=0) for number in numbers]
    assert sorted(text.split("(")[0] for text in texts[: len(chosen)]) == chosen
    assert len(set(texts)) == len(texts)
    ids = [f"clip{number}" for number in range(80)]
    first = [alter.draw_alteration(clip, 1, chosen, seed=0) for clip in ids]
    # one copy of each clip is enough
    assert {text.split("(")[0] for text in first} == set(chosen)


@pytest.mark.parametrize("rate", [0.8, 1.25])
def test_the_phase_vocoder_is_that_of_librosa(rate):
    """The last frame is left out: librosa 0.11 has silence behind it."""
    spectrum = librosa.stft(TONE[: RATE // 4])
    ours = alter.phase_vocoder(spectrum, rate)[:, :-2]
    with np.errstate(invalid="ignore"):  # librosa 1.0 reads memory before it fills it
        theirs = librosa.phase_vocoder(spectrum, rate=rate)[:, :-2]
    assert np.abs(ours - theirs).max() < 1e-3 * np.abs(theirs).max()


@pytest.fixture
def asked(tmp_path):
    """Options that alter six clips of three recordings."""
    names = "a1", "b1", "a2", "b2", "a3", "b3"  # class and recording
    for name in names:
        write(tmp_path / f"{name}.wav", 0.3, 8_000)
    rows = [f"{name}.wav,{name[0]},{name[1]}" for name in names]
    table = tmp_path / "mine.csv"
    table.write_text("\n".join(["filename,label,group", *rows]))
    given = {"alter": "gain,noise", "copies": 2, "name": "altered"}
    return AlterOptions(dataset=str(table), data=tmp_path / "data", **given)


def test_copies_are_files_in_their_originals_group_and_fold(asked, capsys):
    assert make_dataset(asked) == 0
    printed = capsys.readouterr().out
    assert (
        "altered: 6 clips" in printed
        and "12 more clips, used only for training" in printed
    )
    file = asked.data / "altered" / "altered.csv"
    listed = pd.read_csv(file, keep_default_na=False, dtype=str)
    assert listed["train_only"].tolist() == [""] * 6 + ["1"] * 12
    dataset = load(AlterOptions(dataset=str(file), data=asked.data))
    clips = dataset.table.set_index("clip_id")
    for name, copy in zip(listed["alteration"][6:], clips.index[6:]):
        original = clips.loc[copy.partition("~")[0]]
        same = ["label", "fold", "group"]
        assert (clips.loc[copy, same] == original[same]).all()
        y, rate = soundfile.read(original["path"], dtype="float32")
        altered, _ = soundfile.read(clips.loc[copy, "path"], dtype="float32")
        assert np.array_equal(altered, apply_alteration(y, rate, name))
    for fold in (1, 2, 3):
        split = fold_split(dataset.table, fold)
        assert len(split.test) == 2 and len(split.train) == 12
        tested, trained = clips["group"][split.test], clips["group"][split.train]
        assert not {*tested} & {*trained}


def test_the_same_command_writes_the_same_bytes_and_replaces_no_file(asked):
    folder = asked.data / "altered"
    make_dataset(asked)
    before = {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
    make_dataset(asked)
    assert before == {path: path.read_bytes() for path in before}
    (folder / "audio" / "a1~1.wav").write_bytes(b"mine")
    with refused(r"a1~1.wav already exists with other content"):
        make_dataset(asked)
    assert (folder / "audio" / "a1~1.wav").read_bytes() == b"mine"


def test_an_unknown_parameter_gets_the_nearest():
    with refused("unknown parameter of pitch 'semitone'; did you mean 'semitones'"):
        fs.alter(fs.tone(440), "pitch(semitone=2)")


@pytest.fixture
def birds(tmp_path):
    write_clips(tmp_path / "birds", "ant", "bee", "cat")
    with inside(tmp_path):
        yield tmp_path


@pytest.mark.parametrize("group", ["_(.*)", "(.*)", "(.)$"])
def test_copies_stay_with_their_originals_for_every_group(birds, group):
    done("data DATASET=birds ALTER=gain COPIES=2")
    written = "data/birds-altered/birds-altered.csv"
    table = load(SourceOptions(dataset=written, group=group)).table
    original = table["path"].str.extract(r"(\w+?_\d)(?:~\d)?\.wav$")[0]
    original = original.str.replace(r"^\w{3}_(\w{3}_)", r"\1", regex=True)
    groups = table.groupby(original)["group"].nunique()
    assert len(groups) == 18 and (groups == 1).all()
    assert len(originals(table)) == 18 and len(table) == 54


def test_copies_of_ids_that_differ_in_a_slash_are_two_files(tmp_path):
    write_clips(tmp_path / "birds", "ant", "bee")
    for folder, name in (("ant", "big_0"), ("ant_big", "0"), ("bee", "big_0")):
        write_clips(tmp_path / "more" / name, folder, clips=1)
        (tmp_path / "birds" / folder).mkdir(exist_ok=True)
        made = tmp_path / "more" / name / folder / f"{folder}_0.wav"
        made.rename(tmp_path / "birds" / folder / f"{name}.wav")
    with inside(tmp_path):
        done("data DATASET=birds ALTER=gain")
        assert len([*tmp_path.glob("data/birds-altered/audio/*.wav")]) == 15


@pytest.mark.parametrize("name", ["folds", "events", "features", "audio", "synth"])
def test_reserved_names_are_refused_at_the_door(birds, name):
    answer = command(f"data DATASET=birds ALTER=gain NAME={name}")
    assert answer.status == 2
    assert "has another meaning: give NAME=, as in my-" in answer.err
    assert not (birds / "data" / name).exists()
