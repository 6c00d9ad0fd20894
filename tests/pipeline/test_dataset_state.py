"""Where a dataset stands, and the command that follows from it."""

from dataclasses import replace

from featurestack.checks.run import check_dataset as check
from featurestack.pipeline import extract
from featurestack.pipeline.datasets.load import load
from featurestack.pipeline.datasets.name_fields import NameField
from featurestack.pipeline.datasets.summary import (
    next_lines,
    state_of,
    summarise_dataset,
)
from featurestack.pipeline.options import SourceOptions
from tests.pipeline.datasets.folders import class_folders
from tests.pipeline.extraction import options


def proposal(options):
    dataset = load(options)
    return next_lines(state_of(options, dataset), dataset)


def test_a_dataset_is_sent_to_the_step_that_is_left(sounds, capsys):
    asked = options(sounds, runs=sounds.folder.parent / "runs")

    def proposed():
        return proposal(asked)

    # own sounds are checked first
    checked = f"next: make check DATASET={sounds.csv} "
    assert proposed().startswith(checked) and "\n" not in proposed()
    extract.extract_features(asked)
    assert "next: make check " in capsys.readouterr().out
    assert check(asked) == 0
    assert "\nnext: make train " in capsys.readouterr().out
    assert "FEATURES='rms zcr rms+zcr' MODEL=texturenet" in proposed()
    sounds.add()
    assert proposed().startswith("next: make check ")
    assert check(asked) == 0
    assert proposed().startswith("next: make features ")
    extract.extract_features(options(sounds, features="rms@hop_length=256"))
    assert "FEATURES='rms rms@hop_length=256 zcr'" in proposed()
    extract.extract_features(asked)
    assert proposed().startswith("next: make train ")
    clips = sorted(sounds.folder.glob("*.wav"))
    clips[1].write_bytes(clips[0].read_bytes())  # in another fold
    assert check(asked) == 1
    assert "mel mfcc" not in proposed()
    assert proposed().startswith("first: keep one of the equal clips")


def test_the_field_that_check_found_is_in_its_next_command(sounds):
    asked = options(sounds)
    dataset = load(asked)
    where, group = "field 1 of the names", "^([^_]+)"
    field = NameField(where, group, dataset.table["label"], "")
    found = replace(dataset, field=field)
    lines = next_lines(state_of(asked, found), found)
    assert "GROUP='^([^_]+)'" in lines


def test_a_dataset_of_one_fold_is_told_in_the_place_of_the_command(sounds, capsys):
    for row in sounds.rows:
        row["fold"] = 1
    sounds.write()
    asked = options(sounds)
    _, reason = proposal(asked).splitlines()
    assert reason.startswith("no training yet: one fold")
    assert extract.extract_features(asked) == 0
    assert capsys.readouterr().out.splitlines()[-1] == reason
    assert proposal(asked).splitlines()[-1] == reason


def test_faults_are_all_named_or_counted(tmp_path, capsys):
    folder = class_folders(tmp_path / "mine")
    options = SourceOptions(dataset=str(folder), data=tmp_path / "data")
    files = sorted(folder.rglob("*.wav"))
    for broken, left in ((11, 0), (12, 2)):
        for file in files[:broken]:
            file.write_bytes(b"no sound")
        assert summarise_dataset(options) == 1
        told = capsys.readouterr().out
        assert f"{broken} faults" in told
        assert told.count("not audio") == broken - left
        assert ("and 2 more" in told) == bool(left)
