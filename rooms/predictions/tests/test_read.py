"""Tables as other programs write them, and broken ones."""

import pytest

from featurestack.commandline.errors import RequestError
from featurestack.rooms.predictions.read import answers_in, read_table, tables_in
from featurestack.rooms.predictions.report import labels_in
from featurestack.rooms.predictions.runs import NOTHING, foreign_runs

TRUE = "file,label,fold\na.wav,owl,1\nb.wav,owl,2\nc.wav,jay,1\n"
# OpenSoundscape's labels are columns of 0 and 1
ONE_HOT = "file,start_time,end_time,jay,owl\na,0,5,0,1\nb,0,5,0,1\nc,0,5,1,0\n"
# the header of each program, then made-up rows
BIRDNET = """\
\ufeffStart (s),End (s),Scientific name,Common name,Confidence,File
0.0,3.0,Strix aluco,owl,0.9237,/data/a.wav
3.0,6.0,Strix aluco,owl,0.5,/data/a.wav
0.0,3.0,Garrulus glandarius,jay,0.6,/data/a.wav
0.0,3.0,Garrulus glandarius,jay,0.8,/data/b.wav
"""
HOPLITE = """\
idx,project,filename,window_start,window_end,label,logits
0,woods,a.wav,0.0,5.0,owl,2.0
1,woods,b.wav,0.0,5.0,jay,1.0
2,woods,b.wav,5.0,10.0,owl,3.0
3,woods,c.wav,0.0,5.0,jay,0.0
"""
OPENSOUNDSCAPE = """\
file,start_time,end_time,jay,owl
./a.wav,0.0,5.0,0.1,0.9
./b.wav,0.0,5.0,0.7,0.3
./c.wav,0.0,5.0,0.8,0.2
"""
SKLEARN = """\
,y_true,prob_jay,prob_owl
0,owl,0.1,0.9
1,owl,0.7,0.3
2,jay,0.8,0.2
"""
TOP = """\
filename,y_true,y_pred,confidence
a,owl,owl,0.9
b,owl,jay,0.7
c,jay,jay,0.8
"""
GOOD = "clip,label,fold,cat,dog\na,cat,1,0.9,0.1\nb,dog,2,0.2,0.8\nc,dog,1,0.4,0.6\n"


def runs_of(folder, truth="", given=None, **texts):
    """The runs of tables with these texts, each a file called as its keyword."""
    given = given or {}
    folder.mkdir(exist_ok=True)
    known = None
    if truth:
        (folder / "truth.txt").write_text(truth)
        known = labels_in(read_table(folder / "truth.txt", {}), {})
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    answers = []
    for table in tables_in(folder, given):
        answers += answers_in(table, given, known, tags=False)
    return foreign_runs(answers, "table", "auto", known)


@pytest.mark.parametrize(
    ("text", "truth", "predicted"),
    [
        (BIRDNET, TRUE, ["owl", "jay", NOTHING]),
        (
            BIRDNET.replace("Strix aluco", "owl").replace("Garrulus glandarius", "jay"),
            TRUE,
            ["owl", "jay", NOTHING],
        ),
        (HOPLITE, TRUE, ["owl", "owl", "jay"]),
        (OPENSOUNDSCAPE, TRUE, ["owl", "jay", "jay"]),
        (OPENSOUNDSCAPE, ONE_HOT, ["owl", "jay", "jay"]),
        (SKLEARN, "", ["owl", "jay", "jay"]),
        (TOP, "", ["owl", "jay", "jay"]),
        (TOP.replace(",", ";"), "", ["owl", "jay", "jay"]),
    ],
)
def test_tables_are_read_as_programs_write_them(tmp_path, text, truth, predicted):
    (run,) = runs_of(tmp_path, truth, mine=text)
    table = run.predictions().sort_values("clip_id")
    assert table["target"].tolist() == ["owl", "owl", "jay"]
    assert table[run.classes].idxmax(axis=1).tolist() == predicted
    assert table[run.classes].to_numpy().sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize(
    "text",
    [
        "clip,predicted\na@0,owl\na@2.5,jay\nb@0,jay\n",
        "file,start_time,predicted\nx/a.wav,0,owl\nx/a.wav,2.50,jay\nx/b.wav,0,jay\n",
    ],
)
def test_windows_have_the_labels_of_their_windows(tmp_path, text):
    truth = "file,start,label\na.wav,0.0,owl\na.wav,2.5,jay\nb.wav,0.0,jay\n"
    (run,) = runs_of(tmp_path, truth, mine=text)
    table = run.predictions()
    assert table["target"].tolist() == ["owl", "jay", "jay"]
    assert (table[run.classes].idxmax(axis=1) == table["target"]).all()
    with pytest.raises(RequestError, match="@7 is not among the 3 clips"):
        runs_of(tmp_path, truth, mine=text.replace("a@2.5", "a@7").replace("2.50", "7"))


