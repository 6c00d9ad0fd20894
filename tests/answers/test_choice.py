"""Features are chosen for each test fold without a clip of this fold."""

import re
import weakref
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import featurestack as fs
from featurestack.analysis import sentences
from featurestack.analysis.findings import findings
from featurestack.analysis.report import build as reports
from featurestack.analysis.report.runs import load_runs
from featurestack.answers import SET_COLUMNS, AnswerOptions, choice
from featurestack.answers.answer import find_answer
from featurestack.answers.choice import (
    SetScores,
    choose_set,
    fits_that_choose,
    rankable,
    write_answer,
)
from featurestack.answers.chosen import read_choice
from featurestack.answers.section import choices
from featurestack.base.files import is_held
from featurestack.features_cache import external, index_file
from featurestack.features_cache.cache import Cache
from featurestack.results.options import ListOptions, RemoveOptions
from featurestack.results.run_folder import RunFolder, find
from featurestack.results.run_list import list_runs, remove_runs
from featurestack.train.fits import Fits, fits_of
from featurestack.train.options import RunOptions
from featurestack.train.plan import make_plan
from featurestack.train.training import execute
from tests.analysis.made_runs import no_figures
from tests.refusal import refused

CLASSES = 3


def brought(folder, values, *, folds=5, groups=None, clips=60):
    """A cache of features of one's own, and the (N,) class and fold of its clips."""
    number = np.arange(clips)
    target = number % CLASSES
    fold = number // CLASSES % folds + 1
    ids = [f"clip{place:03d}" for place in number]
    table = {"clip_id": ids, "label": [f"k{place}" for place in target], "fold": fold}
    if groups is not None:
        table["group"] = groups
    external.create_cache(folder, table)
    for name, of_clips in values(target, fold).items():
        external.write_feature(folder, name, of_clips, ids, dtype="float32")


def noise(seed, features=4):
    def values(target, fold):
        rng = np.random.default_rng(seed)
        return {
            f"f{name}": rng.normal(size=(len(target), 4)) for name in range(features)
        }

    return values


def scores_of(folder, place, names):
    given = {"dataset": str(folder), "runs": place / "runs", "model": "ridge"}
    options = RunOptions(features="+".join(names), **given)
    return SetScores(fits_of(make_plan(options)))


def test_vectors_are_the_map_of_the_cache_in_the_order_of_its_clips(tmp_path):
    """Memory: layers of a network are read from the file, not copied for the fits."""
    folder = tmp_path / "d"
    brought(folder, noise(1, 1))
    cache = Cache(folder)
    ids = cache.clips["clip_id"]
    values = np.asarray(cache["f0"])
    external.write_feature(folder, "turned", values[::-1], ids[::-1], dtype="float32")
    numbers = scores_of(folder, tmp_path, ["f0", "turned"]).fits.numbers
    assert not numbers["f0"].flags.writeable  # of a read-only map
    np.testing.assert_array_equal(numbers["f0"], values[:, :, 0])
    np.testing.assert_array_equal(numbers["turned"], numbers["f0"])


@pytest.mark.parametrize("folds", [2, 5])
def test_no_fit_that_chooses_for_a_fold_has_seen_its_clips(tmp_path, folds):
    # some recordings have clips in two folds
    groups = [f"r{place - 3 if place % 12 == 3 else place}" for place in range(60)]
    brought(tmp_path / "d", noise(0, 1), folds=folds, groups=groups)
    fits = scores_of(tmp_path / "d", tmp_path, ["f0"]).fits
    table = fits.plan.cache.clips
    choosing = fits_that_choose(fits)
    assert {*choosing} == {None, *range(1, folds + 1)}
    for outer, pairs in choosing.items():
        for part, scored in pairs:
            assert len(scored) and {*scored} <= {*part.tested}
            used = table.iloc[[*part.train, *scored]]
            outside = table[table["fold"] == outer]
            assert not {*used["group"]} & {*outside["group"]}
            trained = table.iloc[part.train]
            assert not {*trained["group"]} & {*table.iloc[scored]["group"]}


