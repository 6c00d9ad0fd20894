"""A message names a damaged file and its remedy, and the rest of the report is made."""

import pytest

from tests.damage import HOW, report_over_damage
from tests.golden.commands import command, done, inside
from tests.noise import write_clips

RUNS = "runs/birds/"
# file -> a key in it, and the remedy that the message names
FILES = {
    RUNS + "answer/choice.json": ("recommended", "run answer again"),
    "data/birds/features/check.json": ("audio", "check the dataset again"),
}


@pytest.fixture(scope="module")
def finished_dataset(tmp_path_factory):
    """A dataset with a check, runs and an answer."""
    folder = tmp_path_factory.mktemp("whole")
    write_clips(folder / "birds", "ant", "bee", tone=0.1)
    with inside(folder):
        command("check DATASET=birds")  # exit status 1 for a leak
        done("answer DATASET=birds FEATURES='rms zcr'")
        done("train DATASET=birds FEATURES=rms MODEL=linear")
    return folder


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize("how", HOW)
def test_each_damaged_file_is_named_and_the_report_is_made(finished_dataset, how):
    report_over_damage(finished_dataset, FILES, how)
