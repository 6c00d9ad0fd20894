"""From a folder of sounds to the report in one command, which a repeated command does
not do again.
"""

import time

import numpy as np
import pandas as pd
import pytest
import soundfile

from featurestack.extras.answer import answer as answers
from featurestack.extras.answer.answer import (
    AnswerOptions,
    Clock,
    answer,
    find_answer,
    train_folds,
)
from featurestack.features_cache import external
from featurestack.train.options import RunOptions
from featurestack.train.retraining import StaleRun
from tests.golden.sounds import easy_clips
from tests.refusal import refused


@pytest.fixture
def options(tmp_path):
    easy_clips(tmp_path / "easy")

    def build(**given):
        places = {name: str(tmp_path / name) for name in ("data", "runs", "reports")}
        texts = {"dataset": str(tmp_path / "easy"), "features": "rms zcr"}
        return AnswerOptions.build(texts | places | {"jobs": "1"} | given)

    return build


@pytest.fixture
def quick(monkeypatch):
    """No set is trained by texture."""
    monkeypatch.setattr(answers, "BEST", 0)


def test_one_command_goes_from_a_folder_to_the_report(options, monkeypatch, capsys):
    monkeypatch.setattr(answers, "BEST", 1)
    found = find_answer(options())
    built, lines = found.built, found.lines
    assert built.page.is_file() and "easy: " in lines[0]
    assert lines[1].startswith("alone, by linear, accuracy %: ")
    assert lines[2].endswith("selected on the test folds: its score is optimistic")
    told = capsys.readouterr().err
    assert "2 features: about " in told and "MINUTES= bounds it" in told
    assert find_answer(options()).lines == lines
    assert " to extract" not in capsys.readouterr().err


def test_minutes_leave_out_runs_and_say_so(options, capsys):
    found = find_answer(options(minutes="0"))
    built, lines = found.built, found.lines
    assert lines[1:] == [
        "no feature was ranked: MINUTES= was too short; repeat the command"
    ]
    told = capsys.readouterr().err
    assert "the extraction of 1 feature left out" in told
    assert "1 run by linear left out" in told
    assert found.next_command.startswith("make answer DATASET=")
    assert " MINUTES=0.0 " in found.next_command
    assert built.page.is_file()


def test_a_feature_that_does_not_exist_is_refused_before_the_check(options, capsys):
    with refused("unknown feature 'mell'; did you mean 'mel'?"):
        find_answer(options(features="mell"))
    assert capsys.readouterr().out == ""


def test_data_that_cannot_be_tested_is_refused_before_the_check(
    options, tmp_path, capsys
):
    for name in ("beep", "hum"):
        (tmp_path / "one" / name).mkdir(parents=True)
        for number in range(2):
            y = np.sin(np.arange(4000) * (number + len(name)))
            soundfile.write(tmp_path / "one" / name / f"{number}.wav", y, 8000)
    rows = ["filename,label,fold"]
    rows += [f"{path},{path.parent.name},1" for path in tmp_path.glob("one/*/*.wav")]
    (tmp_path / "one.csv").write_text("\n".join(rows))
    with refused("one: one fold only, and testing needs two: FOLDS_BY=group"):
        find_answer(options(dataset=str(tmp_path / "one.csv")))
    assert capsys.readouterr().out == ""
    assert not list((tmp_path / "data").rglob("*.h5"))


def test_the_ranking_begins_with_the_promising_features(quick, options, capsys):
    find_answer(options(features="centroid mfcc rms"))
    told = capsys.readouterr().err
    assert "linear 1 of 3: mfcc " in told and "linear 2 of 3: centroid " in told


def test_what_minutes_left_out_is_done_by_the_next_call(quick, options):
    find_answer(options(minutes="0"))
    lines = find_answer(options()).lines
    assert "rms " in lines[1] and "zcr " in lines[1]


