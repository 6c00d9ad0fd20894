"""Tables as programs write them, and broken ones."""

import pytest

from featurestack.features_cache.table import complete
from featurestack.predictions.read import predictions_in, read_tables
from featurestack.results.imported import write_imported
from tests.refusal import refused

CLIPS = {"clip_id": ["a", "b", "c"], "label": ["owl", "owl", "jay"], "fold": [1, 2, 1]}
TRUTH = complete(CLIPS | {"path": [f"/data/{name}.wav" for name in "abc"]})
# the header of each program, then made-up rows
BIRDNET = """\
\ufeffStart (s),End (s),Scientific name,Common name,Confidence,File
0.0,3.0,Strix aluco,owl,0.9237,C:\\rec\\data\\a.wav
3.0,6.0,Strix aluco,owl,0.5,C:\\rec\\data\\a.wav
0.0,3.0,Garrulus glandarius,jay,0.6,C:\\rec\\data\\a.wav
0.0,3.0,Garrulus glandarius,jay,0.8,C:\\rec\\data\\b.wav
"""
RAVEN = """\
Selection\tView\tBegin Time (s)\tEnd Time (s)\tCommon Name\tConfidence\tBegin Path
1\tSpectrogram 1\t0\t3.0\towl\t0.9\t/x/a.wav
2\tSpectrogram 1\t0\t3.0\tjay\t0.8\t/x/b.wav
"""
HOPLITE = """\
idx,project,filename,window_start,window_end,label,logits
0,woods,a.wav,0.0,5.0,owl,2.0
1,woods,b.wav,0.0,5.0,jay,1.0
2,woods,b.wav,5.0,10.0,owl,3.0
3,woods,c.wav,0.0,5.0,jay,0.0
"""
WINDOWS = """\
file,start,end,jay,owl
./a.wav,0.0,5.0,0.1,0.9
./b.wav,0.0,5.0,0.7,0.3
./c.wav,0.0,5.0,0.4,0.1
./c.wav,5.0,9.0,0.8,0.2
"""
OWN = 'Clip,label,fold,"owl, big",jay\na,"owl, big",1,0.9,0.1\nb,jay,2,0.2,0.8\n'
GOOD = "clip,label,fold,cat,dog\na,cat,1,0.9,0.1\nb,dog,2,0.2,0.8\nc,dog,1,0.4,0.6\n"


def read(tmp_path, text, truth=None):
    file = tmp_path / "mine.csv"
    file.write_text(text, encoding="utf-8")
    return predictions_in(read_tables(file), truth)


def run_of(tmp_path, text, truth=None):
    """The run folder of a table with this text."""
    predictions = read(tmp_path, text, truth)
    return write_imported(predictions, tmp_path / "runs" / "d" / "mine", source="mine")


@pytest.mark.parametrize(
    ("text", "right"),
    [
        (BIRDNET, {"a": True, "b": False, "c": False}),
        (RAVEN, {"a": True, "b": False, "c": False}),
        (HOPLITE, {"a": True, "b": True, "c": True}),
        (WINDOWS, {"a": True, "b": False, "c": True}),
    ],
)
def test_tables_are_read_as_programs_write_them(tmp_path, text, right):
    """A clip of which a list of predictions has no label counts as wrong."""
    run = run_of(tmp_path, text, TRUTH)
    table = run.predictions().set_index("clip_id")
    assert table["target"].to_dict() == {"a": "owl", "b": "owl", "c": "jay"}
    assert (table[run.classes].idxmax(axis=1) == table["target"]).to_dict() == right
    assert table[run.classes].to_numpy().sum(axis=1) == pytest.approx(1)


def test_scientific_names_are_labels_too(tmp_path):
    scientific = {"owl": "Strix aluco", "jay": "Garrulus glandarius"}
    truth = TRUTH.assign(label=TRUTH["label"].map(scientific))
    assert read(tmp_path, BIRDNET, truth).scores["Strix aluco"][0] > 0.9


@pytest.mark.parametrize(
    "text",
    [
        OWN,
        "sep=;\n" + OWN.replace('"owl, big"', "owl").replace(",", ";"),
        OWN.replace('"owl, big"', "owl").replace(",", ";").replace("0.", "0,"),
        OWN.replace("\n", "\r\n") + "\r\n",
    ],
)
def test_separators_quotes_and_decimal_commas_are_read(tmp_path, text):
    predictions = read(tmp_path, text)
    assert predictions.scores.to_numpy().tolist() == [[0.9, 0.1], [0.2, 0.8]]
    assert predictions.clips["fold"].tolist() == ["1", "2"]


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
    paths = [f"/d/{site}/0.wav" for site in ("north", "south", "east")]
    truth = TRUTH.assign(path=paths)
    text = "clip,predicted\nD:\\x\\south\\0.WAV,owl\nD:\\x\\east\\0.WAV,jay\n"
    assert read(tmp_path, text, truth).clips["clip_id"].tolist() == ["b", "c", "a"]
    with refused("x/west/0.wav is not among the 3 clips"):
        read(tmp_path, text.replace("south\\0.WAV", "west\\0.wav"), truth)


