"""Which clips are one, which belong together, and what a dataset's folder remembers."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from featurestack.base.table_files import read_table
from featurestack.features_cache.index_file import read_rows
from featurestack.features_cache.source_changes import has_other_folds
from featurestack.pipeline.datasets.load import load
from featurestack.pipeline.options import SourceOptions
from featurestack.results.run_folder import RunFolder
from tests.golden.commands import done, inside
from tests.noise import write_clips
from tests.processes import forked, no_override
from tests.refusal import refused

MEL = "DATASET=birds FEATURES=mel MODEL=linear"


@pytest.fixture
def birds(tmp_path):
    write_clips(tmp_path / "birds", "ant", "bee", "cat")
    with inside(tmp_path):
        yield tmp_path


def table_of(dataset="birds", **options):
    return load(SourceOptions(dataset=dataset, **options)).table


def write_table(row, *more, name="t.csv"):
    """A table with the row of each sound, row(number, file), and more rows; the
    sounds.
    """
    files = sorted(Path("birds").glob("*/*.wav"))
    rows = [row(number, file) for number, file in enumerate(files)]
    header = "filename,label,group,train_only"
    Path(name).write_text("\n".join([header, *rows, *more]))
    return files


def of_itself(number, file, train_only=""):
    return f"{file},{file.parent.name},{file.stem},{train_only}"


def test_a_copy_has_the_new_group_of_its_original_or_is_refused(birds):
    files = write_table(of_itself, "birds/../birds/extra.wav,ant,elsewhere,1")
    shutil.copy(files[0], "birds/extra.wav")
    assert len(table_of("t.csv")) == 19
    with refused("extra is marked train_only, and its group 'elsewhere' has 0 new"):
        table_of("t.csv", group="_(.*)")
    Path("birds/extra.wav").rename("birds/copy_of_9.wav")
    write_table(of_itself, f"birds/copy_of_9.wav,ant,{files[0].stem},1")
    groups = table_of("t.csv", group="_(.*)").set_index("clip_id")["group"]
    assert groups["copy_of_9"] == groups[files[0].stem] == "0"
    write_table(lambda number, file: of_itself(number, file, "1"))
    with refused("every clip is marked train_only, so none can be tested"):
        table_of("t.csv")


def test_one_part_of_a_file_is_one_clip_however_it_is_spelt(birds):
    write_table(of_itself, "birds/../birds/ant/ant_0.wav,bee,,")
    with refused("rows 1 and 19 are one clip: .*birds/ant/ant_0.wav and birds/"):
        table_of("t.csv")


def test_a_cache_remembers_the_folder_of_its_audio(birds):
    write_table(lambda _, file: f"{file.relative_to('birds')},{file.parent.name},,")
    done("features DATASET=t.csv AUDIO_DIR=birds FEATURES=rms JOBS=1")
    assert all(path.startswith(f"{birds}/birds/") for path in table_of("t.csv")["path"])


def test_a_remembered_label_or_group_is_said_and_taken_back(birds):
    done("features DATASET=birds FEATURES=rms JOBS=1 LABEL='_(.)' GROUP='^(.{5})'")
    said = done("data DATASET=birds").out
    assert "LABEL=_(.) as last given; LABEL= removes it" in said
    assert "GROUP=^(.{5}) as last given; GROUP= removes it" in said
    assert "6 classes" in said
    said = done("data DATASET=birds LABEL= GROUP=").out
    assert "as before" not in said and "3 classes" in said
    assert "as before" not in done("data DATASET=birds").out


def test_an_edited_folds_csv_is_kept_or_refused_with_the_reason(birds):
    table_of()
    file = birds / "data/birds/folds.csv"
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    table["fold"] = [str(row % 9 + 1) for row in range(len(table))]
    table.to_csv(file, index=False)
    assert sorted(table_of()["fold"].unique()) == [*range(1, 10)]
    assert pd.read_csv(file, dtype=str, keep_default_na=False).equals(table)
    table.assign(group=["both"] * 2 + [*table["group"][2:]]).to_csv(file, index=False)
    with refused("the group 'both' is in the folds 1 and 2: correct it, or delete"):
        table_of()
    table.assign(fold="1").to_csv(file, index=False)
    with refused("all clips are in one fold"):
        table_of()


def edit_folds(groups, folds):
    """Write groups and folds into folds.csv as a person does; the table of it."""
    file = Path("data/birds/folds.csv")
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    rows = range(len(table))
    table = table.assign(group=[groups(n) for n in rows], fold=[folds(n) for n in rows])
    table.to_csv(file, index=False)
    return table.set_index("clip_id")


def by_three(row):
    return f"g{row // 3}"


@pytest.mark.parametrize("word", ["data", "check", "features"])
def test_groups_written_into_folds_csv_are_kept(birds, word):
    done("features DATASET=birds FEATURES='mel rms' JOBS=1")
    written = edit_folds(by_three, lambda row: str(row // 3 % 3 + 1))
    write_clips(birds / "birds", "ant", clips=7)
    for _ in range(2):  # the second command finds what the first has written
        said = done(f"{word} DATASET=birds").out
        if word != "check":
            assert "3, by the groups that are written there" in said
        table = table_of().set_index("clip_id")
        now = table.loc[written.index]
        assert now["group"].equals(written["group"])
        assert now["fold"].astype(str).equals(written["fold"])
        assert table.loc["ant/ant_6", "group"] == "ant/ant_6"


def test_groups_written_into_folds_csv_reach_the_next_run(birds):
    done("features DATASET=birds FEATURES=mel JOBS=1")
    edit_folds(by_three, lambda row: str(row // 3 % 3 + 1))
    assert "folds.csv has other groups or folds" in done(f"train {MEL}").err
    done("features DATASET=birds FEATURES=mel JOBS=1")
    done(f"train {MEL}")
    files = [*Path("runs").rglob("predictions.csv")]
    groups = pd.concat(pd.read_csv(file) for file in files)["group"]
    assert {*groups} >= {"g0", "g5"}


@pytest.mark.parametrize("group", ["_(.)", "([0-9])$"])
@pytest.mark.parametrize("before", [True, False])
def test_groups_written_into_folds_csv_are_refused_against_group(birds, group, before):
    table_of(group=group if before else None)
    written = edit_folds(by_three, lambda row: str(row // 3 % 3 + 1))
    for _ in range(2):
        with refused("was edited and has other groups than GROUP=.*, or delete the fi"):
            table_of(group=group)
        if not before:
            assert table_of().set_index("clip_id")["group"].equals(written["group"])


def test_groups_written_into_folds_csv_are_refused_against_a_table(birds):
    table = birds / "birds.csv"
    write_table(lambda n, file: f"{file},{file.parent.name},r{n // 2},", name=table)
    table_of("birds.csv")
    table.write_text(table.read_text().replace("r0", "r1"))
    assert table_of("birds.csv")["group"].nunique() == 8  # the table was corrected
    edit_folds(by_three, lambda row: str(row // 3 % 3 + 1))
    with refused("has other groups than the dataset: .* is in 'g0', not in 'r1'"):
        table_of("birds.csv")


def test_a_blank_group_in_folds_csv_is_a_clip_of_its_own(birds):
    table_of()
    edit_folds(lambda row: "" if row < 5 else by_three(row), lambda row: "12"[row < 6])
    table = table_of()
    assert table["group"].nunique() == 5 + 1 + 4
    assert has_other_folds(table, Path("data/birds/folds.csv")) is False


def test_odd_names_survive_every_table(tmp_path):
    names = ["ant\r", " bee", 'cat"q', "dog\\"]
    write_clips(tmp_path / "odd", *names)
    for file in [*tmp_path.glob("odd/*/*_0.wav")]:
        file.rename(file.with_name(f" {file.stem}\r.wav"))
    (tmp_path / "odd/ant\r/no\r.wav").write_text("no audio")
    with inside(tmp_path):
        for _ in range(2):
            done("features DATASET=odd FEATURES=mel JOBS=1")
            done("train DATASET=odd FEATURES=mel MODEL=ridge")
        done("analysis DATASET=odd")
        done("predict AUDIO=odd RUN=last OUT=o.csv", status=1)
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.glob("odd/*/*.wav")}
    bad = "odd/ant\r/no\r.wav"
    assert {*read_table(tmp_path / "o.csv")["file"]} == files - {bad}
    ids = {name.removeprefix("odd/").removesuffix(".wav") for name in files}
    data = tmp_path / "data/odd"
    assert {*read_table(data / "folds.csv", na_texts=())["clip_id"]} == ids
    assert [row[0] for row in read_rows(data / "features/failures.csv")] == [bad[4:-4]]
    run = RunFolder(tmp_path / "runs/odd/mel-ridge")
    assert {*run.predictions()["clip_id"]} == ids - {bad[4:-4]}
    assert run.classes == sorted(names)


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A cache and a run of sounds below the folder closed."""
    folder = tmp_path_factory.mktemp("closed")
    write_clips(folder / "closed/birds", "ant", "bee")
    write_clips(folder / "field", "cow", clips=1)
    with inside(folder):
        done("features DATASET=closed/birds FEATURES='mel rms' JOBS=1")
        done("train DATASET=closed/birds FEATURES=mel MODEL=ridge")
    return folder


@pytest.mark.parametrize(
    "words",
    [
        "show",
        "train FEATURES=mel MODEL=ridge",
        "analysis",
        "runs",
        "bundle RUN=last OUT=made.pt",
        "predict RUN=birds/mel-ridge AUDIO=field",
        "curve FEATURES=mel",
    ],
)
def test_what_needs_no_sounds_needs_no_right_to_read_them(closed, words):
    for place in ("closed", "closed/birds"):
        ended = over_closed_sounds(closed, words, place)
        assert ended.returncode == 0, ended.stderr


def over_closed_sounds(folder, words, place):
    """A command on these sounds while nobody may enter this place."""
    word, *given = words.split()
    words = ["-m", "featurestack", word, "DATASET=closed/birds", *given]
    (folder / place).chmod(0)
    try:
        return forked(*words, cwd=folder, before=no_override)
    finally:
        (folder / place).chmod(0o755)


def test_sounds_that_may_not_be_read_are_named(closed):
    ended = over_closed_sounds(closed, "features", "closed/birds")
    assert ended.returncode == 2 and "error: closed/birds may not" in ended.stderr
