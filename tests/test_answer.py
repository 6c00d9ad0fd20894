"""From a folder of sounds to the report in one command, which a repeated command does
not do again.
"""

import pytest

import featurestack as fs
from featurestack.answer import AnswerOptions, find_answer
from tests.golden.sounds import easy_clips


@pytest.fixture
def options(tmp_path):
    easy_clips(tmp_path / "easy")

    def build(**given):
        places = {name: str(tmp_path / name) for name in ("data", "runs", "reports")}
        texts = {"dataset": str(tmp_path / "easy"), "features": "rms zcr"}
        return AnswerOptions.build(texts | places | {"jobs": "1"} | given)

    return build


def test_one_command_goes_from_a_folder_to_the_report(options, capsys):
    built, lines = find_answer(options())
    assert built.page.is_file() and "easy: " in lines[0]
    assert lines[1].startswith("alone, by linear, accuracy %: ")
    assert lines[2].endswith("selected on the test folds: its score is optimistic")
    told = capsys.readouterr().err
    assert "2 features: about " in told and "MINUTES= bounds it" in told
    _, same = find_answer(options())
    assert same == lines
    assert " to extract" not in capsys.readouterr().err


def test_minutes_leave_out_runs_and_say_so(options, capsys):
    built, lines = find_answer(options(minutes="0"))
    assert lines[1:] == [
        "no feature was ranked: MINUTES= was too short; repeat the command"
    ]
    assert "2 runs by linear left out" in capsys.readouterr().err
    assert built.page.is_file()


def test_it_is_a_function_too(options):
    given = options()
    places = {name: getattr(given, name) for name in ("data", "runs", "reports")}
    answered = fs.answer(
        given.dataset, features="rms", jobs=1, minutes=0, quiet=True, **places
    )
    assert answered.page.is_file()
