"""The detections to listen to, and the statements on all detections."""

import json
import os
import re
import shlex
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.special import expit

from featurestack.base.errors import make_command
from featurestack.extras.recordings.check import (
    TABLE,
    draw,
    read_checked,
    write_check,
)
from featurestack.extras.recordings.checked import (
    precision,
    precision_above,
    tell_checked,
    training_command,
)
from featurestack.extras.recordings.frames import Rule, candidates
from featurestack.extras.recordings.options import DetectionOptions
from featurestack.pipeline.datasets.readers import find_recordings
from featurestack.predict.options import PredictOptions
from featurestack.results.run_folder import write_config
from tests.extras.recordings import field
from tests.refusal import refused
from tests.run_configs import run_config

RATE = 8000
NAMES = ("north/r.wav", "south/r.wav")


@pytest.fixture
def found():
    """Detections of scores 0.9, 0.55 and 0.2 in a recording of 10 s, the last one in
    its last second.
    """
    frames = field.frames(10, classes=("cat", "dog"))
    probabilities = np.zeros((100, 2))
    probabilities[10:15, 0], probabilities[40:45, 1] = 0.9, 0.55
    probabilities[95:, 1] = 0.2
    rules = dict.fromkeys(frames.classes, Rule())
    table = frames.table(candidates(frames, probabilities, False, rules, {}))
    return table.assign(predicted=table["score"] > 0.5)


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(NAMES):
        file = tmp_path / name
        file.parent.mkdir()
        y = np.random.default_rng(number).normal(0, 0.1, 10 * RATE)
        soundfile.write(file, y, RATE)
    return tmp_path


def write(found, folder, count=100, **given):
    """The folder of a check of these detections in both recordings."""
    run = SimpleNamespace(path="runs/my songs/mel-frames")
    model = SimpleNamespace(sample_rate=RATE, audio_channel=0, run=run)
    options = PredictOptions(audio=folder, check=count, **given)
    files = {name: folder / name for name in NAMES}
    both = pd.concat([found.assign(file=name) for name in NAMES])
    seconds = dict.fromkeys(NAMES, 10.0)
    write_check(both, files, seconds, model, options, folder)
    return folder / "check"


def test_each_row_has_the_sound_of_its_own_recording(found, folder):
    check = write(found, folder)
    table = pd.read_csv(check / TABLE)
    assert len(table) == 6 and table["correct"].isna().all()
    assert sorted(table["sound"]) == sorted(file.name for file in check.glob("*.wav"))
    assert sorted(table["label"]) == [*2 * ["cat"], *4 * ["dog"]]
    for row in table.to_dict("records"):  # though both recordings have one name
        y, _ = soundfile.read(folder / row["recording"])
        sound, _ = soundfile.read(check / row["sound"])
        begin = round(max(0, row["start"] - 1) * RATE)
        assert np.allclose(y[begin : begin + len(sound)], sound, atol=1e-3)
    page = (check / "index.html").read_text()
    assert all(name in page for name in table["recording"])
    assert [*find_recordings(folder)] == [*NAMES]  # sounds to check are no recordings


def test_a_short_mark_is_seen_and_heard_in_a_short_sound(found, folder):
    short = found[:1].assign(end=found["start"] + 0.05)
    page = (write(short, folder) / "index.html").read_text()
    (cards,) = re.findall("const cards = (.*);", page)
    for card in json.loads(cards):
        lasts = soundfile.info(folder / "check" / card["sound"]).duration
        assert card["until"] - card["begin"] == pytest.approx(lasts) == 0.85
        assert card["begin"] < card["start"] < card["end"] < card["until"]


def test_answers_and_files_of_the_user_are_kept(found, folder):
    check = write(found, folder)
    (check / TABLE).write_text("answers")
    before = {file: file.read_bytes() for file in check.iterdir()}
    write(found[:1], folder)
    assert {file: file.read_bytes() for file in check.iterdir()} == before
    second = folder / "check-2"
    assert len(pd.read_csv(second / TABLE)) == len([*second.glob("*.wav")]) == 2
    (second / "index.html").write_text("mine")
    write(found[:1], folder)
    assert (second / "index.html").read_text() == "mine"
    assert (folder / "check-3" / "index.html").is_file()


