"""A dataset is its source: no name leads to the clips or runs of another place."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

import featurestack as fs
from featurestack.base import extras
from featurestack.cli.parser import parse
from featurestack.cli.words import every_options, options_of
from tests.cases import data
from tests.golden.commands import command, done, inside
from tests.noise import write_clips
from tests.refusal import refused

LINEAR = "FEATURES=mel MODEL=linear"
# every command that takes DATASET= of what is there already
COMMANDS = data(__file__)["COMMANDS"]
COMMANDS |= {word: "" for word in extras.WORDS if "dataset" in every_options()[word]}


def same_times(folder):
    for file in folder.rglob("*.wav"):
        os.utime(file, ns=(0, 1_680_000_000 * 10**9))


@pytest.fixture(scope="module")
def two_cards(tmp_path_factory):
    """Other sounds of equal names, sizes and times; the first, with a cache and a run,
    were moved away.
    """
    folder = tmp_path_factory.mktemp("cards")
    for card in ("cardA", "cardB"):
        write_clips(folder / card / "audio", "ant", "bee", "cat")
        same_times(folder / card)
    with inside(folder):
        done("features DATASET=cardA/audio FEATURES='mel rms' JOBS=1")
        done(f"train DATASET=cardA/audio {LINEAR}")
        shutil.move("cardA", "archive")
    return folder


@pytest.mark.parametrize("word", COMMANDS)
def test_another_place_of_the_same_name_is_refused(two_cards, word):
    """Equal names, sizes and times are no proof."""
    with inside(two_cards):
        answer = command(f"{word} DATASET=cardB/audio {COMMANDS[word]}")
    assert answer.status == 2 and "cardB/audio has other sounds" in answer.err, answer
    assert "cardA/audio, and " in answer.err
    assert "another name, NAME=audio2" in answer.err
    assert (two_cards / "runs/audio/mel-linear/run.json").exists()


def test_a_function_refuses_another_place_of_the_same_name(two_cards):
    refusal = refused('cardA/audio, and .*cardB/audio has .* name="audio2"')
    with inside(two_cards), refusal:
        fs.cache("cardB/audio")


def test_a_folder_called_as_a_published_dataset_is_not_that_dataset(tmp_path):
    write_clips(tmp_path / "mine/esc10", "ant", "bee")
    with inside(tmp_path):
        done("features DATASET=mine/esc10 FEATURES=rms JOBS=1")
        refusal = command("show DATASET=esc10")
    assert refusal.status == 2 and "mine/esc10, and esc10 has" in refusal.err


@pytest.fixture(scope="module")
def dotted_names(tmp_path_factory):
    """birds and birds.v2, whose sounds are away, each with a cache and a run."""
    folder = tmp_path_factory.mktemp("dotted")
    write_clips(folder / "birds", "ant", "bee")
    write_clips(folder / "birds.v2", "cow", "dog")
    with inside(folder):
        for name in ("birds", "birds.v2"):
            done(f"features DATASET={name} FEATURES='mel rms' JOBS=1")
            done(f"train DATASET={name} {LINEAR}")
        shutil.move("birds.v2", "away")
    return folder


@pytest.mark.parametrize("word", [*COMMANDS, "remove"])
@pytest.mark.parametrize("name", ["birds.csv", "x/birds", "birds.v3"])
def test_a_path_that_is_away_is_no_other_name(dotted_names, word, name):
    with inside(dotted_names):
        answer = command(f"{word} DATASET={name} {COMMANDS[word]}")
        assert answer.status == (0 if word == "runs" and "/" not in name else 2), answer
        assert len([*dotted_names.glob("runs/*/mel-linear/run.json")]) == 2


def test_a_name_with_a_dot_is_looked_up_whole(dotted_names):
    with inside(dotted_names):
        trained = done(f"train DATASET=birds.v2 {LINEAR}")
        assert "1 of 1 run is already finished" in trained.err
        assert "data/birds.v2/features" in repr(fs.cache("birds.v2"))
        refusal = command("features DATASET=birds.v2 FEATURES=zcr")
        assert "give its present folder as DATASET=" in refusal.err
        assert "runs/birds.v2/mel-linear" in done("runs DATASET=birds.v2").out


def test_remove_and_predict_honour_name(tmp_path):
    write_clips(tmp_path / "birds", "ant", "bee", tone=0.3)
    with inside(tmp_path):
        for more in ("", " NAME=each DURATION=0.5"):
            done(f"features DATASET=birds FEATURES=mel JOBS=1{more}")
            done(f"train DATASET=birds {LINEAR}{more.partition(' D')[0]}")
        words = "DATASET=birds NAME=each RUN=mel-linear"
        assert "of each" in done(f"predict {words} AUDIO=birds/ant/ant_0.wav").err
        assert "runs/each/mel-linear" in done("runs DATASET=birds NAME=each").out
        done(f"bundle {words} OUT=each.pt")
        heard = done("predict RUN=each.pt AUDIO=birds/ant/ant_0.wav")
        assert heard.out == done(f"predict {words} AUDIO=birds/ant/ant_0.wav").out
        done(f"remove {words} YES=1")
    assert [*tmp_path.glob("runs/*/*/run.json")] == [
        tmp_path / "runs/birds/mel-linear/run.json"
    ]


@pytest.fixture(scope="module")
def remembering(tmp_path_factory):
    """A table of clips whose cache remembers AUDIO_DIR=, GROUP= and LABEL=."""
    folder = tmp_path_factory.mktemp("remembering")
    write_clips(folder / "sounds", "ant", "bee")
    names = [
        f"{path.relative_to(folder / 'sounds')},{'ab'[number % 2]},{number % 3}"
        for number, path in enumerate(sorted(folder.glob("sounds/*/*.wav")))
    ]
    table = ["filename,kind,take", *names]
    (folder / "clips.csv").write_text("\n".join(table))
    with inside(folder):
        words = " ".join(f"{name}={value}" for name, value in SAME.items())
        done(f"features DATASET=clips.csv FEATURES=mel JOBS=1 {words}")
    return folder


SAME = {"AUDIO_DIR": "sounds", "GROUP": "take", "LABEL": "kind"}
OTHER = {"AUDIO_DIR": ".", "GROUP": "_(.)", "LABEL": "take"}
OPTIONS = every_options()


def parsed(word, *words):
    needed = ["FEATURES=mel", "DATASET=clips.csv", "AUDIO=a.wav", "TABLES=b"]
    given = [w for w in needed if w.partition("=")[0].lower() in OPTIONS[word]]
    return parse(options_of(word), [*given, *words])


@pytest.mark.parametrize("word", OPTIONS)
@pytest.mark.parametrize("name", SAME)
def test_what_a_dataset_remembers_is_equal_or_refused(remembering, word, name):
    with inside(remembering):
        if "dataset" not in OPTIONS[word] and name.lower() not in OPTIONS[word]:
            with refused(f"unknown variable '{name}'"):
                parsed(word, f"{name}={SAME[name]}")
            return
        parsed(word, f"{name}={SAME[name]}")
        if name.lower() in OPTIONS[word]:
            parsed(word, f"{name}={OTHER[name]}")
            return
        for value in (OTHER[name], ""):
            with refused(
                f"{name}= belongs to features: run .* DATASET=clips.csv {name}="
            ):
                parsed(word, f"{name}={value}")


@pytest.mark.parametrize(
    "word", [word for word in OPTIONS if "dataset" not in OPTIONS[word]]
)
@pytest.mark.parametrize("name", ["DATASET", "NAME"])
def test_a_command_without_a_dataset_refuses_one(word, name):
    if name.lower() not in OPTIONS[word]:
        with refused(f"unknown variable '{name}'"):
            parsed(word, f"{name}=birds")


@pytest.mark.parametrize("keyword", SAME)
def test_a_function_compares_what_the_dataset_remembers(remembering, keyword):
    with inside(remembering):
        fs.report("clips.csv", quiet=True, **{keyword.lower(): SAME[keyword]})
        with refused(f"^{keyword.lower()}= belongs to features"):
            fs.report("clips.csv", quiet=True, **{keyword.lower(): OTHER[keyword]})


def test_options_of_a_dataset_need_its_name(remembering):
    with inside(remembering):
        refusal = command("analysis GROUP=take")
    assert refusal.status == 2 and "give DATASET= too" in refusal.err


def test_a_cache_keeps_its_groups(remembering):
    with inside(remembering):
        words = "features DATASET=data/clips/features FEATURES=mel"
        done(f"{words} GROUP=take")
        refusal = command(f"{words} GROUP='_(.)'")
    assert refusal.status == 2 and "DATASET=clips.csv GROUP='_(.)'" in refusal.err


def test_equal_names_sizes_and_times_at_the_same_place_are_no_proof(tmp_path):
    with inside(tmp_path):
        for card in ("cardA", "cardB"):
            write_clips(tmp_path / card / "audio", "ant", "bee", "cat")
            same_times(tmp_path / card)
        shutil.move("cardA", "mount")
        done("features DATASET=mount/audio FEATURES=mel JOBS=1")
        shutil.rmtree("mount")
        shutil.move("cardB", "mount")
        assert "18 clips changed" in done(f"train DATASET=mount/audio {LINEAR}").err
        assert (
            "18 changed clips" in done("features DATASET=mount/audio FEATURES=mel").out
        )
        assert "changed" not in done(f"train DATASET=mount/audio {LINEAR}").err


@pytest.fixture(scope="module", params=["", "/t.csv"])
def project(tmp_path_factory, request):
    """A project whose sounds, class folders or a table, have a cache and a run."""
    folder = tmp_path_factory.mktemp("of") / "project"
    write_clips(folder / "birds", "ant", "bee")
    clips = [
        f"{name}/{name}_{n}.wav,{name}" for name in ("ant", "bee") for n in (0, 1, 2)
    ]
    (folder / "t.csv").write_text("\n".join(["filename,label", *clips]))
    where = "DATASET=birds"
    if request.param:
        shutil.move(folder / "t.csv", folder / "birds")
        where = "DATASET=birds/t.csv NAME=birds"
    with inside(folder):
        done(f"features {where} FEATURES='mel rms' JOBS=1")
        done(f"train {where} {LINEAR}")
    return folder, where


@contextmanager
def moved_project(folder, where, there):
    folder.rename(there / "moved")
    yield there / "moved", where
    (there / "moved").rename(folder)


@contextmanager
def copied_sounds(folder, where, there):
    shutil.copytree(folder / "birds", there / "birds")
    yield folder, where.replace("=birds", f"={there}/birds", 1)


@contextmanager
def linked_sounds(folder, where, there):
    (there / "birds").symlink_to(folder / "birds")
    yield folder, where.replace("=birds", f"={there}/birds", 1)


@pytest.mark.parametrize("at", [moved_project, copied_sounds, linked_sounds])
def test_equal_content_at_another_place_is_used(project, tmp_path, at):
    with at(*project, tmp_path) as (folder, where), inside(folder):
        for word, (words, told) in data(__file__)["USED"].items():
            answer = done(f"{word} {where} {words}")
            assert told in f"{answer.out}{answer.err}", (word, answer)


def test_a_copied_cache_is_the_one_of_its_folder(project):
    folder, _ = project
    with inside(folder):
        shutil.copytree("data/birds", "data/birds2")
        done("features DATASET=birds2 FEATURES=zcr")
        assert [path.parts[1] for path in Path("data").rglob("zcr.h5")] == ["birds2"]
        done("train DATASET=birds2 FEATURES=zcr MODEL=linear")


@pytest.mark.parametrize(
    ("first", "word"),
    [("data", word) for word in ("data", "check", "features", "answer")]
    + [("check", "data"), ("features", "data")],
)
def test_folds_of_another_place_are_neither_read_nor_replaced(tmp_path, first, word):
    write_clips(tmp_path / "x/birds", "ant", "bee")
    write_clips(tmp_path / "y/birds", "cow", "dog")
    with inside(tmp_path):
        done(f"{first} DATASET=x/birds {COMMANDS[first]}")
        kept = Path("data/birds/folds.csv").read_text()
        refusal = command(f"{word} DATASET=y/birds {COMMANDS[word]}")
        assert refusal.status == 2 and "y/birds has other sounds" in refusal.err
        assert "another name, NAME=birds2" in refusal.err
        assert Path("data/birds/folds.csv").read_text() == kept
        shutil.move("x", "moved")
        if word != "answer":
            done(f"{word} DATASET=moved/birds {COMMANDS[word]}")
        assert Path("data/birds/folds.csv").read_text() == kept


def twins(folder, twin):
    """Six clips of noise, each with a twin in its class."""
    write_clips(folder / "birds", "ant", "bee", clips=3)
    for file in sorted(folder.glob("birds/*/*.wav")):
        twin(file, file.with_name(f"again_{file.name}"))


# the copy has another time, or the same one
@pytest.mark.parametrize("twin", [shutil.copy, shutil.copy2])
def test_equal_contents_in_two_folds_are_named(tmp_path, twin):
    twins(tmp_path, twin)
    with inside(tmp_path):
        said = "have the content of a clip in another fold"
        assert said in done("features DATASET=birds FEATURES=mel JOBS=1").out
        assert said in done(f"train DATASET=birds {LINEAR}").err
        grouped = "DATASET=birds NAME=grouped FEATURES=mel"
        group = "GROUP='([a-z]+_.)$' JOBS=1"
        assert said not in done(f"features {grouped} {group}").out
        assert said not in done(f"train {grouped} MODEL=linear").err


@pytest.mark.parametrize("twin", [os.link, os.symlink])
@pytest.mark.parametrize("word", ["features", "data", "check"])
def test_one_file_of_two_names_is_refused(tmp_path, twin, word):
    twins(tmp_path, twin)
    with inside(tmp_path):
        refusal = command(f"{word} DATASET=birds")
    assert refusal.status == 2 and "are one clip" in refusal.err, refusal