def test_the_time_may_end_between_two_folds(options):
    find_answer(options(features="rms", minutes="0"))  # extracts
    given = options(features="rms")
    clock = Clock(minutes=1.0, begun=time.monotonic() - 61)
    texts = {name: str(getattr(given, name)) for name in ("dataset", "data", "runs")}
    run = RunOptions.build(texts | {"features": "rms", "model": "linear"})
    assert len(train_folds(clock, run).finished) == 1


def test_only_the_features_that_are_named_are_ranked(quick, options):
    find_answer(options(features="rms zcr"))
    lines = find_answer(options(features="rms")).lines
    assert "rms " in lines[1] and "zcr" not in lines[1]
    cache = options().data / "easy" / "features"
    lines = find_answer(options(dataset=str(cache), features="zcr")).lines
    assert "zcr " in lines[1] and "rms" not in lines[1]


def test_frames_of_a_given_duration_are_extracted_and_ranked(quick, options):
    lines = find_answer(options(features="rms", frame="23")).lines
    assert "alone, by linear, accuracy %: rms@" in lines[1]


def test_the_entry_page_lists_the_new_report(quick, options):
    given = options(features="rms")
    find_answer(given)
    assert "easy/index.html" in (given.reports / "index.html").read_text()


def test_runs_of_other_folds_are_named_and_trained_again_if_asked(quick, options):
    before = find_answer(options(features="rms")).lines[1]
    regrouped = {"features": "rms", "group": "([0-9])-", "folds_by": "group"}
    with pytest.raises(StaleRun, match="RETRAIN=1 trains it again"):
        find_answer(options(**regrouped))
    after = find_answer(options(**regrouped, retrain="1")).lines[1]
    assert after.startswith("alone, by linear, accuracy %: rms ") and after != before


def test_runs_that_failed_are_not_laid_to_minutes(quick, options, monkeypatch):
    def fail(*given):
        raise OSError("the disk is full")

    monkeypatch.setattr(answers, "train_folds", fail)
    found = find_answer(options(features="rms"))
    assert "the runs failed, each with its reason above" in found.lines[1]
    assert not found.whole


def test_one_command_is_proposed_at_the_end(quick, options, capsys):
    assert answer(options()) == 0
    assert capsys.readouterr().out.count("next:") == 1


def test_the_features_of_a_cache_are_ranked_as_they_are(quick, options):
    given = options(minutes="0")
    find_answer(given)
    cache = given.data / "easy" / "features"
    lines = find_answer(options(dataset=str(cache), features="all")).lines
    assert lines[1].startswith("alone, by linear, accuracy %: ")


def test_vectors_of_ones_own_are_ranked_and_not_given_to_texture(options, tmp_path):
    labels = ["dog", "cat"] * 10
    ids = [f"clip{number}" for number in range(20)]
    table = {"clip_id": ids, "label": labels, "fold": np.arange(20) % 5 + 1}
    folder = tmp_path / "data" / "mine" / "features"
    external.create_cache(folder, table)
    place = (np.array(labels) == "dog")[:, None]
    noise = np.random.default_rng(0).normal(size=(20, 3))
    external.write_feature(folder, "embedding", place + noise, ids)
    external.write_feature(folder, "noise", noise, ids)
    found = find_answer(options(dataset=str(folder), features="all"))
    assert found.whole and "embedding" in found.lines[1]


def test_clips_with_several_labels_are_ranked_by_map(quick, options, tmp_path):
    files = sorted((tmp_path / "easy").glob("*/*.wav"))
    labels = [
        f"{file.parent.name};odd" if n % 2 else "" for n, file in enumerate(files)
    ]
    table = tmp_path / "labels.csv"
    names = [str(file) for file in files]
    pd.DataFrame({"filename": names, "label": labels}).to_csv(table, index=False)
    lines = find_answer(options(dataset=str(table))).lines
    assert lines[1].startswith("alone, by linear, mAP %: ")