def test_the_clips_of_a_fold_do_not_change_its_choice(tmp_path):
    names = [f"f{place}" for place in range(3)]

    def told(target, fold):
        """The first fold's clips hold their class, in a feature of noise."""
        values = noise(3, 3)(target, fold)
        values["f2"][fold == 1] = 9 * np.eye(4)[target[fold == 1]]
        return values

    brought(tmp_path / "plain", noise(3, 3), folds=3)
    brought(tmp_path / "told", told, folds=3)
    plain, other = (
        choose_set(scores_of(tmp_path / at, tmp_path / at, names), 1)
        for at in ("plain", "told")
    )
    assert plain == other


@pytest.mark.parametrize("only_trained", [0, 20])
def test_a_single_features_map_is_the_measure_of_its_run(tmp_path, only_trained):
    """The mean of the folds' own mAP is higher where a class is rare."""
    rng = np.random.default_rng(0)
    label = np.where(rng.random(60) < 0.2, "common;rare", "common")
    label[::4] = ""
    ids = [f"clip{place}" for place in range(60)]
    table = {"clip_id": ids, "label": label, "fold": np.arange(60) % 5 + 1}
    values = rng.normal(size=(60, 4))
    table |= {
        "group": ids,
        "train_only": [""] * (60 - only_trained) + ["1"] * only_trained,
    }
    values[60 - only_trained :] *= 9  # they are no part of means and deviations
    external.create_cache(tmp_path / "d", table)
    external.write_feature(tmp_path / "d", "f0", values, ids)
    score = scores_of(tmp_path / "d", tmp_path, ["f0"]).of("f0", None)
    given = {"dataset": str(tmp_path / "d"), "runs": tmp_path, "model": "ridge"}
    execute(RunOptions(**given, features="f0"))
    own = findings(*load_runs(find(tmp_path, "d"))).best.score.value
    assert score == pytest.approx(own, abs=1e-3)


def test_a_good_feature_is_chosen_in_every_fold_and_a_useless_one_is_left(tmp_path):
    def values(target, fold):
        values = noise(1, 2)(target, fold)
        values["f1"][:, :CLASSES] += 3 * np.eye(CLASSES)[target]
        return values

    brought(tmp_path / "d" / "features", values, folds=3)
    found = answered(tmp_path)
    assert all("f1" in features.split("+") for features in found.chosen.values())
    assert found.score.value > 0.8 and found.alone["f1"] > 0.8
    assert next(iter(found.alone)) == "f1"
    assert re.search(r"Sets chosen in 3 folds: (f0\+)?f1 in \d", str(found))
    # the best feature is compared with each other one
    table = pd.read_csv(found.page.parent / "tables" / "chosen_sets.csv")
    assert table["verdict"].iloc[0] == "best"
    useless = table.set_index("features").loc["f0"]
    assert useless["verdict"] == "clearly worse" and useless["difference_high"] < 0
    # recommended is the highest of all, with the score of its run
    assert table["features"].iloc[0] == found.recommended
    assert table["estimate"].iloc[0] == table["estimate"].max()
    assert run_score(found) == pytest.approx(table["estimate"].iloc[0], abs=1e-6)
    # and the answer with a run of one of them
    given = {"runs": tmp_path / "runs", "features": "f0", "model": "ridge"}
    run = execute(RunOptions(dataset=str(tmp_path / "d" / "features"), **given))
    beside = findings(*load_runs([RunFolder(found.runs / "d" / "answer"), run]))
    assert [own.verdict for own in beside.every] == ["best", "clearly worse"]


