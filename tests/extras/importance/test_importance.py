"""Importance and the curve: of made-up fits, and of the little dataset's."""

import json
import re
import time
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import featurestack as fs
from featurestack.analysis.page import ReportJob
from featurestack.analysis.report.build import build_report
from featurestack.base.quantities import percent, points
from featurestack.extras.importance import CurveOptions, ImportanceOptions
from featurestack.extras.importance.curve import curve_summary, measure_curve
from featurestack.extras.importance.importance import (
    Importance,
    SetScores,
    classes_table,
    importance_summary,
    make_fits,
    measure_importance,
    measures_table,
    read_importance,
    sizes_of,
    smaller_sets,
)
from featurestack.extras.importance.section import make_importance, verdicts
from featurestack.features_cache import external
from featurestack.train.fits import Fits, read_features
from tests.damage import HOW, report_over_damage
from tests.golden.commands import command, done, inside
from tests.noise import write_clips
from tests.processes import Fork
from tests.refusal import refused
from tests.train.small_cache import run_with
from tests.versions import newer_feature

FEATURES = ("mel", "noise", "rms")
RECORDINGS = 40  # each has three clips
# worth of the features: mel 40 points, rms 20, noise nothing
SHARES = {(): 0.2, ("mel",): 0.6, ("rms",): 0.4, ("mel", "rms"): 0.8}


def made(shares=SHARES, recordings=RECORDINGS):
    """Fits with these shares of correct clips, alike in all recordings of a fold; noise
    changes none.
    """
    count = 3 * recordings
    number = np.arange(count)
    recording = number % recordings
    clips = pd.DataFrame({"unit": recording, "fold": 1 + recording % 5})
    target = recording // 5 % 2
    labels = pd.DataFrame({"dog": target == 0, "rain": target == 1})
    scores = {}
    for name in sizes_of(FEATURES):
        useful = tuple({*name.split("+")} & {"mel", "rms"})
        share = shares[tuple(sorted(useful))]
        scores[name] = (number * 7 % count < count * share) * 1.0
    weights = np.ones(count)
    over_chance = {}
    for name in (*FEATURES, "+".join(FEATURES)):
        lead = np.mean(scores[name]) - np.mean(scores["none"])
        over_chance[name] = SimpleNamespace(clear=lead > 0, p=float(lead <= 0))
    parts = {name: own[None] for name, own in scores.items()}
    return SetScores(FEATURES, clips, weights, labels, parts, over_chance)


def written(folder, fits):
    """importance.json of these fits in a folder of runs."""
    tables = {"features": measures_table(fits), "classes": classes_table(fits)}
    tables["smaller"] = smaller_sets(fits)
    measured = Importance(
        clips=len(fits.clips),
        recordings=fits.clips["unit"].nunique(),
        protocol="5 folds",
        tested="0",
        data="",
        score="accuracy",
        every=0.8,
        features=FEATURES,
        rows={name: tuple(table.to_dict("records")) for name, table in tables.items()},
    )
    file = folder / "made" / "importance" / "importance.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(asdict(measured)))
    return file


def report_on(runs, reports):
    places = {"folder": reports / "reported", "runs_folder": runs}
    return build_report(ReportJob(dataset="made", runs=(), cache=None, **places))


def test_each_measure_has_its_interval_and_p():
    tests = measures_table(made()).set_index(["measure", "feature"])
    for measure, feature, mean in (
        ("lost", "mel", 0.4),
        ("lost", "rms", 0.2),
        ("added", "rms", 0.2),
    ):
        test = tests.loc[(measure, feature)]
        assert test["mean"] == pytest.approx(mean)
        assert test["low"] < test["mean"] < test["high"] and test["significant"]
    noise = tests.loc[("lost", "noise")]
    assert noise["mean"] == 0 and not noise["significant"]
    assert ("added", "mel") not in tests.index
    assert tests.loc[("added", "rms"), "score"] == pytest.approx(0.8)


def test_classes_have_the_mean_of_their_clips_within_an_interval():
    fits = made()
    table = classes_table(fits).query("measure == 'lost' and feature == 'mel'")
    assert (table["low"] <= table["mean"]).all() and (
        table["mean"] <= table["high"]
    ).all()
    assert table["low"].min() >= -1 and table["high"].max() <= 1
    of_mel = table.set_index("class")["mean"]
    lost = fits.scores["mel+noise+rms"] - fits.scores["noise+rms"]
    for name, of_class in fits.labels.items():
        assert of_mel[name] == pytest.approx(lost[of_class].mean())


def test_a_set_is_as_good_only_if_the_interval_says_so():
    many = smaller_sets(made(recordings=400))
    assert many["features"].tolist() == ["mel", "mel+rms"]
    assert many["verdict"].tolist() == ["worse", "as good"]
    # the interval of 40 recordings reaches further than a twentieth of the gain
    assert smaller_sets(made())["verdict"].tolist() == ["worse", "open"]


