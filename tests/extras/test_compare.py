"""`make compare` says what `fs.compare` says, of tables by clip id; bad tables."""

import numpy as np
import pandas as pd
import pytest

import featurestack as fs
from featurestack.extras.compare import CompareOptions
from featurestack.extras.compare.tables import compare_tables
from featurestack.results.run_folder import RunFolder
from tests.analysis.made_runs import MadeRun, made_clips, make_run
from tests.processes import python
from tests.refusal import refused

LABELS = np.tile(["cat", "dog"], 60)
CLIPS = [f"c{number}" for number in range(120)]
GROUPS = np.repeat(range(20), 6)


def predictions(skill, seed=0):
    """Probabilities of a model that is right for this share of the clips."""
    right = np.random.default_rng(seed).random(120) < skill
    of_cat = np.where(right == (LABELS == "cat"), 0.8, 0.2)
    return pd.DataFrame({"cat": of_cat, "dog": 1 - of_cat}, CLIPS)


@pytest.fixture
def table(tmp_path):
    """Writes a table of predictions, whose rows have another order; its path."""

    def write(name, rows, **columns):
        rows = rows.assign(**{"label": LABELS, "group": GROUPS} | columns)
        file = tmp_path / f"{name}.csv"
        rows.sample(frac=1, random_state=1).to_csv(file, index_label="clip")
        return file

    return write


@pytest.fixture
def compared(capsys):
    """What the command prints of these tables and runs."""

    def printed(*tables, **given):
        compare_tables(CompareOptions(tables=tables, **given))
        return capsys.readouterr().out.rstrip("\n")

    return printed


def test_tables_are_aligned_by_clip_and_judged_as_in_python(table, compared):
    both = {"svm": predictions(0.9), "conv": predictions(0.6, seed=1)}
    files = [table(name, rows) for name, rows in both.items()]
    labels = pd.Series(LABELS, CLIPS)
    groups = pd.Series(GROUPS.astype(str), CLIPS)
    expected = fs.compare(both, labels, groups=groups)
    assert compared(*files) == str(expected)
    assert "is clearly better than conv" in expected.sentence


@pytest.mark.parametrize(
    ("folds", "said"),
    [
        (GROUPS % 5, "tested by 20 groups in 5 folds"),
        (np.ones(120, int), "as one test of these trained models"),
    ],
)
def test_folds_are_those_of_the_tables(table, compared, folds, said):
    assert said in compared(table("svm", predictions(0.9), fold=folds))


def test_a_table_is_compared_with_runs_by_their_clips(tmp_path, capsys):
    clips = made_clips(clips=120, classes=4)
    options = {"runs": tmp_path / "runs", "data": tmp_path / "data"}
    made = [MadeRun(), MadeRun(features="rms", skill=0.5)]
    runs = [RunFolder(make_run(tmp_path / "runs", clips, each)) for each in made]
    rows = runs[0].scored().set_index("clip_id")[runs[0].classes]
    file = tmp_path / "svm.csv"
    rows.sample(frac=1, random_state=1).to_csv(file, index_label="clip")
    names = tuple(run.name for run in runs)
    compare_tables(CompareOptions(tables=(file,), run=names, **options))
    table = capsys.readouterr().out
    shown = fs.compare({run.name: run for run in runs} | {"svm": rows})
    assert table.split() == str(shown).split()
    other = runs[0].scored().rename(columns={"target": "label"})
    other["label"] = other["label"].to_numpy()[::-1]
    other[["clip_id", "label", *runs[0].classes]].to_csv(file, index=False)
    with refused("svm.csv has other labels than a model before it"):
        compare_tables(CompareOptions(tables=(file,), run=names, **options))


def test_the_highest_number_counts_where_rows_are_no_probabilities(
    table, compared, capsys
):
    rows = predictions(0.9)
    plain = compared(table("svm", rows))
    scores = table("svm", 3 * rows - 1)
    compare_tables(CompareOptions(tables=(scores,)))
    out, err = capsys.readouterr()
    assert out.rstrip("\n") == plain
    assert "no probabilities, so a row's highest number is its prediction" in err
    named = rows.idxmax(axis=1).to_frame("predicted")
    assert compared(table("svm", named)) == plain


def test_several_labels_are_scored_by_average_precision(table, compared):
    labels = np.where(np.arange(120) % 3, LABELS, "cat;dog")
    assert "mAP" in compared(table("svm", predictions(0.9), label=labels))


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("label", ["dog", "cat", "cat"], "other labels than a model before it"),
        ("group", [1, 2, 3], "other groups than a model before it"),
        ("entropy", [0.5, 0.2], "column entropy: expected numbers of a class"),
        ("cat", ["high", "low"], "column cat: expected numbers of a class"),
    ],
)
def test_a_table_that_would_mislead_is_refused(table, compared, column, values, said):
    first = table("svm", predictions(0.9))
    given = {column: np.resize(values, 120)}
    with refused(f"other.csv.*{said}"):
        compared(first, table("other", predictions(0.8), **given))


def test_doubled_clips_and_names_are_refused(table, compared, tmp_path):
    twice = pd.concat([predictions(0.9)] * 2)
    twice.to_csv(tmp_path / "twice.csv", index_label="clip")
    with refused("twice.csv: clip c0 has several rows"):
        compared(tmp_path / "twice.csv")
    file = table("svm", predictions(0.9))
    copied = tmp_path / "copy" / "svm.csv"
    copied.parent.mkdir()
    copied.write_bytes(file.read_bytes())
    for tables in ((), (file, copied)):
        with refused("another name for each model"):
            compared(*tables)


def test_the_command_needs_neither_torch_nor_librosa(table):
    file = table("svm", predictions(0.9))
    blocked = "import sys; sys.modules |= dict.fromkeys(['torch', 'librosa'])"
    words = ["featurestack", "compare", f"TABLES={file}"]
    code = f"{blocked}; sys.argv = {words}; from featurestack.cli.commands import main"
    assert "clearly better than chance" in python("-c", f"{code}; main()").stdout
