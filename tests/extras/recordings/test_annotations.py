"""Annotation tables as Raven, Audacity and others write them give the same events; a
wrong line is named.
"""

import pandas as pd

from featurestack.base.registry import Registry
from featurestack.extras.recordings import LabelOptions, annotations
from featurestack.extras.recordings.annotations import (
    EVENT_COLUMNS,
    FORMATS,
    read_events,
)
from tests.cases import cases, data
from tests.golden.commands import ROOT
from tests.refusal import refused

RECORDINGS = {"dawn.flac": 10.0, "site/dusk.wav": 20.0}
DOGS = [("dawn.flac", 1.0, 2.5, "dog")]
RAVEN = (
    "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq"
    " (Hz)"
)
SEQUENCE = (
    "Selection\tBegin Time (s)\tEnd Time (s)\tBegin File\tFile Offset (s)\tSpecies\n"
)


def events(folder, text, name="dawn.txt", encoding="utf-8", **options):
    (folder / "tables").mkdir(exist_ok=True)
    (folder / "tables" / "empty.txt").touch()  # a second table, so that names count
    (folder / "tables" / name).write_bytes(text.encode(encoding))
    read = read_events(folder / "tables", RECORDINGS, LabelOptions(**options)).events
    return list(read[[*EVENT_COLUMNS]].itertuples(index=False, name=None))


@cases("text")
def test_every_format_gives_the_same_event(tmp_path, text):
    assert events(tmp_path, text) == DOGS


def test_labels_are_read_in_the_usual_encodings_and_others_refused(tmp_path):
    for encoding in ("utf-8-sig", "utf-16", "cp1252"):
        read = events(tmp_path, "1\t2\tgrünling\n", encoding=encoding)
        assert read == [("dawn.flac", 1, 2, "grünling")], encoding
    for encoding in ("shift_jis", "cp1251"):  # letters that would become others
        with refused("is not UTF-8 text: save it as UTF-8"):
            events(tmp_path, "1\t2\tкукушка\n", encoding=encoding)


def test_a_table_of_several_files_counts_from_the_beginning_of_each(tmp_path):
    rows = "1\t103.0\t104.5\tdusk.wav\t3.0\towl\n2\t91.0\t92.0\tdawn.flac\t1.0\tdog\n"
    assert events(tmp_path, SEQUENCE + rows, "all.txt") == [
        ("dawn.flac", 1, 2, "dog"),
        ("site/dusk.wav", 3, 4.5, "owl"),
    ]


def test_marks_without_an_end_empty_labels_and_what_lasts_too_long(tmp_path):
    text = "1.5\tdog\n2.5\t\n3\t3.5\n9\t12\tdog; cat\n"
    assert events(tmp_path, text, label="some") == [
        ("dawn.flac", 1.45, 1.55, "dog"),
        ("dawn.flac", 2.45, 2.55, "some"),
        ("dawn.flac", 3, 3.5, "some"),
        ("dawn.flac", 9, 10, "cat"),
        ("dawn.flac", 9, 10, "dog"),
    ]


def test_the_column_of_labels_is_known_or_named(tmp_path):
    text = "start,end,selec,caller\n1,2,7,dog\n"
    named = events(tmp_path, text, column="caller")
    assert named == events(tmp_path, text, label="dog")
    some = "line 1: no column .*: give COLUMN=, one of start, .*caller, or LABEL"
    with refused(some):
        events(tmp_path, text)
    with refused("no table .* matches a recording: .*, or a column file"):
        (tmp_path / "season.csv").write_text("take,start,end,label\ndawn.wav,1,2,dog\n")
        read_events(tmp_path / "season.csv", RECORDINGS, LabelOptions())
    with refused(r"COLUMN=caler: .*did you mean 'caller'"):
        events(tmp_path, text, column="caler")
    assert {*events(tmp_path, text, column="selec", label="caller")}


