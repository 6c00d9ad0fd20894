"""Runs, reports and weights are known by the sounds they were made of, not by names."""

import re
import shutil
from pathlib import Path

import pytest

from tests.golden.commands import command, done, inside
from tests.noise import write_clips

LINEAR = "FEATURES=mel MODEL=linear"


@pytest.fixture(scope="module")
def two_sites(tmp_path_factory):
    """Two folders of one name, and a run of the first."""
    folder = tmp_path_factory.mktemp("places")
    write_clips(folder / "siteA/audio", "ant", "bee", "cat", tone=0.3)
    write_clips(folder / "siteB/audio", "ant", "bee", "cat", tone=0.3)
    with inside(folder):
        done("features DATASET=siteA/audio FEATURES='mel rms' JOBS=1")
        done(f"train DATASET=siteA/audio {LINEAR}")
    return folder


# ---- where there is no cache to ask


@pytest.fixture
def without_cache(two_sites, tmp_path, monkeypatch):
    """The two sites and the run in a folder of one's own, without a cache."""
    shutil.copytree(two_sites / "runs", tmp_path / "runs")
    for site in ("siteA", "siteB"):
        (tmp_path / site).symlink_to(two_sites / site)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        "analysis",
        "runs",
        "remove RUN=last YES=1",
        "remove RUN=mel-linear YES=1",
        "remove RUN=runs/audio/mel-linear YES=1",
        "remove OLD=1 YES=1",
        "bundle RUN=mel-lin",
        "predict RUN=last AUDIO=siteB/audio",
        "stress RUN=last",
        "export RUN=last",
    ],
)
def test_runs_of_another_place_of_the_name_are_left_out(without_cache, words):
    answer = command(f"{words} DATASET=./siteB/../siteB/audio/")
    lists = words == "runs" or "OLD=1" in words
    assert answer.status == (0 if lists else 2), answer
    assert re.search(
        "another( dataset's of this name|.dataset), .*siteA/audio", answer.err
    )
    assert "mel-linear" not in answer.out
    assert (without_cache / "runs/audio/mel-linear/run.json").exists()


@pytest.mark.parametrize("words", ["analysis", "runs", "bundle RUN=last"])
def test_runs_are_found_by_the_place_and_by_equal_content(
    without_cache, two_sites, words
):
    shutil.copytree(two_sites / "siteA", "copied")
    for dataset in ("siteA/audio", "copied/audio", "audio"):
        answer = done(f"{words} DATASET={dataset}")
        assert "left out" not in answer.err and "mel-linear" in answer.out
    grown = without_cache / "copied/audio/ant/ant_0.wav"
    grown.write_bytes(grown.read_bytes()[:-2] + b"ab")
    assert "mel-linear" not in command(f"{words} DATASET=copied/audio").out


def test_two_places_of_a_name_lie_beside_each_other(without_cache):
    done("analysis DATASET=siteA/audio")
    page = without_cache / "reports/audio/index.html"
    before = page.read_bytes()
    done("features DATASET=siteB/audio FEATURES='mel rms' JOBS=1")
    done(f"train DATASET=siteB/audio {LINEAR}")
    done("importance DATASET=siteB/audio FEATURES='mel rms'")
    done("analysis DATASET=siteB/audio")
    assert page.read_bytes() == before
    (other,) = without_cache.glob("reports/audio-*/index.html")
    assert "Importance" in other.read_text()
    every = done("analysis").out
    assert every.count("report: ") == 2 and str(other.parent.name) in every
    (beside,) = without_cache.glob("runs/audio/mel-linear-*")
    listed = done("runs DATASET=siteB/audio").out
    assert beside.name in listed and "mel-linear " not in listed
    assert done("remove DATASET=siteB/audio OLD=1 YES=1").out.startswith("no run")
    done("remove DATASET=siteB/audio RUN=last YES=1")
    assert [*without_cache.glob("runs/audio/mel*")] == [
        without_cache / "runs/audio/mel-linear"
    ]