def test_a_later_answer_takes_the_place_of_the_former_whose_runs_stay(tmp_path, capsys):
    brought(tmp_path / "d" / "features", noise(1, 3), folds=3)
    runs = tmp_path / "runs"
    answered(tmp_path, features="f0 f1")
    for features in ("f0 f2", "f2 f1 f0"):
        before = {run.name for run in find(runs, "d")}
        found = answered(tmp_path, features=features)
        assert {*found.alone} == {*features.split()}
        after = {run.name: run for run in find(runs, "d")}
        assert before <= after.keys()
        of_answers = [name for name, run in after.items() if run.config.members]
        assert of_answers == ["answer"]
        assert {*read_choice(runs / "d" / "answer").candidates} == {*features.split()}
        assert findings(*load_runs(after.values())).best.name == "answer"
    capsys.readouterr()
    list_runs(ListOptions(runs=runs))
    printed = capsys.readouterr().out
    listed = re.findall("^/.*", printed, re.MULTILINE)
    assert f"{runs}/d/answer " in listed[-1]  # the newest
    if len(listed) < len(after):
        assert f"{len(listed)} of {len(after)} runs; answers have" in printed


def test_an_answer_is_waited_for_and_its_run_is_not_removed_meanwhile(
    tmp_path, monkeypatch
):
    brought(tmp_path / "d" / "features", noise(1, 2), folds=3)
    build, held = reports.build_report, []

    def built(job):
        held.append(is_held(tmp_path / "runs/d/answer/.lock"))
        with refused("answer is being trained by another process"):
            remove_runs(RemoveOptions(runs=tmp_path / "runs", run="answer", yes=True))
        return build(job)

    monkeypatch.setattr(reports, "build_report", built)
    answered(tmp_path)
    assert held == [True]
    assert not is_held(tmp_path / "runs/d/answer/.lock")


@pytest.mark.parametrize(
    ("drawn", "protocol"), [(0, "3 folds"), (1, "5 drawings of 3 folds")]
)
def test_sets_are_compared_with_single_features_that_are_chosen_in_the_same_way(
    tmp_path, drawn, protocol
):
    def halves(target, fold):
        """f0 tells k0 from the others, f1 tells k1."""
        values = noise(1, 3)(target, fold)
        for number in (0, 1):
            values[f"f{number}"] += 9 * (target == number)[:, None]
        return values

    brought(tmp_path / "d" / "features", halves, folds=3)
    cache = Cache(tmp_path / "d" / "features")
    settings = cache.settings | {"folds_drawn": drawn}
    index_file.refresh(cache.folder, cache.sources, settings)
    found = answered(tmp_path)
    own = read_choice(tmp_path / "runs" / "d" / "answer")
    assert {*own.sets} == {"f0+f1"} and own.together["together"] == 1
    gain = own.together["together"] - own.together["alone"]
    assert own.together["difference"] == pytest.approx(gain)
    assert re.search(
        r"Gain over single features chosen in the same way: \+.* points .*, a clear d",
        str(found),
    )
    assert f"Single features, accuracy, {protocol}: " in str(found)
    table = pd.read_csv(found.page.parent / "tables" / "chosen_classes.csv")
    recalls = table.set_index("class")
    assert recalls["the choice"].tolist() == [1, 1, 1]
    assert recalls.loc["k0", "f0"] == 1 == recalls.loc["k1", "f1"]
    assert recalls.loc["k1", "f0"] < 1


def test_single_features_that_are_not_shown_are_counted():
    scores = {
        "features": [f"f{n}" for n in range(9)],
        "estimate": np.linspace(0.9, 0.5, 9),
    }
    config = SimpleNamespace(sets=("f0",), protocol="5 folds", together={})
    told = choices(config, pd.DataFrame(scores), "accuracy", judged=True)
    line = told["Single features, accuracy, 5 folds"]
    assert line.startswith("f0 90.0 %, f1 85.0 %, ")
    assert line.endswith("f5 65.0 %, and 3 more")


def test_no_clips_of_the_choice_are_in_memory_while_sets_are_trained(
    tmp_path, monkeypatch
):
    brought(tmp_path / "d" / "features", noise(1, 2), folds=3)
    made, fits_of, train = [], choice.fits_of, choice.train

    def noted(plan):
        fits = fits_of(plan)
        made.append(weakref.ref(fits))
        return fits

    def trained(*given, **named):
        assert [each() for each in made] == [None]
        return train(*given, **named)

    monkeypatch.setattr(choice, "fits_of", noted)
    monkeypatch.setattr(choice, "train", trained)
    assert answered(tmp_path).whole