def test_a_table_per_recording_is_one_model_and_other_tables_are_models(tmp_path):
    header, *rows = BIRDNET.splitlines(keepends=True)
    parts = {"a": header + rows[0], "b": header + rows[3]}
    (run,) = runs_of(tmp_path / "parts", TRUE, **parts)
    assert len(run.predictions()) == 3
    runs = runs_of(tmp_path / "models", TRUE, a=BIRDNET, b=OPENSOUNDSCAPE, c=TOP)
    assert [run.name for run in runs] == ["a", "b", "c"]
    assert {tuple(run.classes) for run in runs} == {("jay", "owl", NOTHING)}


def test_a_column_of_models_and_several_labels(tmp_path):
    text = "sound,net,truth,guess\n1,x,a,a\n2,x,b,a\n1,y,a,b\n2,y,b,b\n"
    given = {"clip": "sound", "model": "net", "predicted": "guess"}
    runs = runs_of(tmp_path / "models", given=given, mine=text)
    assert [run.name for run in runs] == ["x", "y"]
    tags = "clip,label,a,b\n1,a;b,0.9,0.8\n2,b,0.1,0.7\n3,a,0.2,0.9\n"
    (run,) = runs_of(tmp_path / "tags", mine=tags)
    assert run.config.task == "tags"
    assert run.predictions()["a"].tolist() == [0.9, 0.1, 0.2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("label", "x"), "mine.csv has no column of true labels"),
        (GOOD.replace("b,dog", "b,"), "mine.csv, line 3: the clip has no label"),
        (GOOD.replace("c,dog,1", "a,cat,1"), "line 4: clip a has two rows, also in"),
        (GOOD.replace("c,dog,1", "a,dog,1"), "line 4: clip a has two labels"),
        (GOOD.replace("c,dog,1", "a,cat,2"), "line 4: clip a has two folds"),
        (GOOD.replace("0.2", "high"), "line 3, column cat: 'high' is no number"),
        (GOOD.replace("0.2", ""), "line 3, column cat: '' is no number"),
        (GOOD.replace("0.2", "-3.1"), "line 3, column cat: '-3.1' is no probability"),
        (GOOD.replace(",", ";").replace("0.2", "0,2"), "'0,2' has a decimal comma"),
        (GOOD.replace("0.2", "0,2"), "line 3: 6 fields; expected 5"),
        (GOOD.replace(".", ","), "line 2: too many fields; expected 5"),
        (GOOD.replace("b,dog", "b,cow"), "line 3: no column has the probability of"),
        (GOOD.replace("dog,", "cat,"), "all clips have one label, 'cat'"),
        (
            GOOD.replace("cat,dog", "x,y"),
            "mine.csv has neither a column of probabilities",
        ),
        ("clip,label,cat\n", "mine.csv has no row"),
        ("", "mine.csv"),
    ],
)
def test_a_broken_table_gets_one_sentence(tmp_path, text, message):
    with pytest.raises(RequestError) as refused:
        runs_of(tmp_path, mine=text)
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_tables_that_do_not_fit_are_refused(tmp_path):
    other = "clip,label,fold,cat,dog,cow\na,cat,1,0.9,0.1,0\nb,dog,2,0.2,0.8,0\n"
    with pytest.raises(RequestError, match=r"b\.csv: the class 'cow' is a column here"):
        runs_of(tmp_path / "classes", a=GOOD, b=other)
    with pytest.raises(RequestError, match=r"line 4: \./c\.wav is not among"):
        runs_of(tmp_path / "truth", TRUE.partition("c.wav")[0], a=OPENSOUNDSCAPE)
    with pytest.raises(RequestError, match="there is no such file"):
        tables_in(tmp_path / "none.csv", {})
