"""The page over all datasets: what it compares, what it leaves out and says of it."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import featurestack as fs
from featurestack.analysis.overview import check_choices
from featurestack.analysis.ranking import rankings
from featurestack.analysis.report_inputs import jobs
from featurestack.analysis.runs import load_runs
from featurestack.analysis.significance import LEVEL, sign_flip_tests
from featurestack.features_cache import external
from featurestack.rooms.across import comparison
from featurestack.rooms.across.comparison import DatasetGains, compared
from tests.analysis.made_datasets import (
    NAMES,
    comparison_alone,
    comparison_of,
    made_options,
    overview,
    train,
)
from tests.analysis.made_runs import made_clips
from tests.refusal import refused


@pytest.fixture
def options(tmp_path, monkeypatch):
    return made_options(tmp_path, monkeypatch)


@pytest.fixture
def trained(options):
    """Three datasets with the same runs."""
    for name in NAMES:
        train(options, name)
    return options


def problems(options):
    return {problem.run: problem.text for problem in comparison_alone(options).problems}


def test_three_datasets_are_compared_and_the_tables_hold_their_gains(trained):
    built = overview(trained)
    gains = built.gains
    assert [*gains] == [
        *("feature_set", "dataset", "score", "gain", "se", "low", "high", "verdict")
    ]
    mfcc = gains[gains["feature_set"] == "mel+mfcc"]
    assert mfcc["dataset"].tolist() == [*NAMES]
    assert mfcc["gain"].to_numpy() == pytest.approx(0.15)
    assert (mfcc["se"] > 0).all()
    assert [*built.pooled] == [
        *("feature_set", "datasets", "mean", "low", "high", "p", "tau"),
        *("new_low", "new_high"),
    ]
    assert built.pooled["mean"].to_numpy() == pytest.approx([0.15, 0])
    assert built.pooled["new_low"].isna().all()  # from five datasets on
    assert built.headline.startswith(
        "mel+mfcc has the largest gain over mel on these 3"
    )


@pytest.mark.parametrize(
    ("skill", "words"), [(0.75, ", and clearly (p"), (0.61, ", but not clearly (p")]
)
def test_the_sentence_says_clearly_only_of_a_clear_gain(options, skill, words):
    for name in NAMES:
        train(options, name, {"mel": 0.6, "mel_mfcc": skill})
    built = comparison_alone(options)
    assert comparison_of(options).best["clear"] == (skill == 0.75)
    assert words in comparison.on_these(comparison_of(options))
    assert built.headline.endswith(", not clearly") == (skill == 0.61)


def test_from_five_datasets_on_a_new_gain_is_predicted(options):
    for number in range(5):
        train(options, f"set{number}", {"mel": 0.6, "mel_mfcc": 0.6 + number / 20})
    built = comparison_alone(options)
    (row,) = built.pooled.to_dict("records")
    assert row["new_low"] < row["low"] < row["high"] < row["new_high"]
    assert "so it may go either way" in comparison.on_unseen(comparison_of(options))


def test_a_feature_set_of_fewer_than_three_datasets_is_not_compared(trained):
    train(trained, "birds", {"mel_chroma": 0.9})
    assert "mel+chroma" not in comparison_alone(trained).gains["feature_set"].tolist()


def test_the_model_of_most_datasets_is_compared_unless_one_is_named(trained):
    for name in NAMES:
        train(trained, name, model="texture")
    train(trained, "office", {"mel": 0.6, "mel_mfcc": 0.8}, model="texture")
    assert comparison_of(trained).model == "texture"
    named = replace(trained, model="linear")
    assert comparison_of(named).model == "linear"


def test_a_wrong_model_or_base_is_refused_before_any_report(trained):
    train(trained, "office", {"mel": 0.6, "chroma": 0.8}, model="texture")
    for wrong, hint in (
        ({"model": "linaer"}, "unknown trained model 'linaer'; did you mean 'li"),
        ({"base": "mel+mfc"}, "feature set 'mel.mfc'; did you mean 'mel.mfcc'"),
        ({"base": "mel+cqt", "model": "texture"}, "feature set of texture 'mel.cqt'"),
    ):
        folders = {name: getattr(trained, name) for name in ("data", "runs", "reports")}
        with refused(hint):
            fs.report([*NAMES, "office"], **folders, **wrong)
    assert not trained.reports.exists()


def test_a_command_on_one_dataset_may_name_a_model_or_base_of_another(options):
    train(options, "birds")
    train(options, "office", {"mel": 0.6, "chroma": 0.8}, model="texture")
    one = replace(options, dataset="birds")
    for given in ({"model": "texture"}, {"base": "chroma"}):
        check_choices(jobs(one), replace(one, **given))
    with refused("MODEL: unknown trained model 'mlp'"):
        check_choices(jobs(one), replace(one, model="mlp"))


def test_tags_are_tested_as_in_the_report_of_their_dataset(options):
    """By exact swaps of ten recordings: the jackknife finds less."""
    for name in NAMES:
        train(options, name, {"mel": 0.4, "mel_mfcc": 0.8}, clips=20, task="tags")
    job = jobs(replace(options, dataset="birds"))[0]
    gains, _ = comparison.dataset_gains(job, None, "linear", "mel")
    ranking = rankings(load_runs(job.runs).runs)[0]
    assert ranking.swaps
    best_less_other, tests = ranking.compare([(1, 0)])
    assert gains.differences.to_numpy() == pytest.approx(best_less_other)
    assert (gains.table["verdict"] == "gain").all() == (tests.p[0] < ranking.level)


def test_another_base_turns_the_gains_round(trained):
    turned = comparison_alone(replace(trained, base="mel+mfcc"))
    gains = turned.gains.set_index(["feature_set", "dataset"])["gain"]
    assert gains["mel", "birds"] == pytest.approx(-0.15)
    assert turned.headline.startswith("No feature set is better than mel+mfcc")


def test_a_dataset_without_the_base_is_named(trained):
    train(trained, "office", {"chroma": 0.6, "mfcc": 0.8})
    text = problems(trained)["office"]
    assert text.endswith("linear has no whole runs of mel and another feature set")


def test_a_damaged_run_is_left_out_and_the_rest_compared(trained):
    file = next(trained.runs.glob("birds/mel+cqt*/run.json"))
    file.write_text("{", encoding="utf-8")
    gains = comparison_alone(trained).gains
    assert "birds" not in gains[gains["feature_set"] == "mel+cqt"]["dataset"].tolist()
    assert "birds" in gains[gains["feature_set"] == "mel+mfcc"]["dataset"].tolist()


def test_runs_of_outdated_clips_are_named_and_left_out(trained):
    train(trained, "office")
    table = made_clips(clips=80, classes=4)
    table["label"] = np.roll(table["label"], 7)
    folder = trained.data / "office" / "features"
    external.create_cache(
        folder, table, dataset="office", sample_rate=8000, duration=1.0
    )
    assert "trained before the dataset changed" in problems(trained)["office"]


class Clips:
    """The part of a cache that tells the content of its audio."""

    def __init__(self, *contents):
        columns = {"source_hash": contents, "copy_of": "", "clip_id": ""}
        self.sources = pd.DataFrame(columns)


def test_a_dataset_inside_another_is_found_by_its_content():
    caches = {
        "small": Clips("a", "b"),
        "whole": Clips("a", "b", "c", "d"),
        "other": Clips("x", "y", "z"),
        "brought": Clips("", ""),
        "none": None,
    }
    inside = comparison.inside_others(caches)
    assert [*inside] == ["small"]
    assert inside["small"] == (
        "not compared: 2 of its 2 audio files are in whole too, which is compared"
    )


def copies(*ids):
    """Clips of other files, such as those of another sample rate."""
    clips = Clips(*[f"{id(ids)} {name}" for name in ids])
    clips.sources["clip_id"] = ids
    return clips


ESC = [f"1-{100_000 + n}-A" for n in range(20)]


def test_a_resampled_copy_is_found_by_its_clip_ids():
    caches = {"esc10": copies(*ESC[:8]), "esc50": copies(*ESC)}
    assert comparison.inside_others(caches) == {
        "esc10": "not compared: 8 of its 8 clip ids are in esc50 too, which is compared"
    }


def test_an_overlap_of_more_than_a_tenth_is_named():
    new = [f"1-{200_000 + n}-A" for n in range(9)]
    caches = {"whole": copies(*ESC), "part": copies(*ESC[:3], *new)}
    assert not comparison.inside_others(caches)
    (problem,) = comparison.partly_inside(caches)
    assert problem.run == "part"
    assert problem.text.startswith("3 of its 12 clip ids are in whole too")
    assert not comparison.partly_inside(
        {"a": copies(*ESC), "b": copies(*ESC[:1], *new, "x")}
    )


def dataset_gains(name, differences, score="accuracy"):
    differences = np.array(differences, float)[:, None]
    gain = differences.sum()
    row = {"feature_set": ["mel+mfcc"], "dataset": name, "score": score, "gain": gain}
    row |= {"se": 0.01, "low": gain - 0.02, "high": gain + 0.02, "verdict": "tie"}
    table = pd.DataFrame(row)
    shares = np.full(len(differences), 1 / len(differences))
    return DatasetGains(
        dataset=name,
        score=score,
        protocol="",
        synthetic=False,
        differences=pd.DataFrame(differences, columns=["mel+mfcc"]),
        shares=shares,
        table=table,
    )


def test_datasets_weigh_equally_in_the_joint_test():
    rng = np.random.default_rng(0)
    given = {
        name: rng.normal(0.02, 0.1, size) / size
        for name, size in (("a", 10), ("b", 40), ("c", 300))
    }
    made = compared([dataset_gains(*each) for each in given.items()], "linear", "mel")
    (row,) = made.joint.to_dict("records")
    assert row["gain"] == pytest.approx(
        np.mean([part.sum() for part in given.values()])
    )
    every = np.concatenate([*given.values()])[:, None]
    alone = sign_flip_tests(every, np.full(len(every), 1 / len(every)), LEVEL)
    assert row["p"] == alone.p[0]


def test_mean_average_precision_is_listed_and_no_part_of_a_mean():
    measured = [dataset_gains(name, [0.01] * 10) for name in "abc"]
    measured.append(dataset_gains("tagged", [0.05] * 10, "mAP"))
    made = compared(measured, "linear", "mel")
    assert made.listed == ("tagged",)
    assert made.gains["dataset"].tolist() == ["a", "b", "c", "tagged"]
    assert made.best["gain"] == pytest.approx(0.1)
    assert made.pooled["datasets"].tolist() == [3]


def test_synthetic_datasets_are_named(trained, monkeypatch):
    file = next(trained.runs.glob("birds/mel-linear*/run.json"))
    content = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(content | {"synthetic": True}), encoding="utf-8")
    assert "synthetic data" in problems(trained).get("birds", "")