@pytest.mark.parametrize("clips", [6, 12])
def test_of_few_clips_that_are_like_chance_nothing_is_proposed(tmp_path, clips):
    brought(tmp_path / "d" / "features", noise(1, 3), folds=3, clips=clips)
    found = answered(tmp_path, features="f0 f1")
    assert found.recommended == ""
    html = found.page.read_text("utf-8")  # a verdict needs seven recordings
    assert ("sign-flip test over recordings" in html) == (clips == 12)
    assert ("<button>Verdict</button>" in html) == (clips == 12)


def test_no_difference_is_clear_if_nothing_is_better_than_chance(tmp_path):
    """What f0 says of the classes is reversed in each other fold, so it is wrong in all
    clips of two folds, and f1 is noise.
    """

    def values(target, fold):
        sign = np.array([1, -1, 0])[fold - 1]
        reversed_ = 9 * sign[:, None] * np.eye(4)[target]
        return {"f0": noise(0, 1)(target, fold)["f0"] + reversed_} | {
            "f1": noise(1, 1)(target, fold)["f0"]
        }

    brought(tmp_path / "d" / "features", values, folds=3, clips=90)
    found = answered(tmp_path)
    assert found.alone["f1"] - found.alone["f0"] > 0.15
    assert found.recommended == ""
    tables = found.page.parent / "tables"
    sets = pd.read_csv(tables / "chosen_sets.csv")
    assert {*sets["verdict"]} == {"best", "no clear difference"}
    assert not (sets["difference_high"] < 0).any()
    given = {"dataset": str(tmp_path / "d" / "features"), "runs": tmp_path / "runs"}
    measured = fs.importance(features="f0 f1", quiet=True, **given)["features"]
    assert not measured["significant"].any() and not (measured["low"] > 0).any()
    assert not (measured["high"] < 0).any()
    runs = [
        execute(RunOptions(**given, features=f, model="ridge")) for f in ("f0", "f1")
    ]
    assert "clearly worse" not in set(fs.compare(runs).table["verdict"])
    curve = fs.curve(features="f0 f1", quiet=True, **given)
    assert {*curve["better"]} == {"no"}


def run_score(found):
    """The accuracy of the recommended set's run."""
    run = fs.run(found)
    tables = [run.predictions(fold) for fold in run.folds]
    every = pd.concat(tables).query("split == 'test'")
    return (every[run.classes].idxmax(axis=1) == every["target"]).mean()


def answered(place, **given):
    places = {name: place / name for name in ("data", "runs", "reports")}
    dataset = str(place / "d" / "features")
    with no_figures():
        return find_answer(AnswerOptions(dataset=dataset, **places, **given))


@pytest.fixture(scope="module")
def noise_answer(tmp_path_factory):
    """A folder with the answer on useless features, and the answer."""
    place = tmp_path_factory.mktemp("useless")
    brought(place / "d" / "features", noise(1, 3), folds=3)
    return place, answered(place)


def test_the_page_and_the_terminal_begin_with_the_score_of_the_procedure(noise_answer):
    _, found = noise_answer
    assert found.headline.startswith("No configuration is clearly better than chance")
    assert "highest" not in f"{found.headline} {found}"
    assert found.lines[0] == f"d: {found.headline}"
    html = found.page.read_text(encoding="utf-8")
    # right after the first screen, whose dots say why they lie above the headline
    ids = re.findall(r'<section id="(\w+)', html)
    assert ids[ids.index("answer") - 1] in ("foot", "first") and "comparison" in ids
    assert ids.index("answer") < ids.index("comparison") < ids.index("foreign")
    assert re.search(r"the highest of \d+ sets, which are too high</h2>", html)
    assert "chosen on the clips that score it" in " ".join(html.split())
    assert (
        "<dt>Sets chosen in 3 folds</dt>" in html and "no set: none is clearly" in html
    )
    # nothing is better than chance, so nothing is recommended, and more is tried
    assert "  Recommended: no set: none is clearly better than chance" in str(found)
    assert (found.recommended, found.run) == ("", "")
    tables = found.page.parent / "tables"
    comparison = (tables / "comparison.csv").read_text(encoding="utf-8").splitlines()
    assert comparison[1].startswith("answer,")
    assert all(row.endswith(",part of an answer") for row in comparison[2:])
    first, *_ = (tables / "chosen_sets.csv").read_text("utf-8").splitlines()
    features, *others = SET_COLUMNS
    assert first == ",".join([features, "network", *others])