def test_answers_of_the_same_detections_are_copied_into_a_larger_check(
    found, folder, capsys
):
    check = write(found, folder, 3)
    table = pd.read_csv(check / TABLE, dtype=str)
    answered = table.assign(correct=["yes", "", "no"])
    answered.to_csv(check / TABLE, index=False)
    capsys.readouterr()
    write(found, folder)
    out, err = capsys.readouterr()
    kept = f"{check} has your own answers and is kept\n"
    assert err.endswith(f"\n2 of your 6 are answered\n{kept}")
    assert out == f"next: make predict CHECKED={check}-2/{TABLE}\n"
    table.assign(start="99", correct="no").to_csv(check / TABLE, index=False)
    write(found, folder)
    assert "; 3 earlier answers are about others\n" in capsys.readouterr().err
    page = (folder / "check-2" / "index.html").read_text()
    larger = pd.read_csv(folder / "check-2" / TABLE, dtype=str, keep_default_na=False)
    given = json.dumps(larger["correct"].tolist(), separators=(",", ":"))
    assert f"const given = {given};" in page
    keys = ["recording", "label", "start"]
    both = larger.merge(answered, on=keys, suffixes=("", "_before"), how="left")
    assert both["correct"].tolist() == both["correct_before"].fillna("").tolist()
    assert sorted(larger["correct"]) == ["", "", "", "", "no", "yes"]


def test_a_new_check_takes_over_the_answers_of_a_table(found, folder, tmp_path, capsys):
    table = pd.read_csv(write(found, folder, 3) / TABLE, dtype=str)
    saved = tmp_path / "saved.csv"
    table.assign(correct=["no", "yes", ""]).to_csv(saved, index=False)
    (folder / "check" / TABLE).unlink()
    capsys.readouterr()
    write(found, folder, checked=saved, promise=0.8)
    larger = pd.read_csv(folder / "check" / TABLE, dtype=str, keep_default_na=False)
    assert larger["correct"].tolist() == ["no", "yes", "", "", "", ""]
    same = ["recording", "start", "label"]
    assert larger[same].head(3).to_dict() == table[same].to_dict()
    name = f"{folder.name}-6-answers.csv"
    assert capsys.readouterr().out == (
        f"next: make predict CHECKED='~/Downloads/{name}' PROMISE=0.8\n"
    )
    with refused("column correct: 'perhaps'"):
        table.assign(correct="perhaps").to_csv(saved, index=False)
        write(found, folder, checked=saved)


def test_the_table_remembers_the_words_that_find_its_detections(found, folder):
    given = {"out": folder / "a b", "threshold": "0.3", "promise": 0.8}
    table = pd.read_csv(write(found, folder, **given) / TABLE)
    (command,) = {*table["command"]}
    run, *words = shlex.split(command)
    assert run == "RUN=runs/my songs/mel-frames"
    assert words == [f"AUDIO={folder}", "THRESHOLD=0.3", f"OUT={folder}/a b"]


def test_a_model_that_is_too_weak_is_trained_with_the_sounds_of_the_check(tmp_path):
    run = tmp_path / "runs" / "farm" / "r"
    write_config(run, run_config(dataset="farm", features="mel"))
    words = [f"AUDIO={tmp_path}", f"RUN={run}", "DATA=d"]
    own = "DATASET=farm DATA=d FEATURES=mel"
    model = f"MODEL=frames@background={tmp_path}"
    assert training_command(words) == f"make train {own} {model}"
    other = run.with_name("m")  # of a feature that no background is mixed into
    write_config(other, run_config(dataset="farm", features="mfcc"))
    typed = f"make features {own} && make train {own} {model}"
    assert training_command([*words, f"RUN={other}"]) == typed
    (tmp_path / "a b").mkdir()  # MODEL= has models separated by blanks
    other = training_command([f"AUDIO={tmp_path}/a b", "RUN=gone.pt"])
    assert other.endswith(" DATASET=NAME FEATURES=mel MODEL=frames@background=FOLDER")


