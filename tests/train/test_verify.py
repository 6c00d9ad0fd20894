"""A row of predictions.csv that the weights do not give is found."""

import pytest

from featurestack.train.trained_options import VerifyOptions
from featurestack.train.verify import verify_run
from tests.refusal import refused


def verify(run, dataset):
    return verify_run(
        VerifyOptions(run=str(run.path), dataset=str(dataset), threads="1")
    )


def test_a_run_follows_from_its_weights(finished, cache_folder, capsys):
    assert verify(finished, cache_folder) == 0
    assert "is what the weights give (48 rows of 3 folds)" in capsys.readouterr().out


@pytest.fixture
def rows(finished):
    """Lines of the second fold's predictions.csv, the heading first."""
    return (finished.fold(2) / "predictions.csv").read_text().splitlines()


def write(finished, rows):
    text = "".join(f"{row}\n" for row in rows)
    (finished.fold(2) / "predictions.csv").write_text(text)


def test_a_changed_probability_a_changed_class_and_a_lost_row(
    finished, rows, cache_folder, capsys
):
    heading, *clips = [row.split(",") for row in rows]
    names = [clip[heading.index("clip_id")] for clip in clips[:3]]
    first, second, _, *others = clips
    best = heading.index("bell")
    first[best:] = reversed(first[best:])
    second[heading.index("target")] = "rain"
    write(finished, map(",".join, [heading, first, second, *others]))
    assert verify(finished, cache_folder) == 1
    out, err = capsys.readouterr()
    assert err.startswith("fold 2: 3 of 15 rows differ")
    assert all(name in err for name in names)
    assert "3 differ from what the weights give (47 rows of 3 folds)" in out


def test_another_cache_is_refused(finished, mixed):
    with refused("holds other clips or values"):
        verify(finished, mixed)
