"""Rows that the weights do not give are found in every table."""

import pytest

from featurestack.predict.options import PredictOptions, StressOptions, VerifyOptions
from featurestack.predict.verify import verify_run
from featurestack.results.run_folder import RunFolder
from tests.refusal import refused
from tests.train.little import execute


def verify(run, dataset):
    return verify_run(VerifyOptions(run=str(run.path), dataset=str(dataset), threads=1))


TRAINED = {  # options -> what verify says that it compared
    "": ({}, "(48 rows of 3 folds, last epoch)"),
    "validation": ({"val": "group"}, "last and best epoch)"),
}


def change_row(table, column):
    """Write another value into a column of the first row, or into all probabilities."""
    heading, first, *rows = [line.split(",") for line in table.read_text().splitlines()]
    place = heading.index(column)
    if column == "bell":
        first[place:] = first[place:][::-1]
    else:
        first[place] = "rain" if first[place] != "rain" else "bell"
    lines = (",".join(row) for row in (heading, first, *rows))
    table.write_text("".join(f"{line}\n" for line in lines))


@pytest.mark.parametrize("kind", TRAINED)
def test_every_column_of_every_table_is_compared(
    kind, options, finished, cache_folder, capsys
):
    given, compared = TRAINED[kind]
    run = execute(options, epochs=1, folds=(1, 2), **given) if given else finished
    assert verify(run, cache_folder) == 0
    assert compared in capsys.readouterr().out
    for file in sorted(run.fold(2).glob("predictions*.csv")):
        whole = file.read_text()
        for column in ("group", "target", "bell"):
            change_row(file, column)
            assert verify(RunFolder(run.path), cache_folder) == 1
            said = capsys.readouterr()
            assert said.err.startswith("fold 2") and " 1 of " in said.err
            file.write_text(whole)
        file.write_text("".join(whole.splitlines(keepends=True)[:-1]))
        assert verify(RunFolder(run.path), cache_folder) == 1
        file.write_text(whole)
    assert verify(RunFolder(run.path), cache_folder) == 0


def test_rows_are_named_and_counted(finished, cache_folder, capsys):
    file = finished.fold(2) / "predictions.csv"
    lines = file.read_text().splitlines(keepends=True)
    best = [line.replace(",last,", ",best,") for line in lines[3:4]]
    file.write_text("".join([*lines[:2], *lines[3:], *best]))
    assert verify(finished, cache_folder) == 1
    out, err = capsys.readouterr()
    assert err.startswith("fold 2: 1 of 15 rows differ (bell-2-1)")
    assert "1 differ from what the weights give (47 rows of 3 folds, last" in out


def test_another_cache_is_refused(finished, mixed):
    with refused("holds other clips or values"):
        verify(finished, mixed)


@pytest.mark.parametrize("options", [PredictOptions, VerifyOptions, StressOptions])
def test_a_device_and_threads_are_looked_at_before_anything_is_read(options):
    with refused("DEVICE=tpu: expected one of auto, cpu"):
        options(device="tpu")
    with refused("THREADS=0: expected at least 1"):
        options(threads=0)