def test_another_order_of_the_features_is_the_same_question(noise_answer):
    cache = Cache(noise_answer[0] / "d" / "features")
    assert rankable(cache, ["f2", "f0"]) == rankable(cache, ["f0", "f2"])


def test_each_fold_of_the_choice_is_that_of_the_run_of_its_set(noise_answer):
    place, found = noise_answer
    choice = RunFolder(place / "runs" / "d" / "answer")
    runs = [run for run in find(place / "runs", "d") if run.name != choice.name]
    by_set = {run.config.features: run for run in runs}
    for fold, features in found.chosen.items():
        own = by_set[features].scored(fold)
        assert choice.scored(fold).equals(own)


def test_the_same_question_again_fits_nothing_again(noise_answer, monkeypatch):
    place, found = noise_answer
    monkeypatch.setattr(Fits, "fitted", None)
    assert answered(place).lines == found.lines


def test_a_kill_leaves_no_choice_with_folds_of_another(noise_answer, monkeypatch):
    place, found = noise_answer
    choice = place / "runs" / "d" / "answer"
    run = RunFolder(choice.with_name(read_choice(choice).recommended_run))

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("featurestack.answers.choice.write_predictions", killed)
    with pytest.raises(KeyboardInterrupt):
        write_answer(choice, {1: run}, run, None)
    assert not (choice / "run.json").exists()
    monkeypatch.undo()
    assert answered(place).lines[0] == found.lines[0]


def test_a_run_of_an_answer_is_not_ranked_beside_it(noise_answer):
    place, _ = noise_answer
    found = findings(*load_runs(find(place / "runs", "d")))
    assert [own.name for own in found.ranked] == ["answer"]
    assert {own.reason for own in found.others} == {"part of an answer"}
    assert "better than chance, " in sentences.headline(found)


def test_a_run_of_features_that_were_ranked_is_warned_of(noise_answer):
    """The best of three useless features, in a report without the answer."""
    place, _ = noise_answer
    dataset = str(place / "d" / "features")
    execute(
        RunOptions(dataset=dataset, runs=place / "runs", features="f0", model="linear")
    )
    runs = [run for run in find(place / "runs", "d") if run.name == "f0-linear"]
    said = findings(*load_runs(runs)).warnings["W9"]
    assert said.startswith("3 features were scored on these clips. If you")
    assert "chose f0 by those scores, its score may be luck" in said
    every = findings(*load_runs(find(place / "runs", "d")))
    higher = every.higher
    assert ("W9" in every.warnings) == bool(higher)
    if higher:
        assert "its lead over the choice from 3 features" in every.warnings["W9"]


def test_the_recommended_set_is_trained_on_every_fold(noise_answer):
    place, _ = noise_answer
    answer = RunFolder(place / "runs" / "d" / "answer")
    choice = read_choice(answer.path)
    run = RunFolder(answer.path.with_name(choice.recommended_run))
    assert run.config.features == choice.recommended
    assert run.finished == run.folds
    assert answer.config.made_by == "choice" and answer.config.members[0] == run.name
    with refused("answer has no model of its own: give the run that it recommends"):
        answer.trained_config  # noqa: B018


@pytest.mark.parametrize(
    ("own", "expected"), [(0.9, "embedding@model=yamnet+imagenet@of=mel"), (1.0, "mel")]
)
def test_of_equal_candidates_the_networks_together_are_taken(own, expected):
    class Made(SetScores):
        def of(self, features, outer):
            return own if features == "mel" else 0.9

    names = ["mel", "embedding@model=yamnet", "imagenet@of=mel"]
    plan = SimpleNamespace(channel_names=names)
    assert choose_set(Made(SimpleNamespace(plan=plan)), 1) == expected