def test_sets_that_differ_between_folds_are_all_named():
    """Of two equal sets, the one is chosen where the other's extra clip is tested."""
    fits = made({**SHARES, ("rms",): 0.6})
    wrong = fits.clips[fits.scores["mel"] == 0].groupby("fold").head(1)
    by_fold = pd.Series(wrong.index, wrong["fold"])
    fits.scores.loc[by_fold[2], "mel"] = fits.scores.loc[by_fold[3], "rms"] = 1.0
    row = smaller_sets(fits).iloc[0]
    assert row["features"] == "mel in 4 folds and rms in 1 fold"
    assert row["score"] < fits.scores["mel"].mean() and not row["agreed"]


@pytest.mark.parametrize("share", [0.2, 0.0])
def test_no_smaller_set_is_named_if_all_are_like_chance_or_worse(share):
    shares = dict.fromkeys(SHARES, share) | {(): 0.2}
    assert smaller_sets(made(shares)).empty


def test_a_report_shows_what_was_measured(tmp_path):
    written(tmp_path, made())
    built = report_on(tmp_path, tmp_path)
    page = built.page.read_text()
    text = " ".join(re.sub(r"<[^>]*>", "", page).split())
    assert re.search(r"As good as all features, \d\d\.\d %no smaller set", text)
    assert "Points lost without a featuremel 40.0" in text
    assert built.whole and page.count('<figure id="figure-run-importance') == 2


# ---- the fits of a dataset


@pytest.fixture
def asked(cache_folder, tmp_path):
    """Options on the little cache."""
    return lambda features, **more: ImportanceOptions(
        dataset=str(cache_folder), runs=tmp_path, features=features, **more
    )


def test_alone_all_and_all_but_one_are_runs_of_ridge(asked, cache_folder, options):
    fits = make_fits(*read_features(asked("mel chroma blank"), least=2))
    ids = fits.clips["clip_id"]
    for features in ("mel", "chroma", "mel+chroma+blank", "mel+blank"):
        given = {"grid": "64x216", "model": "ridge", "features": features}
        trained = run_with(options, dataset=str(cache_folder), **given)
        rows = trained.scored().set_index("clip_id").loc[ids]
        correct = rows[trained.classes].idxmax(axis=1) == rows["target"]
        assert fits.scores[features].tolist() == correct.tolist()


def test_a_repeated_call_fits_nothing_and_one_more_feature_only_its_sets(
    asked, monkeypatch
):
    measured = measure_importance(asked("mel chroma"))
    fitted = []
    fit = Fits.fit

    def counted(self, features, train):
        fitted.append(features)
        return fit(self, features, train)

    monkeypatch.setattr(Fits, "fit", counted)
    assert measure_importance(asked("mel chroma")) == measured
    assert not fitted
    wider = measure_importance(asked("mel chroma blank"))
    assert wider.features == ("mel", "chroma", "blank")
    assert {*fitted} == {"blank", "mel+blank", "chroma+blank", "mel+chroma+blank"}


def test_clips_that_lack_a_feature_are_named(tmp_path, capsys):
    folder, ids = tmp_path / "d" / "features", list("abcdefgh")
    table = {"clip_id": ids, "label": list("xy") * 4, "fold": [1, 1, 2, 2] * 2}
    external.create_cache(folder, table)
    values = np.random.default_rng(0).normal(size=(8, 4))
    external.write_feature(folder, "f0", values, ids)
    external.write_feature(folder, "f1", values[:7], ids[:7])
    given = {"features": "f0 f1", "dataset": str(folder), "runs": tmp_path}
    assert measure_importance(ImportanceOptions(**given)).clips == 7
    assert "1 clip left out: no f0+f1 in the cache" in capsys.readouterr().err


def test_the_summary_has_a_line_for_each_feature(asked, capsys):
    measured = measure_importance(asked("blank chroma mel"))
    lines = importance_summary(measured).splitlines()
    assert [line.split()[0] for line in lines[-4:-1]] == ["chroma", "mel", "blank"]
    assert "added to mel" in lines[0] and "the base" in lines[-3]
    make_importance(asked("blank chroma mel"))
    *_, lost, good, proposed = capsys.readouterr().out.splitlines()
    told = [f"{label}: {text}" for label, text in verdicts(measured).items()]
    assert told == [lost, good]
    assert proposed.startswith("next: make analysis DATASET=")


def test_a_killed_command_goes_on_where_it_was(asked, cache_folder, tmp_path):
    options = asked("mel chroma blank")
    words = (f"DATASET={cache_folder}", f"RUNS={tmp_path}", "FEATURES=mel chroma blank")
    slow = (
        "import sys, time; from featurestack.train.fits import Fits;"
        " fitted = Fits.fitted;"
        " Fits.fitted = lambda *own: time.sleep(0.3) or fitted(*own);"
        " from featurestack.cli.commands import main; sys.exit(main())"
    )
    command = Fork("-c", slow, "importance", *words)
    deadline = time.monotonic() + 600
    while len([*tmp_path.glob("*/fits/*.npz")]) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    command.kill()
    kept = {file: file.read_bytes() for file in tmp_path.glob("*/fits/*.npz")}
    assert not [*tmp_path.glob("*/importance/importance.json")]
    measured = measure_importance(options)
    assert all(file.read_bytes() == content for file, content in kept.items())
    assert measured == measure_importance(replace(options, runs=tmp_path / "whole"))