def test_answers_of_two_places_lie_beside_each_other(without_cache):
    pages = {}
    for place in ("siteB", "siteA", "siteB"):
        told = done(f"answer DATASET={place}/audio FEATURES='mel rms' JOBS=1").out
        page = re.search("report: (.*)", told)[1]
        assert pages.setdefault(place, page) == page
        shutil.rmtree("data")
    assert len({*pages.values()}) == 2
    assert len([*Path("runs/audio").glob("answer*/run.json")]) == 2


def test_a_report_proposes_a_run_that_is_there(without_cache):
    for words in ("DATASET=siteA/audio", f"DATASET=audio RUNS={without_cache}/runs"):
        (run,) = re.findall(
            "predict AUDIO=FILE RUN=(.*)", done(f"analysis {words}").out
        )
        assert Path(run, "run.json").exists()
    shutil.copytree("runs/audio/mel-linear", "elsewhere/runs/other/mel-linear")
    told = done("analysis RUNS=elsewhere/runs REPORTS=elsewhere/reports").out
    assert "RUN=elsewhere/runs/other/mel-linear" in told


@pytest.mark.parametrize("away", ["", "birds"])
def test_two_data_with_one_runs_never_take_each_others_runs(tmp_path, away):
    for place in ("w1", "w2"):
        write_clips(tmp_path / place / "birds", "ant", "bee")
        with inside(tmp_path / place):
            done("features DATASET=birds FEATURES=mel JOBS=1")
            done(f"train DATASET=birds {LINEAR} RUNS=../runs")
    if away:
        shutil.move(tmp_path / "w2" / away, tmp_path / "away")
    first, second = sorted(tmp_path.glob("runs/birds/mel*"))
    with inside(tmp_path / "w1"):
        words = "DATASET=birds RUNS=../runs"
        assert "of birds" in done(f"predict {words} RUN=last AUDIO=birds").err
        assert second.name not in done(f"runs {words}").out
        assert done(f"remove {words} OLD=1 YES=1").out.startswith("no run")
        done(f"remove {words} RUN=last YES=1")
    assert (first.exists(), second.exists()) == (False, True)


@pytest.fixture
def two_cards(tmp_path, monkeypatch):
    """A mount point, and a command that puts another card there."""
    for card in ("A", "B"):
        write_clips(tmp_path / f"card{card}/audio", "ant", "bee", clips=4)
    (tmp_path / "mnt").mkdir()
    monkeypatch.chdir(tmp_path)

    def mount(card):
        shutil.rmtree("mnt")
        shutil.copytree(f"card{card}", "mnt")

    mount("A")
    done("features DATASET=mnt/audio FEATURES=mel JOBS=1")
    done(f"train DATASET=mnt/audio {LINEAR}")
    return mount


@pytest.mark.parametrize("place", ["cardB/audio", "mnt/audio", "link"])
def test_predictions_of_other_recordings_of_a_name_lie_beside(two_cards, place):
    words = "THRESHOLD=0.1 CHECK=4 NEXT=3 RUN=last"
    done(f"predict {words} AUDIO=mnt/audio")
    report = Path("reports/audio/audio")
    names = "detections.csv", "next.csv", "check/check.csv"
    before = {name: (report / name).read_bytes() for name in names}
    two_cards("B")
    Path("link").symlink_to("cardB/audio")
    done(f"predict {words} AUDIO={place}")
    done(f"predict {words} AUDIO={place}")
    assert {name: (report / name).read_bytes() for name in names} == before
    if place == "link":
        assert Path("reports/audio/link/next.csv").exists()
    else:
        (beside,) = Path("reports/audio").glob("audio-*")
        assert all((beside / name).exists() for name in names)
    two_cards("A")
    before = {*Path("reports").rglob("*")}
    done(f"predict {words} AUDIO=mnt/audio")
    assert {*Path("reports").rglob("*")} == before
    refusal = command(f"predict {words} AUDIO=cardB/audio OUT={report}")
    assert refusal.status == 2 and "mnt/audio: give another OUT=" in refusal.err


