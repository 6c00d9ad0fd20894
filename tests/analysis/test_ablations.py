"""What one choice changed: features, augmentation, channels; each effect is planted and found."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import ablations, tables
from analysis.findings import findings
from analysis.overview import describe_classes
from analysis.ranking import Ranking, rankings
from analysis.results import Results, Run, load_runs
from analysis.run import importance_blocks
from results.run_folder import find
from tests.analysis.made_runs import MadeRun

RNG = np.random.default_rng


def by_class(first: Run, second: Run) -> pd.DataFrame:
    return ablations.class_differences({"one": ablations.recall_change(first, second)}, RNG(0))["one"]


def ranked(results: Results) -> Ranking:
    return rankings(results.runs, RNG(0), replicates=500)[0]


def test_a_class_that_improves_and_one_that_worsens(made: Callable[..., Results]) -> None:
    better = {"class03": 3.0, "class07": -3.0}
    plain, other = made(MadeRun(skill=0.6), MadeRun(features="zcr", skill=0.6, by_class=better)).runs
    table = by_class(plain, other).set_index("class")
    assert table["differs"].sum() == 2
    assert table.loc["class03", "low"] > 0 > table.loc["class07", "high"]
    for name, row in table.iterrows():
        of_class = [plain.classes[number] == name for number in plain.target]
        assert row["first"] == pytest.approx(plain.correct[of_class].mean())
        assert row["second"] == pytest.approx(other.correct[of_class].mean())
        assert row["low"] <= row["difference"] <= row["high"]
    sentence = describe_classes(table.reset_index(), "zcr")
    assert sentence == "zcr helps class03, hurts class07"


def test_a_class_without_test_clips_is_left_out(hand_run: Callable[..., Run]) -> None:
    run = hand_run(
        "mel", ["dog", "rain", "sea"], [("a", "g", 1, "dog", [1, 0, 0]), ("b", "h", 1, "sea", [1, 0, 0])]
    )
    table = by_class(run, run)
    assert table["class"].tolist() == ["dog", "sea"]
    assert table["difference"].tolist() == [0, 0]


def test_sentence_for_no_one_and_many_classes() -> None:
    def table(differences: list[float], differs: bool) -> pd.DataFrame:
        names = [f"c{number}" for number in range(len(differences))]
        return pd.DataFrame({"class": names, "difference": differences, "differs": differs})

    assert describe_classes(table([0.1, -0.1], False), "x") == "x changes no class significantly"
    assert describe_classes(table([-0.1], True), "x") == "x hurts c0"
    assert describe_classes(table([0.1, 0.5, 0.3, 0.2, 0.4], True), "x") == "x helps c1, c4, c2 and 2 more"


def test_checkpoints_side_by_side(made: Callable[..., Results]) -> None:
    table = tables.checkpoints(made(MadeRun(val="next"), MadeRun(features="zcr")).runs)
    chosen, fixed = table.to_dict("records")
    assert chosen["best"] == pytest.approx(chosen["last"]) == pytest.approx(0.7)
    assert np.isnan(fixed["best"])
    assert fixed["last"] == pytest.approx(0.7)
    assert (table["peeked"] >= table["last"] - 1e-9).all()


def test_peeked_by_hand(made: Callable[..., Results]) -> None:
    run = made(MadeRun()).runs[0]
    run.history["test_accuracy"] = 0.1 * run.history["fold"]
    run.history.loc[7, "test_accuracy"] = 0.95  # of fold 1
    assert tables.checkpoints([run]).loc[0, "peeked"] == pytest.approx((0.95 + 0.2 + 0.3 + 0.4 + 0.5) / 5)
    without = replace(run, history=run.history[run.history["fold"] < 5])
    assert np.isnan(tables.checkpoints([without]).loc[0, "peeked"])


def test_runs_that_differ_in_augmentation_alone_are_paired(made: Callable[..., Results]) -> None:
    main = ranked(
        made(
            MadeRun(augment="none", skill=0.6),
            MadeRun(augment="mask,shift", skill=0.8),
            MadeRun(augment="mask,shift", skill=0.7, features="zcr"),
            MadeRun(augment="none", skill=0.7, model="cnn4"),
        )
    )
    assert [(a.name, b.name) for a, b in ablations.augmentation_pairs(main)] == [
        ("mel-resnet18-augment.none", "mel-resnet18-augment.mask,shift")
    ]
    row = ablations.all_ablations(main, RNG(0)).augmentation.iloc[0]
    assert row["difference"] == pytest.approx(0.2)
    assert 0 < row["low"] < 0.2 < row["high"]
    assert row["differs"]
    assert row["changed"] == "augment none → mask,shift"


def test_an_augmentation_that_hurts_has_a_negative_effect(made: Callable[..., Results]) -> None:
    main = ranked(made(MadeRun(augment="none", skill=0.8), MadeRun(augment="mask", skill=0.6)))
    row = ablations.all_ablations(main, RNG(0)).augmentation.iloc[0]
    assert row["difference"] == pytest.approx(-0.2)
    assert row["low"] < -0.2 < row["high"] < 0


def test_no_pair_makes_an_empty_table(made: Callable[..., Results]) -> None:
    assert ablations.all_ablations(
        ranked(made(MadeRun(), MadeRun(features="zcr"))), RNG(0)
    ).augmentation.empty


def explain(run: Run, lost: dict[str, float], methods: Sequence[str] = ("removed",)) -> None:
    """Leave attribution.csv as `explain` does: without chroma a class keeps this share of its clips."""
    rng = RNG(0)
    for fold in range(1, 6):
        here = run.folds == fold
        keep = np.array([lost.get(run.classes[number], 1.0) for number in run.target[here]])
        correct = np.where(rng.random(here.sum()) < keep, run.correct[here], 0)
        rows = {"channel": "chroma", "clip_id": run.clip_ids[here], "correct": correct}
        table = pd.concat([pd.DataFrame(rows | {"method": method}) for method in methods])
        table.to_csv(run.folders[0].fold(fold) / "attribution.csv", index=False)


def test_channel_importance_by_class(written: Callable[..., Results]) -> None:
    run = written(MadeRun(skill=0.9)).runs[0]
    assert ablations.read_attribution(run) == (None, [])
    explain(run, {"class02": 0.1})
    read, problems = ablations.read_attribution(run)
    assert read is not None
    assert problems == []
    found = ablations.class_differences(ablations.channel_changes(run, read), RNG(0))
    assert list(found) == [("chroma", "removed")]
    table = found["chroma", "removed"]
    assert describe_classes(table, "chroma") == "chroma helps class02"
    row = table.set_index("class").loc["class02"]
    assert row["second"] - row["first"] == pytest.approx(row["difference"])


def test_only_the_seeds_that_were_explained_are_compared(written: Callable[..., Results]) -> None:
    run = written(MadeRun(skill=0.9), MadeRun(skill=0.5, seed=1)).runs[0]
    for fold in range(1, 6):  # seed 0 alone: its predictions, unchanged
        here = run.folds == fold
        right = (run.predicted[0] == run.target)[here].astype(float)
        rows = {"channel": "mel", "method": "permuted", "clip_id": run.clip_ids[here], "correct": right}
        pd.DataFrame(rows).to_csv(run.folders[0].fold(fold) / "attribution.csv", index=False)
    read, _ = ablations.read_attribution(run)
    assert read is not None
    (change,) = ablations.channel_changes(run, read).values()
    assert (change.before == change.after).all() and change.seeds == (0,)


@pytest.mark.parametrize("selection", ["last", "best"])
def test_a_channel_is_compared_with_the_epoch_that_was_explained(written, selection: str) -> None:
    run = written(MadeRun(skill=0.9, val="group")).runs[0]
    right = run.checkpoints[selection].argmax(axis=2)[0] == run.target
    for fold in range(1, 6):  # nothing is lost
        here = run.folds == fold
        rows = {"channel": "mel", "method": "permuted", "clip_id": run.clip_ids[here]}
        epoch = {} if selection == "last" else {"selection": "best"}  # an earlier explain did not say it
        table = pd.DataFrame(rows | {"correct": right[here].astype(float)} | epoch)
        table.to_csv(run.folders[0].fold(fold) / "attribution.csv", index=False)
    read, _ = ablations.read_attribution(run)
    assert read is not None
    (change,) = ablations.channel_changes(run, read).values()
    assert (change.before == change.after).all() and change.selection == selection


def left(run: Run, seed: int, folds: Sequence[int], selection: str) -> None:
    """attribution.csv of these folds of one seed, of one epoch."""
    for fold in folds:
        rows = {"channel": "mel", "method": "permuted", "clip_id": run.clip_ids[run.folds == fold]}
        table = pd.DataFrame(rows | {"correct": 1.0, "selection": selection})
        table.to_csv(run.folders[seed].fold(fold) / "attribution.csv", index=False)


def test_an_explain_that_was_stopped_half_way_is_named_where_its_epoch_is_another(written) -> None:
    run = written(MadeRun(skill=0.9, val="group"), MadeRun(skill=0.9, val="group", seed=1)).runs[0]

    def told() -> tuple[list[tuple[tuple[int, ...], str]], list[str]]:
        read, problems = ablations.read_attribution(run)
        changes = ablations.channel_changes(run, read).values() if read is not None else ()
        found = [(change.seeds, change.selection) for change in changes]
        return found, [problem.text.partition(":")[0] for problem in problems]

    left(run, 0, range(1, 6), "last")
    assert told() == ([((0,), "last")], [])
    left(run, 0, [1, 2], "best")
    assert told() == ([], ["folds 3, 4, 5"])
    left(run, 1, range(1, 6), "last")
    assert told() == ([((1,), "last")], ["folds 1, 2"])
    left(run, 1, [1, 2, 3, 4, 5], "best")
    assert told() == ([((1,), "best")], ["folds 3, 4, 5"])
    left(run, 0, [3, 4, 5], "best")
    assert told() == ([((0, 1), "best")], [])


def test_an_attribution_of_an_epoch_that_no_checkpoint_has_is_named(written) -> None:
    run = written(MadeRun(skill=0.9)).runs[0]
    left(run, 0, [2], "worst")
    read, (problem,) = ablations.read_attribution(run)
    assert read is None and "fold 2: attribution.csv is left out (selection 'worst'" in problem.text
    left(run, 0, [2], "best")  # of a run that has no validation
    read, (problem,) = ablations.read_attribution(run)
    assert read is None and problem.text.startswith("fold 2: attribution.csv is left out, of another epoch")


def test_permutation_leads_and_retraining_stands_beside_it(
    written: Callable[..., Results], tmp_path: Path
) -> None:
    results = written(MadeRun(features="mel+chroma", skill=0.9), MadeRun(skill=0.8))
    run = next(run for run in results.runs if run.features == "mel+chroma")
    explain(run, {"class02": 0.1}, ["removed", "permuted", "marginalised"])
    found = findings(results, RNG(0))
    assert found.sentences[0] == "In mel+chroma-resnet18, chroma helps class02 (permuted at test time)."
    assert not any("removed" in sentence or "marginalised" in sentence for sentence in found.sentences)
    given = found.tables["attribution"], found.tables["additions"]
    (block,) = importance_blocks(run, *given, tmp_path / "report")
    assert (block.heading, block.folded) == ("Channel importance", False)
    assert "permuted among the test clips" in block.about and "trained again without" in block.about
    (row,) = block.tables[0].rows
    headings = [heading for heading, _ in block.tables[0].columns]
    shown = dict(zip(headings, [cell.text for cell in row], strict=True))
    assert (shown["Channel"], shown["Lost, retrained without"]) == ("chroma", "+10.0")
    assert shown["Run without"] == "mel-resnet18"


def test_a_channel_set_to_a_constant_is_folded_and_has_no_sentence(
    written: Callable[..., Results], tmp_path: Path
) -> None:
    results = written(MadeRun(skill=0.9))
    explain(results.runs[0], {"class02": 0.1})
    found = findings(results, RNG(0))
    assert found.sentences == ()
    (block,) = importance_blocks(results.runs[0], found.tables["attribution"], None, tmp_path / "report")
    assert block.folded and "can overstate" in block.about and not block.tables


def test_a_damaged_attribution_is_named_and_incomplete_ones_are_left_out(
    written: Callable[..., Results], tmp_path: Path
) -> None:
    run = written(MadeRun()).runs[0]
    explain(run, {})
    (run.folders[0].fold(2) / "attribution.csv").write_text("channel,method\nchroma,removed\n")
    read, problems = ablations.read_attribution(load_runs(find(tmp_path)).runs[0])
    assert [problem.run for problem in problems] == [run.name]
    assert "fold 2: attribution.csv is left out" in problems[0].text
    assert read is not None
    assert ablations.channel_changes(run, read) == {}


def steps(results: Results) -> list[tuple[str, str]]:
    return [
        (smaller.features, larger.features) for smaller, larger in ablations.feature_pairs(ranked(results))
    ]


def test_steps_go_through_what_lies_between(made: Callable[..., Results]) -> None:
    sets = {"mel+mfcc+chroma": 0.8, "mel+mfcc": 0.7, "mel": 0.6, "chroma": 0.3}
    found = steps(made(*(MadeRun(features=name, skill=skill) for name, skill in sets.items())))
    assert found == [
        ("mel+mfcc", "mel+mfcc+chroma"),
        ("chroma", "mel+mfcc+chroma"),
        ("mel", "mel+mfcc"),
    ]


def test_only_runs_that_share_every_other_option_are_a_pair(made: Callable[..., Results]) -> None:
    runs = [MadeRun(features="mel+mfcc"), MadeRun(model="cnn4"), MadeRun(features="mfcc", augment="none")]
    assert steps(made(*runs)) == []


def test_a_channel_counts_as_often_as_it_occurs(made: Callable[..., Results]) -> None:
    main = ranked(made(MadeRun(skill=0.7), MadeRun(features="mel+mel+mel", skill=0.7)))
    ((smaller, larger),) = ablations.feature_pairs(main)
    assert (smaller.features, ablations.added_features(smaller, larger)) == ("mel", "mel+mel")
    row = ablations.all_ablations(main, RNG(0)).features.iloc[0]
    assert (row["changed"], row["differs"]) == ("mel+mel", False)


def test_a_planted_gain_is_found_with_its_classes(made: Callable[..., Results]) -> None:
    better = {"class03": 3.0, "class07": -3.0}
    runs = [MadeRun(skill=0.6), MadeRun(features="mel+chroma", skill=0.75, by_class=better)]
    main = ranked(made(*runs))
    row = ablations.all_ablations(main, RNG(0)).features.iloc[0]
    assert (row["without"], row["with"], row["changed"]) == (
        "mel-resnet18",
        "mel+chroma-resnet18",
        "chroma",
    )
    assert row["difference"] == pytest.approx(0.15)
    assert row["differs"]
    changes = ablations.feature_changes(main)
    (name, table), *rest = ablations.class_differences(changes, RNG(0)).items()
    assert name == row["name"] == "chroma added to mel (resnet18)" and not rest
    certain = table[table["differs"]].set_index("class")["difference"]
    assert certain["class03"] > 0 and certain.get("class07", -1) < 0


def test_additions_of_two_models_keep_their_own_figures(made: Callable[..., Results]) -> None:
    helped = {"class03": 3.0}
    results = made(
        MadeRun(skill=0.6),
        MadeRun(features="mel+chroma", skill=0.75, by_class=helped),
        MadeRun(model="cnn4", skill=0.7),
        MadeRun(model="cnn4", features="mel+chroma", skill=0.6),
    )
    table = ablations.all_ablations(ranked(results), RNG(0)).features.set_index("name")
    one, other = "chroma added to mel (resnet18)", "chroma added to mel (cnn4)"
    assert table["model"].to_dict() == {one: "resnet18", other: "cnn4"}
    assert table["difference"].to_dict() == pytest.approx({one: 0.15, other: -0.1})
    found = findings(results, RNG(0))
    by_class = found.tables["additions_by_class"].groupby("of")["difference"].mean()
    assert by_class[one] == pytest.approx(0.15) and by_class[other] == pytest.approx(-0.1)
    assert any(sentence.startswith(f"{one} helps class03") for sentence in found.sentences)
    combined = dict(found.overview).get("Combined", "")
    assert "significant gain: chroma to mel (resnet18, +15.0)" in combined
    assert "significant loss: chroma to mel (cnn4, −10.0)" in combined


def test_the_name_of_a_pair_says_every_other_option_that_differs(made: Callable[..., Results]) -> None:
    main = ranked(
        made(
            *(
                MadeRun(features=features, augment=augment)
                for features in ("mel", "mel+zcr")
                for augment in ("default", "none")
            ),
            MadeRun(model="cnn4"),
        )
    )
    names = ablations.pair_names(ablations.feature_pairs(main), main.runs)
    assert sorted(names) == [
        "zcr added to mel (resnet18, augment default)",
        "zcr added to mel (resnet18, augment none)",
    ]
    augmented = ablations.pair_names(ablations.augmentation_pairs(main), main.runs)
    assert sorted(augmented) == [
        "augment none → default (mel+zcr, resnet18)",
        "augment none → default (mel, resnet18)",
    ]


def test_an_addition_that_hurts_is_negative(made: Callable[..., Results]) -> None:
    main = ranked(made(MadeRun(skill=0.8), MadeRun(features="mel+chroma", skill=0.6)))
    row = ablations.all_ablations(main, RNG(0)).features.iloc[0]
    assert row["difference"] == pytest.approx(-0.2)
    assert row["low"] < -0.2 < row["high"] < 0


@pytest.mark.parametrize("unrelated", [11, 71])
def test_runs_that_are_in_no_ablation_change_no_verdict_on_one(
    made: Callable[..., Results], unrelated: int
) -> None:
    pair = [MadeRun(skill=0.6), MadeRun(features="mel+chroma", skill=0.685)]
    others = [MadeRun(features=f"other{number}", skill=0.5 + number / 500) for number in range(unrelated)]
    main = ranked(made(*pair, *others))
    row = ablations.all_ablations(main, RNG(0)).features.iloc[0]
    alone = ablations.all_ablations(ranked(made(*pair)), RNG(0)).features.iloc[0]
    assert row["differs"] and alone["differs"]
    assert row["p_adjusted"] == alone["p_adjusted"]
    of_all_pairs = main.pairs.set_index(["a", "b"]).loc[(row["with"], row["without"]), "p_holm"]
    assert of_all_pairs > row["p_adjusted"]


def test_classes_are_one_family_over_all_tables(made: Callable[..., Results]) -> None:
    runs = made(MadeRun(skill=0.6), *(MadeRun(features=f"f{number}", skill=0.6) for number in range(20))).runs
    better = made(MadeRun(features="zcr", skill=0.6, by_class={"class03": 4.0})).runs[0]
    changes = {run.name: ablations.recall_change(runs[0], run) for run in (*runs[1:], better)}
    p = ablations.class_differences(changes, RNG(0))[better.name].set_index("class")["p_adjusted"]
    alone = by_class(runs[0], better).set_index("class")["p_adjusted"]
    assert (p >= alone - 0.01).all()
    assert alone["class03"] < 0.01 < p["class03"]


def test_a_class_of_few_recordings_has_no_interval_and_no_verdict(hand_run: Callable[..., Run]) -> None:
    def rows(right: float) -> list[tuple[str, str, int, str, list[float]]]:
        few = [(f"d{n}", f"g{n % 4}", 1, "dog", [right, 1 - right]) for n in range(40)]
        return few + [(f"r{n}", f"h{n}", 1, "rain", [1 - right, right]) for n in range(40)]

    table = by_class(*(hand_run(name, ["dog", "rain"], rows(right)) for name, right in (("a", 0), ("b", 1))))
    assert table["low"].isna().tolist() == [True, False]
    assert table["differs"].tolist() == [False, True]


def test_padding_that_run_json_does_not_name_was_kept(made: Callable[..., Results]) -> None:
    kept, dropped = made(MadeRun(), MadeRun(seed=1)).runs[0], made(MadeRun(features="rms")).runs[0]
    for folder in dropped.folders:
        folder.config["options"] = {**kept.config["options"], "padding": "drop"}
    assert ablations.option_changes(kept, dropped) == "padding keep → drop"
