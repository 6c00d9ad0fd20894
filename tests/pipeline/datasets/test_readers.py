"""CSV files, ESC-50's layout, folders of classes, splits: the ids of clips, the forms
that are read; what is not a dataset is refused.
"""

from pathlib import Path

import pytest

from featurestack.features_cache.clip_table import (
    CLIP_COLUMNS,
    NO_CLASS_NAMES,
    WINDOW_COLUMNS,
)
from featurestack.pipeline.datasets.readers import clip_ids, listing_of_table
from featurestack.results.run_folder import PREDICTION_COLUMNS
from tests.cases import cases, data
from tests.pipeline.datasets.folders import (
    class_folders,
    csv,
    dataset,
    esc_layout,
    write,
)
from tests.refusal import refused


@cases("by_path", "paths", "ids")
def test_clips_are_called_by_file_or_path_with_an_extension_only_if_two_agree(
    by_path, paths, ids
):
    assert clip_ids(paths.split(), by_path) == ids.split()


def test_a_layout_takes_another_rate_and_duration_and_one_of_two_tables(tmp_path):
    folder = esc_layout(tmp_path / "mine", "a.wav,1,owl,7 b.wav,2,dog,8")
    clips = dataset(folder, tmp_path, sample_rate=8_000, duration=0.25)
    assert (clips.sample_rate, clips.samples) == (8_000, 2_000)
    assert list(clips.table.columns) == [*CLIP_COLUMNS, *WINDOW_COLUMNS]
    assert clips.table.drop(
        columns=["path", "train_only", *WINDOW_COLUMNS]
    ).to_numpy().tolist() == [["a", "owl", "", 1, "7"], ["b", "dog", "", 2, "8"]]
    assert not (tmp_path / "data").exists()  # official folds: nothing to keep
    text = "filename,fold,category,src_file\na.wav,2,x,1\nb.wav,1,y,1"
    second = csv(folder / "meta" / "second.csv", text)
    with refused(r"any name\.csv, second\.csv; expected one CSV"):
        dataset(folder, tmp_path)
    table = dataset(second, tmp_path, audio_dir=str(folder / "audio")).table
    assert table["label"].tolist() == ["x", "y"]


def listing(folder, text, **given):
    return listing_of_table(Path(csv(folder / "mine.csv", text)), folder, **given)


LISTED = data(__file__)["LISTED"]


def test_a_column_of_the_files_is_found_and_label_takes_the_classes(tmp_path):
    text = "path,sound,device,recording\na.wav,dog,x,r\nb.wav,rain,x,s\nc.wav,dog,y,s\n"
    for name in "abc":
        write(tmp_path / f"{name}.wav")
    listed = csv(tmp_path / "mine.csv", text)
    table = dataset(listed, tmp_path, label="sound", group="recording").table
    assert table["label"].tolist() == ["dog", "rain", "dog"]
    assert table["group"].tolist() == ["r", "s", "s"]


def test_a_column_split_is_ignored_and_said(tmp_path):
    for name in "ab":
        write(tmp_path / f"{name}.wav")
    text = "filename,label,split\na.wav,dog,train\nb.wav,rain,test\n"
    notes = listing(tmp_path, text).notes
    assert any("the column split is ignored" in note for note in notes)


def test_an_empty_cell_of_the_column_of_label_is_a_clip_without_a_tag(tmp_path):
    for name in "abc":
        write(tmp_path / f"{name}.wav")
    listed = csv(tmp_path / "mine.csv", "file,kind\na.wav,rain; dog\nb.wav,dog\nc.wav,")
    table = dataset(listed, tmp_path, label="kind").table
    assert table["label"].tolist() == ["dog;rain", "dog", ""]


def test_a_single_column_of_audio_files_may_have_any_name(tmp_path):
    rows = "a.wav,dog\nb.wav,rain\n"
    table = listing(tmp_path, f"clip,label\n{rows}").table
    assert table["clip_id"].tolist() == ["a", "b"]


@pytest.mark.parametrize("written", LISTED)
def test_a_csv_is_read_as_people_write_it(tmp_path, written):
    table = listing(tmp_path, LISTED[written]).table
    assert table["clip_id"].tolist() == ["a", "b"]
    assert table["label"].tolist() == ["dog", "rain"]
    assert table["category"].tolist() == ["animals", "natural soundscapes and water"]
    assert table["path"].tolist() == [f"{tmp_path}/a.wav", f"{tmp_path}/b.wav"]