@pytest.mark.parametrize("exclusive", [False, True])
def test_what_checked_announces_is_what_predict_finds(exclusive):
    rng = np.random.default_rng(0)
    frames = field.frames(200, classes=("cat", "dog"))
    smooth = np.cumsum(rng.normal(0, 0.3, (2000, 2)), axis=0)
    probabilities = expit(smooth - smooth.mean(axis=0)).astype(np.float32)
    rules = {"cat": Rule(0.5, 0.5, 0.15), "dog": Rule(0.6, 1.0, 0.2)}
    every = frames.table(candidates(frames, probabilities, exclusive, rules, {}))
    overlap = (every["start"] < every["end"].shift() - 1e-9).any()
    assert overlap != exclusive
    scores = every["score"].to_numpy()
    predicted = scores > every["label"].map({"cat": 0.5, "dog": 0.6})
    checks = checked(scores, np.ones(len(every)), every.index, 100, predicted)
    above = precision_above(checks)
    assert len(above) > 5
    of_predicted = precision(checks[checks["predicted"] == 1])
    assert of_predicted["detections"] == predicted.sum()
    for row in above.itertuples():
        thresholds = dict.fromkeys(rules, row.above)
        found = candidates(frames, probabilities, exclusive, rules, thresholds)
        number = sum((own.score > row.above).sum() for own in found.values())
        assert number == row.detections


