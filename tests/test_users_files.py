"""No command replaces or removes a file of the user's, wherever its options lead it."""

import io
import shutil

import h5py
import numpy as np
import pytest
import soundfile

from featurestack.base.extras import WORDS
from featurestack.base.own_files import NO_DATA, OwnFiles
from featurestack.cli.words import every_options
from tests.cases import data
from tests.golden.commands import command, done
from tests.processes import at_once

# options that name a place to write, each with a place among the user's files; the
# other options of each command, and those of the commands of extras; and files of the
# user with names that a command needs: (options of the command, folder, names)
PLACES, GIVEN, OF_EXTRAS, NAMED = data(__file__).values()
GIVEN |= {
    word: {name: OF_EXTRAS[name] for name in OF_EXTRAS if name.lower() in options}
    for word, options in every_options().items()
    if word in WORDS
}
# `demo` runs `answer` on synthetic sounds, and `bench` only prints
WITHOUT_FILES = ("demo", "bench")
KEPT = ("mine", "data", "runs")
CASES = [
    (words, option)
    for option in PLACES
    for words, options in every_options().items()
    if option in options and words not in WITHOUT_FILES
]


def files_of(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def users_folder(tmp_path_factory):
    """A folder with the user's files in `mine`, their features and a run."""
    root = tmp_path_factory.mktemp("world")
    mine = root / "mine"
    tone = np.sin(2 * np.pi * np.arange(4000) / 20)
    for number, label in enumerate(("dog", "cat")):
        for clip in range(2):
            file = mine / "clips" / label / f"{clip}.wav"
            file.parent.mkdir(parents=True, exist_ok=True)
            level = (0.1 + 0.5 * number) * (1 + 0.05 * clip)
            soundfile.write(file, level * tone, 8000)
    rows = [f"clips/dog/{clip}.wav,dog\nclips/cat/{clip}.wav,cat" for clip in range(2)]
    (mine / "other.csv").write_text("\n".join(["filename,label", *rows]) + "\n")
    own = "clips.csv index.html tables/comparison.csv clips.png"
    own += " predictions.csv scores.csv importance/importance.json audio/1.txt"
    for name in own.split():
        for folder in (mine, mine / "clips"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(f"my own {name}\n")
    with pytest.MonkeyPatch.context() as there:
        there.chdir(root)
        done("features", **GIVEN["features"])
        done("train", **GIVEN["train"])
    for name in KEPT:
        shutil.copytree(root / name, root / "kept" / name)
    return root


@pytest.fixture(autouse=True)
def restored_folder(users_folder, monkeypatch):
    """The world as it was before the commands of other tests."""
    monkeypatch.chdir(users_folder)
    for name in KEPT:
        shutil.rmtree(users_folder / name)
        shutil.copytree(users_folder / "kept" / name, users_folder / name)


@pytest.mark.parametrize(
    ("words", "option", "given"),
    [(words, option, GIVEN[words]) for words, option in CASES],
)
def test_no_file_of_the_user_changes(
    users_folder, monkeypatch, request, words, option, given
):
    before = files_of(users_folder / "mine")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"y\n")))
    if option != "reports":
        request.getfixturevalue("without_figures")
    answer = command(words, **{option.upper(): PLACES[option]} | given)
    assert answer.status in (0, 1, 2), answer.err
    after = files_of(users_folder / "mine")
    assert {file: after.get(file) for file in before} == before, answer


def place(file):
    """A file of the user's, of another layout than ours."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".h5":
        with h5py.File(file, "w") as opened:
            opened["spectra"] = np.arange(4)
    else:
        file.write_text(f"my own {file.name}\n")


@pytest.mark.parametrize(
    ("words", "name"), [(words, name) for words in NAMED for name in NAMED[words][2]]
)
def test_a_name_that_we_use_makes_no_file_ours(users_folder, words, name):
    given, folder, _ = NAMED[words]
    file = users_folder / "mine" / "clips" / folder / name
    place(file)
    before = file.read_bytes()
    answer = command(words, **given)
    assert file.read_bytes() == before
    refused = answer.status == 2 and file.name in answer.err
    assert refused or answer.status in (0, 1), answer


def test_a_run_is_removed_without_the_users_files_in_it(users_folder):
    run = users_folder / "runs" / "clips" / "rms-linear"
    mine = ["notes.txt", ".hidden", "features.csv", "scores-mine.csv", "deep/er/x.txt"]
    mine += ["trackers/my/plot.txt", "fold1/mine.csv", "fold1/.keep", ".git/config"]
    mine += ["fold1/predictions-old.csv", "fold9/history.csv", "fold9/.lock"]
    for name in mine:
        place(run / name)
    disk = users_folder / "disk"
    (run / "fold2").rename(disk)
    (run / "fold2").symlink_to(disk)
    of_disk = files_of(disk)
    answer = done("remove", **GIVEN["remove"], YES=1)
    assert {str(file.relative_to(run)) for file in files_of(run)} == {*mine}
    assert all(
        f"{run.relative_to(users_folder) / name} stays" in answer.out for name in mine
    )
    assert files_of(disk) == of_disk and (run / "fold2").is_symlink()
    place(users_folder / "runs" / "clips" / "work" / ".env")
    (users_folder / "runs" / "clips" / "work" / "run.json").write_text("{}")
    assert "or remove its folder" in done("remove", status=2, RUN="work", YES=1).err
    assert len(files_of(users_folder / "runs" / "clips" / "work")) == 2


def test_commands_at_once_leave_no_strangers(users_folder):
    """Two real processes write one report, two the tables of one folder, and two train
    one run.
    """
    report = ["analysis", "DATASET=mine/clips"]
    predict = ["predict", "RUN=runs/clips/rms-linear", "AUDIO=mine/clips"]
    given = GIVEN["train"] | {"TAG": "twice"}
    train = ["train", *(f"{name}={text}" for name, text in given.items())]
    for pair in (
        (report, report),
        ([*predict, "OUT=a.csv"], [*predict, "OUT=b.csv"]),
        (train, train),
    ):
        for _ in range(2):
            for process in at_once(*((users_folder, words) for words in pair)):
                assert process.returncode == 0, process.stderr
                assert "kept" not in process.stderr
    (trained,) = (users_folder / "runs" / "clips").glob("*twice*")
    report_folder = users_folder / "reports" / "clips"
    for own in (OwnFiles(report_folder, NO_DATA), OwnFiles(trained)):
        assert own.hashes and all(map(own.is_own, own.hashes))