def test_a_damaged_file_is_made_again(asked):
    _, fits = read_features(asked("mel chroma"), least=2)
    answers = fits.logits("mel", fits.parts)
    file = fits.file("mel")
    file.write_bytes(file.read_bytes()[:100])
    assert all(map(np.array_equal, answers, fits.logits("mel", fits.parts)))


# ---- the curve


@pytest.fixture(scope="module")
def curve(sounds_run):
    root = sounds_run.path.parents[2]
    return measure_curve(
        CurveOptions(
            dataset=str(root / "sounds" / "little.csv"),
            data=root / "data",
            runs=root / "runs",
            features="mel mfcc+chroma",
        )
    )


def test_the_parts_grow_to_all_recordings(curve):
    assert curve["features"].unique().tolist() == ["mel", "mfcc+chroma"]
    curve = curve[curve["features"] == "mel"]
    # an eighth of 12 recordings leaves one of each class, as a quarter does
    assert curve["part"].tolist() == ["1/4", "1/2", "all"]
    assert curve["recordings"].is_monotonic_increasing
    assert curve["recordings"].is_unique
    assert curve["recordings"].iloc[-1] == 12


def test_the_summary_says_what_each_larger_part_brings(curve):
    for features, rows in curve.groupby("features"):
        gain = rows["accuracy"].iloc[-1] - rows["accuracy"].iloc[-2]
        lines = curve_summary(curve).splitlines()
        (row,) = (n for n in lines if re.match(rf"{re.escape(features)} +all ", n))
        assert row.endswith(f" {points(gain)}")
        for score in rows["accuracy"]:
            assert f" {percent(score)} " in curve_summary(curve)
    assert not re.search(r"\b12\.0", curve_summary(curve))


@pytest.mark.parametrize("speakers", [2, 3])
def test_a_curve_of_few_speakers_has_no_verdict(tmp_path, speakers):
    number = np.arange(40)
    speaker = number // 2 % speakers
    ids = [f"clip{own}" for own in number]
    table = {"clip_id": ids, "label": np.tile(["x", "y"], 20), "fold": speaker + 1}
    table["group"] = [f"speaker{own}" for own in speaker]
    folder = tmp_path / "few" / "features"
    external.create_cache(folder, table)
    values = np.random.default_rng(0).normal(size=(40, 4)) + number[:, None] % 2
    external.write_feature(folder, "f0", values, ids)
    options = CurveOptions(dataset=str(folder), runs=tmp_path / "runs", features="f0")
    told = curve_summary(measure_curve(options))
    assert f"{speakers} recordings are too few for a verdict" in told


# ---- another version, damage


@pytest.fixture(scope="module")
def birds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("birds")
    write_clips(folder / "birds", "ant", "bee", tone=0.1)
    with inside(folder):
        done("features DATASET=birds FEATURES='rms zcr' JOBS=1")
        done("train DATASET=birds FEATURES=rms MODEL=linear")
        done("importance DATASET=birds FEATURES='rms zcr'")
    return folder


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize("how", HOW)
def test_a_damaged_table_is_named_and_the_report_is_made(birds, how):
    remedy = "rows", "measure importance again"
    report_over_damage(birds, {"runs/birds/importance/importance.json": remedy}, how)


@pytest.mark.parametrize("table", ["features", "classes"])
def test_a_file_without_a_table_is_damaged(birds, table, tmp_path):
    whole = (birds / "runs/birds/importance/importance.json").read_text()
    content = json.loads(whole)
    for rows in ({**content["rows"], table: []}, without(content["rows"], table)):
        (tmp_path / "importance.json").write_text(json.dumps(content | {"rows": rows}))
        with refused(r"importance.json cannot be read \(.*measure importance again"):
            read_importance(tmp_path)


def without(rows, table):
    return {name: of_table for name, of_table in rows.items() if name != table}


def test_a_cache_of_another_version_is_refused(birds):
    with inside(birds), newer_feature("rms"):
        answer = command("importance DATASET=birds FEATURES='rms zcr'")
    assert answer.status == 2 and "has rms by version 1, here 2: run" in answer.err


def test_the_functions_take_a_cache_and_refuse_a_set_as_the_dataset(birds):
    with inside(birds):
        cache = fs.cache("birds")
        assert "rms" in fs.curve(cache, "rms", quiet=True)["features"].to_list()
        with refused("'rms zcr' is a feature set: give it as features=\"rms zcr\""):
            fs.importance("rms zcr", "birds")