def test_ranges_of_the_score_are_drawn_evenly_and_more_checks_begin_the_same():
    scores = np.random.default_rng(0).beta(5, 1, 3000)
    every = np.ones(3000, bool)
    drawn, above, numbers = draw(scores, every, 100, np.random.default_rng(1))
    assert (scores[drawn] > above).all() and len({*drawn}) == 100
    for first in (20, 50, 100):
        assert {*np.unique(above[:first], return_counts=True)[1]} == {first // 10}
    for first in (1, 8, 12, 19, 20, 21, 50, 99):
        same, _, of_part = draw(scores, every, first, np.random.default_rng(1))
        assert same.tolist() == drawn[:first].tolist()
        assert first > 9 or {*of_part} == {3000}  # some ranges have no check
    sizes = pd.Series(numbers).groupby(above).first()
    assert sizes.sum() == 3000 and sizes.between(280, 320).all()
    few = scores > 0.97  # what is predicted is checked more
    drawn, *_ = draw(scores, few, 100, np.random.default_rng(1))
    assert few.mean() < 0.2 and 0.6 < few[drawn].mean() < 0.75


def checked(scores, right, recording, count, predicted=True, seed=0):
    """The table of a drawn check with all answers."""
    predicted = np.broadcast_to(predicted, len(scores))
    rng = np.random.default_rng(seed)
    drawn, above, numbers = draw(scores, predicted, count, rng)
    table = pd.DataFrame(
        {
            "recording": recording[drawn].astype(str),
            "label": np.where(drawn % 4, "owl", "jay"),
            "above": above,
            "detections": numbers,
            "highest": 0.99 - 0.2 * (drawn % 4 == 0),
            "predicted": predicted[drawn].astype(int),
            "correct": right[drawn].astype(float),
        }
    )
    answers = table.groupby(["above", "predicted"])["correct"].transform("count")
    return table.assign(weight=numbers / answers)


@pytest.mark.parametrize("most", [1.0, 0.85])
def test_intervals_hold_the_precision_whether_or_not_it_levels_off(most):
    rng = np.random.default_rng(7)
    held = []
    for _ in range(60):
        recording = np.repeat(np.arange(30), 30)
        odds = rng.normal(1, 1.6, len(recording))
        right = rng.random(len(odds)) < most * expit(0.5 + 1.3 * odds)
        scores = expit(odds)
        predicted = scores > rng.uniform(0.4, 0.8, len(odds))
        checks = checked(scores, right, recording, 100, predicted)
        rows = precision_above(checks)
        rows["true"] = [right[scores > end].mean() for end in rows["above"]]
        of_predicted = precision(checks[checks["predicted"] == 1])
        rows.loc[len(rows)] = {**of_predicted, "true": right[predicted].mean()}
        held += [*rows["true"].between(rows["low"], rows["high"])]
    assert np.mean(held) >= 0.94


WORDS = "AUDIO='new songs' RUN='a b/c' THRESHOLD=0.4 OUT=o"
TYPED = "make predict AUDIO='new songs' RUN='a b/c'"
HEADER = "recording,label,above,detections,highest,predicted,correct\n"


def test_a_range_counts_by_its_number_of_detections(tmp_path):
    file = tmp_path / "t.csv"
    rows = "a,x,0.2,300,1,yes,no\nb,x,0.2,300,1,yes,YES\na,x,0.8,100,1,yes,"
    file.write_text(f"{HEADER}{rows}y\n")
    above = precision_above(read_checked(file))
    assert above["precision"].tolist() == pytest.approx([0.625, 1.0])
    assert above["detections"].tolist() == [400, 100]
    file.write_text(f"{HEADER}{rows}\n")  # nothing is known of the highest scores
    assert precision_above(read_checked(file)).empty


def write_answers(file, right, recordings=6, threshold=0.65):
    """A table in which these answers were given for 319 detections."""
    scores = np.random.default_rng(0).uniform(0.6, 1, 319)
    recording = np.arange(319) % recordings
    table = checked(scores, np.ones(319), recording, len(right), scores > threshold)
    table["correct"] = np.where(right, "yes", "Unsure")
    found_by = {"command": WORDS, "page": "o/check/index.html"}
    table.assign(**found_by).to_csv(file, index=False)


FORTY_NINE_OF_FIFTY = np.arange(100) % 50 != 7


@pytest.mark.parametrize(
    ("right", "promise", "words"),
    [
        (
            FORTY_NINE_OF_FIFTY,
            0.85,
            (
                r"\nThe thresholds of the check keep .*\n.*\nTHRESHOLD=0.600, one for "
                r"all classes, keeps a precision of at least 85 % with 319 detections\n"
                rf"next: {TYPED} OUT=o THRESHOLD=0.600\n"
            ),
        ),
        (
            FORTY_NINE_OF_FIFTY,
            0.93,
            (
                r"\n100 checks: too few to promise 93 %(; .*)?\nabout [\d,]+ more may"
                r" be enough: "
                rf"CHECK=.*\nnext: {TYPED} THRESHOLD=0.4 OUT=o CHECKED=\S+ CHECK=\d+ "
                r"PROMISE=0.93\n"
            ),
        ),
        (
            np.arange(100) % 4 == 0,
            0.9,
            r"no threshold reaches 90 %: .*\nnext: .*background=FOLDER   \(.*FOLDER: ",
        ),
        # nine of ten are wanted, and the interval of fewer does not exclude them
        (
            np.arange(100) % 8 != 7,
            0.9,
            rf"too few to promise 90 %.*\nnext: {TYPED} .*CHECKED=\S+ CHECK=200\n",
        ),
        (
            FORTY_NINE_OF_FIFTY,
            0.97,
            (
                r"promise 97 %.*, but no detection of 1 of 2 classes is above it: jay\n"
                r"the promise is for future .* all 319 is not enough: predict .*\n"
                r"next: make predict AUDIO=FILE RUN='a b/c' .*=100 PROMISE=0.97   \(FI"
            ),
        ),
        (np.ones(100, bool), 0.9, "about 2.. of 2.. detections are right"),
        (np.ones(1, bool), 0.9, "one recording: the intervals hold only for its"),
    ],
)
def test_what_the_answers_say_is_printed(tmp_path, capsys, right, promise, words):
    write_answers(tmp_path / "t.txt", right)
    assert tell_checked(tmp_path / "t.txt", promise) == 0
    printed = capsys.readouterr().out
    assert re.search(words, printed), printed
    counts = map(int, re.findall(r": (\d+) right, ", printed))
    assert sum(counts) == right.sum()


def test_kept_thresholds_end_the_check_unless_others_find_clearly_more(
    tmp_path, capsys
):
    write_answers(tmp_path / "t.csv", FORTY_NINE_OF_FIFTY, threshold=0.61)
    tell_checked(tmp_path / "t.csv", 0.85)
    kept, about, command = capsys.readouterr().out.splitlines()[-3:]
    assert re.fullmatch(
        r"The thresholds of the check keep PROMISE=0\.85: 97\.\d %"
        r" \(8.* to 99\.\d\) are right\. o/counts\.csv has the results\.",
        kept,
    )
    assert "are right" in about
    next_one = "next: make predict AUDIO=FILE RUN='a b/c' THRESHOLD=0.4   (FILE: "
    assert command.startswith(next_one)


def test_tables_of_other_thresholds_and_later_corrections_are_named(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write_answers(tmp_path / "t.csv", FORTY_NINE_OF_FIFTY, threshold=0.61)
    table = pd.read_csv("t.csv")
    ranges = table[table["predicted"] == 1].drop_duplicates("above")
    number = ranges["detections"].sum()
    tables = tmp_path / "o"
    (tables / "raven").mkdir(parents=True)

    def said(detections):
        rows = "a.wav,1\n" * detections
        (tables / "detections.csv").write_text(f"file,start\n{rows}")
        tell_checked(tmp_path / "t.csv", 0.85)
        return re.search(r"are right\. (.*)\n", capsys.readouterr().out)[1]

    again = make_command("predict", *shlex.split(WORDS))
    for other in (0, number + 4):
        assert said(other) == (
            f"But o/detections.csv has {other} detections, and the check was drawn from"
            f" {number}: {again} finds these again."
        )
    corrected = tables / "raven" / "a.Table.1.selections.txt"
    for name in (corrected, tables / "counts.csv"):
        name.touch()
        os.utime(name, (10, 10))
    assert said(number) == "o/counts.csv has the results."
    os.utime(corrected, (20, 20))
    later = f"{again} also counts your corrected tables."
    assert said(number) == f"o/counts.csv has the results; {later}"


def test_a_class_of_few_recordings_has_no_interval(tmp_path, capsys):
    rows = "".join(
        f"{number % 5},x,0.6,12,1,yes,yes\n{number},y,0.6,12,1,yes,yes\n"
        for number in range(6)
    )
    (tmp_path / "t.csv").write_text(f"{HEADER}{rows}")
    tell_checked(tmp_path / "t.csv", 0.9)
    printed = capsys.readouterr().out
    assert re.search(r"x, as predicted +- +6 +6 of 6, in 5 recordings\n", printed)
    assert re.search(r"y, as predicted +- +6 +1\.000 \(.* to 1\.000\)", printed)


def test_open_rows_are_answered_before_more_are_drawn(tmp_path, capsys):
    file = tmp_path / "new-100-answers(1).csv"  # as a browser names it
    write_answers(file, FORTY_NINE_OF_FIFTY)
    table = pd.read_csv(file)
    table["correct"] = table["correct"].where(table.index < 40, "")
    table.to_csv(file, index=False)
    tell_checked(file, 0.9)
    todo = "on o/check/index.html, then type the command that it shows\n"
    assert capsys.readouterr().out.endswith(f"\nnext: answer the other 60 {todo}")
    few = table.assign(correct=table["correct"].where(table.index < 9, ""))
    few.to_csv(file, index=False)
    tell_checked(file, 0.9)
    too_few = "9 of your 100 are answered: too few for a precision"
    assert capsys.readouterr().out == f"{too_few}\nnext: answer the other 91 {todo}"
    table.to_csv(file, index=False)
    for name in (TABLE, "mine.csv"):
        by_hand = file.rename(tmp_path / name)
        tell_checked(by_hand, 0.9)
        said = f"\nnext: answer the other 60 in {by_hand}, then type the same command\n"
        assert capsys.readouterr().out.endswith(said)
        by_hand.rename(file)


def test_candidates_below_the_thresholds_are_counted_apart(tmp_path, capsys):
    rows = "a,x,0.6,9,1,yes,yes\nb,y,0.6,9,1,yes,yes\nb,x,0.2,30,1,no,no\n"
    (tmp_path / "t.csv").write_text(f"{HEADER}{rows}")
    tell_checked(tmp_path / "t.csv", 0.9)
    first, second, *others = capsys.readouterr().out.splitlines()
    # a single answer has no interval
    assert others[5].split() == ["x,", "as", "predicted", "-", "1", "1", "of", "1"]
    assert first == "2 detections checked in 2 recordings: 2 right, 0 wrong"
    below = "1 candidate below the thresholds checked in 1 recording: 0 right, 1 wrong"
    assert second == below


def test_why_the_precision_is_no_share_of_answers_and_its_interval_wide(
    tmp_path, capsys
):
    rows = "a,x,0.2,30,1,yes,no\nb,x,0.2,30,1,yes,yes\na,x,0.8,90,1,yes,yes\n"
    (tmp_path / "t.csv").write_text(f"{HEADER}{rows}")
    tell_checked(tmp_path / "t.csv", 0.9)
    printed = capsys.readouterr().out
    wide = "intervals from 2 recordings are wide: more recordings help more than more"
    assert f"\n{wide} checks\n" in printed
    assert "\nnext: make predict AUDIO=FILE CHECK=100 " in printed
    assert "\nprecision is 0.875, not 0.667: checks are drawn by range of" in printed
    alike = rows.replace("0.2,30", "0.2,170")  # 0.673
    (tmp_path / "t.csv").write_text(f"{HEADER}{alike}")
    tell_checked(tmp_path / "t.csv", 0.9)
    assert "precision is" not in capsys.readouterr().out
    write_answers(tmp_path / "t.csv", np.ones(100, bool))
    tell_checked(tmp_path / "t.csv", 0.9)
    printed = capsys.readouterr().out
    assert "recordings are wide" not in printed and "precision is" not in printed


def test_classes_that_lose_all_detections_are_named(tmp_path, capsys):
    scores = np.random.default_rng(0).uniform(0.6, 1, 1000)
    right = scores > 0.85
    table = checked(scores, right, np.arange(1000) % 20, 200, scores > 0.65)
    table["correct"] = np.where(table["correct"] == 1, "yes", "no")
    table.to_csv(tmp_path / "t.csv", index=False)
    tell_checked(tmp_path / "t.csv", 0.9)
    printed = capsys.readouterr().out
    assert "detections checked in 20 recordings: " in printed
    assert "\njay, as predicted " in printed and "\nas predicted " in printed
    assert re.search(
        r"\nTHRESHOLD=0.8\d+, one for all classes, keeps a .* 90 %", printed
    )
    assert ", but no detection of 1 of 2 classes is above it: jay\n" in printed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("recording,above,detections\na,0.5,3\n", "expected recording, label, above"),
        (
            f"{HEADER}a,owl,0.5,3,1,yes,TRUE\na,owl,0.5,3,1,yes,maybe\n",
            "line 3, column correct: 'maybe'; expected yes, no, unsure or nothing",
        ),
        (None, r"is a folder: name the table in it \(my answers.csv\)"),
        (
            HEADER + "a,owl,0.5,3,1,yes,\n" + 10 * "b,owl,0.2,30,1,yes,no\n",
            "has 10 answers, and none of the highest scores: .* correct of 001 first",
        ),
        (f"{HEADER}a,owl,high,3,1,yes,no\n", "column above: 'high'; expected a number"),
    ],
)
def test_a_table_without_answers_is_refused(tmp_path, text, words):
    if text is None:
        (tmp_path / "t.csv").mkdir()
        (tmp_path / "t.csv" / "my answers.csv").touch()
    else:
        (tmp_path / "t.csv").write_text(text)
    with refused(words):
        tell_checked(tmp_path / "t.csv", 0.9)


def test_a_spreadsheet_may_save_the_answers(tmp_path):
    rows = "a;x;0,5;3;1;yes;1\nb;x;0,5;3;1;yes;N\nc;x;0,5;3;1;yes;\n"
    text = HEADER.replace(",", ";") + rows
    (tmp_path / "t.csv").write_text(text, encoding="utf-16")
    table = read_checked(tmp_path / "t.csv")
    assert table["above"].tolist() == [0.5] * 3
    assert table["correct"].tolist()[:2] == [1, 0] and np.isnan(table["correct"][4])


def test_a_precision_in_percent_is_refused_with_the_largest_share():
    with refused("PROMISE=90: expected at most 0.99; 90 % is PROMISE=0.9"):
        DetectionOptions(promise=90.0)
    with refused("PROMISE=30: expected at most 0.99$"):  # below the least
        DetectionOptions(promise=30.0)