SEVERAL = data(__file__)["SEVERAL"]


@pytest.mark.parametrize("written", SEVERAL)
def test_several_labels_in_a_cell_are_tags_and_the_reader_says_so(tmp_path, written):
    clips = listing(tmp_path, SEVERAL[written])
    assert clips.table["label"].tolist() == ["dog;rain", "dog", ""]
    (note,) = clips.notes
    assert note.endswith("none: 1 clip with several, 1 with one, 1 with none")


def test_an_unquoted_comma_is_named_by_its_line(tmp_path):
    with refused(r"line 3: the row has 3 cells, the header 2; .*needs quotes"):
        listing(tmp_path, "filename,label\na.wav,dog\nb.wav,rain, wet\n")


def test_lines_are_counted_through_line_breaks_in_cells_and_blank_lines(tmp_path):
    rows = 'a.wav,0,1,dog,"two\nlines"\n\nb.wav,3,2,rain,\n'
    with refused(r"mine\.csv, line 5: the clip lasts from '3' to '2'"):
        listing(tmp_path, "filename,start,end,label,note\n" + rows)


def test_a_csv_brings_fold_group_and_category(tmp_path):
    paths = [write(tmp_path / "elsewhere" / f"{name}.wav") for name in ("é", "b")]
    text = "filename,label,fold,group,category,site\ne\u0301.wav,owl,3,g,null,1\n"
    text += f"{paths[1]},dog,1,,day,2\n"
    listed = csv(tmp_path / "mine.csv", text)
    clips = dataset(listed, tmp_path, audio_dir=str(tmp_path / "elsewhere"))
    brought = clips.table[["fold", "group", "category"]]
    assert brought.to_numpy().tolist() == [[3, "g", "null"], [1, "b", "day"]]
    assert clips.table["path"].tolist() == list(map(str, paths))


def test_files_whose_absolute_paths_are_gone_are_found_in_audio_dir(tmp_path):
    paths = [write(tmp_path / "moved" / name) for name in ("a.wav", "b.wav")]
    text = "filename,label\n/all/x/a.wav,owl\n/all/y/b.wav,dog\n"
    given = {"audio_dir": str(tmp_path / "moved")}
    clips = dataset(csv(tmp_path / "mine.csv", text), tmp_path, **given)
    assert clips.table["path"].tolist() == list(map(str, paths))


def test_two_recordings_that_are_gone_are_never_read_from_one_file(tmp_path):
    write(tmp_path / "moved/rec.wav")
    rows = "/all/x/rec.wav,owl,0,0.1\n/all/y/rec.wav,dog,0.1,0.2\n"
    table = csv(tmp_path / "mine.csv", f"filename,label,start,end\n{rows}")
    with refused(
        "^/all/x/rec.wav and /all/y/rec.wav are one file: its parts are one recording"
    ):
        dataset(table, tmp_path, audio_dir=str(tmp_path / "moved"))
    with refused("none of 2 files can be read; the first: /all/x/rec.wav: missing"):
        dataset(table, tmp_path, audio_dir=str(tmp_path))


def test_classes_called_like_columns_of_predictions_are_refused_at_once(tmp_path):
    others = {"fold", "file", "predicted", "start", "end"}
    assert {*PREDICTION_COLUMNS, *others} == {*NO_CLASS_NAMES}
    folder = class_folders(tmp_path / "mine", "dog split predicted", each=2)
    with refused(r"^predicted, split: no class may have the name of a column"):
        dataset(folder, tmp_path)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'filename,fold,category,src_file\na.wav,1," ",77\n',
            "csv, line 2: a.wav has no label, like 1 of 1 row",
        ),
        (
            "filename,label\na.wav,dog\n,rain\n",
            "clip 2 of the dataset has no file name",
        ),
        *(
            (f"filename,label,fold\na.wav,dog,{fold}\n", f"a.wav has fold '{fold}'")
            for fold in ("", "1.5")
        ),
        ("", "cannot be read as a CSV"),
        ("filename,label\na.wav,x\nb.wav,x\n./a.wav,x\n", "rows 1 and 3 are one clip"),
        ("audio,sound\na.wav,dog\n", r"expected filename,label \(LABEL= names"),
        ("filename,label\na.wav,K\udc8auzchen\n", "UTF-8"),  # in Mac Roman
    ],
)
def test_a_csv_that_is_wrong_is_refused(tmp_path, text, message):
    (tmp_path / "mine.csv").write_text(text, "utf-8", "surrogateescape")
    with refused(message):
        listing_of_table(tmp_path / "mine.csv", tmp_path)