def test_windows_have_the_labels_of_their_windows(tmp_path):
    windows = {"clip_id": ["a@0", "a@2.5", "b@0"], "path": ["a.wav", "a.wav", "b.wav"]}
    spans = {"start": [0, 2.5, 0], "end": [2.5, 5, 2.5]}
    truth = complete(CLIPS | windows | spans)
    for text in (
        "clip,predicted\na@0,owl\na@2.5,jay\nb@0,jay\n",
        "file,start,predicted\nx/a.wav,0,owl\nx/a.wav,2.50,jay\nx/b.wav,0,jay\n",
    ):
        predictions = read(tmp_path, text, truth)
        assert predictions.clips["target"].tolist() == ["owl", "owl", "jay"]
        assert predictions.scores.idxmax(axis=1).tolist() == ["owl", "jay", "jay"]


def test_a_folder_of_tables_is_one_model(tmp_path):
    header, *rows = BIRDNET.splitlines(keepends=True)
    for name, row in zip("ab", (rows[0], rows[3])):
        (tmp_path / f"{name}.csv").write_text(header + row, encoding="utf-8")
    predictions = predictions_in(read_tables(tmp_path), TRUTH)
    assert predictions.clips["clip_id"].tolist() == ["a", "b", "c"]


def test_several_labels_of_a_clip_are_tags(tmp_path):
    run = run_of(tmp_path, "clip,label,a,b\n1,a;b,0.9,0.8\n2,b,0.1,0.7\n3,,0.2,0.9\n")
    assert run.config.task == "tags"
    assert run.predictions()["a"].tolist() == pytest.approx([0.9, 0.1, 0.2])


def test_training_rows_do_not_count(tmp_path):
    """Neither do they where `split` is written in another way."""
    text = GOOD.replace("label,", "label,Split,").replace("dog,1", "dog,train,1")
    for test in ("test", "TEST", "Test "):
        rows = text.replace("cat,1", f"cat,{test},1").replace("dog,2", f"dog,{test},2")
        assert read(tmp_path, rows).clips["clip_id"].tolist() == ["a", "b"]
    rows = text.replace("cat,1", "cat,eval,1").replace("dog,2", "dog,eval,2")
    with refused("has eval, train: write test where the model was not trained"):
        read(tmp_path, rows)


def test_a_tie_with_the_true_class_is_wrong_whatever_the_names(tmp_path):
    tied = "clip,label,a,b\n1,a,0.5,0.5\n2,b,0.5,0.5\n3,b,0.2,0.8\n"
    for names in ("ab", "ba"):
        text = tied.translate(str.maketrans("ab", names))
        text = text.replace(f"clip,l{names[0]}{names[1]}el", "clip,label")
        run = run_of(tmp_path, text)
        table = run.predictions()
        right = table[run.classes].idxmax(axis=1) == table["target"]
        assert right.tolist() == [False, False, True]


def test_another_source_of_the_same_name_is_another_run(tmp_path):
    place = tmp_path / "runs" / "d" / "mine"
    predictions = read(tmp_path, GOOD)
    first = write_imported(predictions, place, source="one/mine.csv")
    other = write_imported(predictions, place, source="two/mine.csv")
    again = write_imported(predictions, place, source="one/mine.csv")
    assert first.path == again.path == place and other.path != place


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("label", "x"), "mine.csv has no column `label`, of true labels"),
        (GOOD.replace("b,dog", "b,"), "mine.csv, line 3: the clip has no label"),
        (GOOD.replace("c,dog,1", "a,dog,1"), "line 4: clip a has two labels"),
        (GOOD.replace("c,dog,1", "a,cat,1"), "line 4: clip a has two rows"),
        (GOOD.replace("0.2", "-3.1"), "line 3, column cat: '-3.1' is no probability"),
        (GOOD.replace("0.2", "0,2"), "line 3: the row has 6 cells, the header 5"),
        (
            GOOD.replace("b,dog", "b,cow"),
            "no column of probabilities of the class 'cow'",
        ),
        (
            "clip,label,predicted\na,1.0,1\nb,0.0,0\n",
            "no predicted class is a label: predicted are 0 and 1, labels are 0.0 and",
        ),
    ],
)
def test_a_broken_table_gets_one_sentence(tmp_path, text, message):
    with refused(message):
        read(tmp_path, text)


def test_one_label_is_no_question(tmp_path):
    with refused("all clips have one label, 'cat'"):
        run_of(tmp_path, GOOD.replace("dog,1", "cat,1").replace("dog,2", "cat,2"))