@pytest.mark.parametrize("kept", ["as it is", "moved away", "without the sounds"])
def test_a_corrected_table_of_another_site_is_not_taken(two_cards, kept):
    done("predict THRESHOLD=0.1 HOP=0.5 RUN=last AUDIO=cardA/audio")
    tables = Path("reports/audio/audio/raven")
    for table in tables.rglob("*.txt"):
        table.write_text(table.read_text().replace("\tant\t", "\tANT\t") + "\n")
    if kept == "moved away":
        tables = tables.rename("mine")
    sounds = Path("cardA/audio")
    if kept == "without the sounds":
        sounds = Path("cardA").rename("taken") / "audio"
    refusal = command(f"windows AUDIO=cardB/audio TABLES={tables} NAME=other")
    assert refusal.status == 2 and "another recording of this name" in refusal.err
    done(f"windows AUDIO={sounds} TABLES={tables} NAME=own")
    assert "ANT" in Path("data/own/own.csv").read_text()


def test_two_cards_at_one_mount_point_share_no_run(two_cards):
    shutil.rmtree("data")
    two_cards("B")
    for words in ("bundle RUN=last", "analysis", "remove RUN=last YES=1"):
        answer = command(f"{words} DATASET=mnt/audio")
        assert answer.status == 2 and "mel-linear" not in answer.out, words


# ---- what a model was trained on


def test_new_and_trained_on_are_asked_of_the_content(tmp_path):
    for place in ("p1", "p2"):
        write_clips(tmp_path / place / "birds", "ant", "bee", clips=4)
        with inside(tmp_path / place):
            done("features DATASET=birds FEATURES=mel JOBS=1")
    with inside(tmp_path / "p1"):
        done(f"train DATASET=birds {LINEAR}")
        done("bundle RUN=last OUT=../x.pt")
    shutil.copy(tmp_path / "p1/birds/ant/ant_0.wav", tmp_path / "p2/renamed.wav")
    with inside(tmp_path / "p2"):
        for run in ("../x.pt", "../p1/runs/birds/mel-linear"):
            words = f"predict RUN={run} THRESHOLD=.1 CHECK=4"
            told = done(f"{words} AUDIO=birds").err
            (facts,) = Path("reports/birds/birds/check").glob("*.md")
            for text in (told, facts.read_text()):
                assert "was trained on" not in text and "has changed" not in text
            told = done(f"{words} AUDIO=renamed.wav").err
            assert "was trained on 1 of 1 file (renamed.wav)" in told
            assert "trained on 8 of 8 files" in done(f"{words} AUDIO=../p1/birds").err
            shutil.rmtree("reports")


WEIGHTS = "WEIGHTS=runs/noise/mel-cnn4-{}/fold1/last.pt"


CNN4 = "FEATURES=mel MODEL=cnn4 EPOCHS=1 GRID=64x108 AUGMENT=none"


@pytest.fixture(scope="module")
def fold_weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    write_clips(folder / "noise", "ant", "bee", clips=6)
    write_clips(folder / "other", "ant", "bee", clips=6)
    shutil.copytree(folder / "noise", folder / "copied")
    for number, file in enumerate(sorted((folder / "copied").rglob("*.wav"))):
        file.rename(file.with_name(f"x{number}.wav"))
    with inside(folder):
        done("features DATASET=noise FEATURES=mel JOBS=1 DURATION=0.5")
        done(f"train DATASET=noise {CNN4} FOLDS=1")
        (run,) = Path("runs/noise").glob("mel-cnn4*")
    return folder, run / "fold1/last.pt"


@pytest.mark.parametrize(
    ("words", "folds", "refused"),
    [
        ("DATASET=noise", "2", True),
        ("DATASET=noise", "1", False),
        ("DATASET=noise NAME=again SEED=5", "1 2 3 4 5", True),
        ("DATASET=noise NAME=labelled LABEL=_(.)", "2", True),
        ("DATASET=copied", "1 2 3", True),
        ("DATASET=other", "1 2", False),
    ],
)
def test_weights_are_known_by_the_sounds_that_they_saw(
    fold_weights, words, folds, refused
):
    folder, weights = fold_weights
    with inside(folder):
        done(f"features {words} FEATURES=mel JOBS=1 DURATION=0.5")
        named = re.sub(" (SEED|LABEL)=[^ ]*", "", words)
        answer = command(f"train {named} {CNN4} FOLDS='{folds}' WEIGHTS={weights}")
    assert answer.status == (2 if refused else 0), answer
    assert ("sounds that fold" in answer.err) == refused