@pytest.fixture
def sites(tmp_path):
    """Folders of sites, whose names have bird__take."""
    for place, site in enumerate(("site1", "site-2", "2024-05-14")):
        for bird in ("wren", "robin", "song-thrush"):
            for take in range(2):
                write(tmp_path / "birds" / site / f"{bird}__{10 * place + take}.wav")
    return tmp_path / "birds"


def test_the_pattern_gives_the_classes_and_later_commands_need_none(sites, tmp_path):
    given = dataset(sites, tmp_path, label="(.+?)__", group="(.*)/")
    assert {*given.table["label"]} == {"wren", "robin", "song-thrush"}
    assert given.table["group"].nunique() == 3
    later = dataset(sites, tmp_path)
    assert later.table["label"].tolist() == given.table["label"].tolist()


def test_a_pattern_that_lacks_a_clip_is_refused(sites, tmp_path):
    with refused("gives 6 clips of 18 no class"):
        dataset(sites, tmp_path, label="(wren|robin)__")
    with refused("is not a valid regular expression"):
        dataset(sites, tmp_path, label="(wren")


def test_class_folders_of_any_script_sorted_by_path(tmp_path):
    mine = tmp_path / "my sounds"
    for name in ("собака/гав 1.wav", "猫/ニャー.flac", "loose.wav"):
        write(mine / name)
    for name in ("a b.WAV", "old/a.ogg"):
        write(mine / "dog barks" / name)
    (mine / "owl" / "deeper").mkdir(parents=True)
    for name in ("notes.txt", ".hidden.wav", "broken.wav", "../owl/deeper/.keep"):
        (mine / "dog barks" / name).touch()
    clips = dataset(mine, tmp_path)
    ids = [f"dog barks/{name}" for name in ("a b", "broken", "old/a")]
    ids += ["собака/гав 1", "猫/ニャー"]
    assert clips.table["clip_id"].tolist() == ids  # broken.wav stays in the table
    assert clips.table["label"].tolist() == ["dog barks"] * 3 + ["собака", "猫"]
    assert clips.name == "my sounds"
    notes = "\n".join(clips.notes)
    for said in ("no audio extension: 1 f", "in no class folder: 1 f", "folder owl"):
        assert said in notes


def test_links_are_followed_once(tmp_path):
    class_folders(tmp_path / "elsewhere", each=2)
    (tmp_path / "mine").mkdir()
    for name in ("dog", "cat"):
        (tmp_path / "mine" / name).symlink_to(tmp_path / "elsewhere" / name)
    (tmp_path / "elsewhere" / "dog" / "around").symlink_to(tmp_path / "mine")
    ids = dataset(tmp_path / "mine", tmp_path).table["clip_id"].tolist()
    assert sorted(ids) == ["cat/cat0-A", "cat/cat1-A", "dog/dog0-A", "dog/dog1-A"]


@cases("names", "reason")
def test_a_folder_that_is_no_dataset_is_refused_before_anything_is_written(
    tmp_path, names, reason
):
    for name in names.split():
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x\n")
    with refused(reason):
        dataset(tmp_path / "mine", tmp_path)
    assert not (tmp_path / "data").exists()


def test_classes_of_names_need_no_class_folders(tmp_path):
    for name in ("0_a", "0_b", "1_a", "more/1_b"):
        write(tmp_path / "flat" / f"{name}.wav")
    table = dataset(tmp_path / "flat", tmp_path, label="(.+?)_").table
    assert table["label"].tolist() == ["0", "0", "1", "1"]


@pytest.mark.parametrize(
    "folds", [{"Training": 2, "dev": 1, "EVALUATION": 3}, {"train": 2, "valid": 1}]
)
def test_class_folders_within_train_and_test_are_a_split(tmp_path, folds):
    for folder in folds:
        class_folders(tmp_path / "mine" / folder, each=2)
    write(tmp_path / "mine" / folder / "loose.wav")
    clips = dataset(tmp_path / "mine", tmp_path)
    assert set(clips.table["label"]) == {"dog", "cat"}
    folders = clips.table["clip_id"].str.partition("/")[0]
    assert clips.table["fold"].tolist() == folders.map(folds).tolist()
    assert clips.published_test == (3 if 3 in folds.values() else None)
    assert "left out, in no class folder: 1 file" in clips.notes