def test_what_is_remarked_stands_in_the_notes(tmp_path):
    for name, text in {
        "dawn.Table.1.selections.txt": RAVEN,
        "noon.txt": "1\t2\tdog\n",
        "README.txt": "Hello",
    }.items():
        (tmp_path / name).write_text(text)
    read = read_events(tmp_path, RECORDINGS, LabelOptions())
    assert read.annotated == {"dawn.flac"} and not len(read.events)
    assert read.notes == (
        "tables that match no recording, left out: 2, the first README.txt",
    )
    alone = tmp_path / "noon.txt"  # the only table is about the only recording
    found = read_events(alone, {"dawn.flac": 10.0}, LabelOptions())
    assert found.events["file"].tolist() == ["dawn.flac"]


def test_what_is_done_with_odd_rows_is_remarked(tmp_path):
    rows = "1,2,dog\n1,2,dog\n5,5,dog\nNA,NA,dog\n6,7,cat;owl\n9,99,owl\n"
    (tmp_path / "dawn.csv").write_text(f"start,end,label\n{rows}")
    read = read_events(tmp_path, RECORDINGS, LabelOptions())
    assert read.events["start"].tolist() == [1, 4.95, 6, 6, 9]
    assert read.events["end"].tolist() == [2, 5.05, 7, 7, 10]
    assert [note.split(":")[0] for note in read.notes] == [
        "events without a time, left out",
        "marks without a length, made 0.1 s long",
        "events that outlast their recording, cut at its end",
    ]
    (tmp_path / "dawn.xlsx").touch()
    with refused("dawn.xlsx is a spreadsheet: save it as CSV"):
        read_events(tmp_path / "dawn.xlsx", RECORDINGS, LabelOptions())


@cases("text", "words")
def test_a_wrong_line_is_named(tmp_path, text, words):
    with refused(rf"dawn\.txt, {words}"):
        events(tmp_path, text)


def test_a_format_is_one_function_that_messages_name(tmp_path, monkeypatch):
    monkeypatch.setattr(annotations, "FORMATS", Registry("format", FORMATS))

    @annotations.table_format("Praat", "intervals [1]:", lambda first: "[" in first)
    def intervals(path, text, options):
        row = "", 1.0, 2.0, text.split()[-1], "1 to 2"
        return pd.DataFrame([row], [1], [*annotations.ROWS])

    assert events(tmp_path, "intervals [1]: dog") == [("dawn.flac", 1, 2, "dog")]
    with refused("expected one of Audacity: .*; Praat: intervals"):
        events(tmp_path, "Hello")


def test_every_format_has_a_text_that_gives_the_event():
    read = set()
    for text in data(__file__)["test_every_format_gives_the_same_event"]:
        first = text.strip().partition("\n")[0]
        read.add(next(f.read for f in FORMATS.values() if f.recognises(first)))
    assert [name for name, own in FORMATS.items() if own.read not in read] == []


def test_the_page_names_every_format():
    page = (ROOT / "docs" / "howto" / "windows.md").read_text(encoding="utf-8")
    assert {name for name in FORMATS if f"* **{name}" not in page} == set()


def test_recordings_are_told_apart_by_folder_refused_or_left_out_and_counted(tmp_path):
    recordings = {"a/x.wav": 5.0, "b/x.wav": 5.0}
    table = tmp_path / "t.csv"
    rows = "file,start,end,label\nold/b/x.wav,1,2,dog\nnoon.wav,1,2,owl\n"
    table.write_text(rows)
    read = read_events(table, recordings, LabelOptions())
    assert read.events["file"].tolist() == ["b/x.wav"]
    assert read.notes == (
        "recordings that are not in AUDIO=, left out: 1, the first noon.wav",
    )
    table.write_text(rows.replace("old/b/x", "D:\\old\\y"))
    with refused(
        r"the first table is t.csv, which names D:\\old\\y\.wav, the first rec"
    ):
        read_events(table, recordings, LabelOptions())
    table.write_text(rows.replace("old/b/", ""))
    with refused(r"line 2: x\.wav may be a/x\.wav or b/x\.wav"):
        read_events(table, recordings, LabelOptions())
