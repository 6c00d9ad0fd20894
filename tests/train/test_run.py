"""A whole run: what it leaves behind, which requests it refuses, what joins it and what does not."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from commandline.options import parse
from commandline.registry import RequestError
from features_cache import Cache, external, parse_set
from features_cache.index import read_index, write_index
from results import run_folder, scores
from results.scores import epoch_scores
from tests.train.little import CLASSES, change, clip_table, fill
from train import checkpoint, compute, run
from train.bundle import TrainedModel, bundle_of_run
from train.models.texture import TextureStatistics
from train.options import RunOptions
from train.plan import Plan, make_plan
from train.trainer import Diverged, Trainer, note_change


def test_a_run_leaves_what_analysis_reads(options):
    folder = run.execute(options)
    assert folder.path == options.runs / "little" / "mel-cnn4-e2-b8-16x16-augment=none"
    assert folder.finished == folder.folds == [1, 2, 3]
    config = json.loads((folder.path / "run.json").read_text())
    assert [one["name"] for one in config["classes"]] == list(CLASSES)
    assert (config["grid"], config["precision"], config["threads"], config["synthetic"]) == (
        "16x16",
        "fp32",
        1,
        False,
    )
    assert config["channels"][0]["rows"] == [0, 15] and config["parameters"] > 1000
    for fold in folder.folds:
        predictions, history = folder.predictions(fold), folder.history(fold)
        assert set(predictions["split"]) == {"test"} and set(predictions["selection"]) == {"last"}
        assert predictions["clip_id"].str.contains(f"-{fold}-").all() and len(predictions) == 16
        np.testing.assert_allclose(predictions[list(CLASSES)].sum(axis=1), 1, atol=1e-5)
        assert history["epoch"].tolist() == [1, 2]
        assert history.filter(like="val_").isna().all(axis=None) and history.filter(like="test_").notna().all(
            axis=None
        )
        probabilities, targets = folder.answers(fold)
        last = epoch_scores(targets, probabilities)
        assert last["accuracy"] == history["test_accuracy"].iloc[-1]  # one and the same scoring
        assert last["loss"] == pytest.approx(history["test_loss"].iloc[-1], rel=1e-6)
        state = torch.load(folder.fold(fold) / "last.pt", weights_only=True)
        assert state["epoch"] == 2 and "progress" not in state  # a finished fold keeps weights only
        assert not (folder.fold(fold) / "best.pt").exists()


def test_a_learnable_set_is_learned(options):
    learned = run.execute(change(options, epochs=8, curve=0, smoothing=0.0))
    assert learned.scores()["accuracy"].mean() > 0.9


def test_shuffled_labels_stay_at_chance(options, tmp_path):
    table = clip_table()
    dataset = fill(tmp_path / "shuffled", table)  # the sounds of these labels ...
    labels = table.groupby("fold")["label"]
    table["label"] = labels.transform(lambda one: np.random.default_rng(1).permutation(one))
    clips, settings = read_index(dataset)
    write_index(dataset, clips.assign(label=table["label"]), settings)  # ... under others
    chance = run.execute(change(options, dataset=str(dataset), epochs=8, curve=0))
    assert 0.05 < chance.scores()["accuracy"].mean() < 0.5  # a quarter of 48 clips, four deviations


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(options, tmp_path):
    first, again, other = (
        run.execute(
            change(options, folds=(2,), augment="mask,shift,gain,mixup=0.4", runs=tmp_path / name, seed=seed)
        )
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    files = [(one.fold(2) / "predictions.csv").read_bytes() for one in (first, again, other)]
    assert files[0] == files[1] != files[2]
    assert first.family == other.family and first.config["hash"] != other.config["hash"]


def test_the_recorded_words_train_the_same_configuration(options):
    first = run.execute(options)
    places = [f"DATASET={options.dataset}", f"DATA={options.data}", f"RUNS={options.runs}"]
    again = parse(RunOptions, [*first.config["command"], *places])
    assert make_plan(again).hash == first.config["hash"]
    other = parse(RunOptions, [*first.config["command"], "SEED=7", *places])
    assert make_plan(other).family == first.config["family"]
    assert make_plan(other).hash != first.config["hash"]


@pytest.mark.parametrize(
    ("model", "augment", "said"),
    [("texture", "none", []), ("texture", "shift", ["AUGMENT=shift=1"]), ("cnn4", "none", ["AUGMENT=none"])],
)
def test_an_augmentation_is_repeated_only_where_the_model_takes_another(options, model, augment, said):
    plan = make_plan(change(options, model=model, augment=augment))
    assert [word for word in plan.config()["command"] if word.startswith("AUGMENT=")] == said


def test_further_folds_join_the_run_and_a_finished_one_is_left_alone(options, capsys):
    folder = run.execute(change(options, folds=(2,)))
    before = (folder.fold(2) / "last.pt").stat().st_mtime_ns
    assert folder.finished == [2]
    again = run.execute(change(options, note="to be kept", curve=1, resident="stream"))
    assert again == folder and again.finished == [1, 2, 3]
    assert (folder.fold(2) / "last.pt").stat().st_mtime_ns == before
    assert run_folder.RunFolder(folder.path).config["note"] == "to be kept"
    assert run.execute(options) == folder and "has these folds already" in capsys.readouterr().err


def test_another_configuration_never_touches_a_folder(options):
    folder = run.execute(change(options, folds=(1,)))
    config = json.loads((folder.path / "run.json").read_text())
    run_folder.write_config(
        folder.path, config | {"hash": "0" * 12, "options": config["options"] | {"lr": 3.0}}
    )
    with pytest.raises(RequestError, match=r"different: LR.*TAG="):
        run.execute(options)
    assert run.execute(change(options, tag="mine", folds=(1,))).name == folder.name + "-mine"


def test_categories_are_told_apart(options):
    folder = run.execute(change(options, task="categories", folds=(1,)))
    assert folder.classes == ["animals", "things"] and "-categories" in folder.name
    assert set(folder.predictions(1)["target"]) == {"animals", "things"}


def test_validation_chooses_and_skip_test_never_scores_the_test_fold(options):
    folder = run.execute(change(options, val="group", folds=(1,)))
    assert {("val", "best"), ("val", "last"), ("test", "best"), ("test", "last")} == set(
        folder.predictions(1)[["split", "selection"]].itertuples(index=False, name=None)
    )
    history = folder.history(1)
    best = torch.load(folder.fold(1) / "best.pt", weights_only=True)
    assert best["epoch"] == history["epoch"][history["val_loss"].idxmin()]
    skipped = run.execute(change(options, val="next", skip_test=True, folds=(1,)))
    assert set(skipped.predictions(1)["split"]) == {"val"}
    assert skipped.predictions(1)["clip_id"].str.contains("-2-").all()  # the fold that follows the first
    assert skipped.history(1).filter(like="test_").isna().all(axis=None)


def test_early_stopping_ends_a_fold(options):
    folder = run.execute(
        change(options, features="blank", val="group", patience=1, epochs=30, lr=0.1, curve=0, folds=(1,))
    )
    history = folder.history(1)
    assert len(history) < 30
    assert history["val_loss"].iloc[-1] >= history["val_loss"].iloc[:-1].min()
    assert history["test_loss"].notna().tolist() == [False] * (len(history) - 1) + [True]


def test_a_fold_that_ended_early_does_not_train_on_when_its_predictions_are_removed(options):
    options = change(
        options, features="blank", val="group", patience=1, epochs=30, lr=0.1, curve=0, folds=(1,)
    )
    fold = run.execute(options).fold(1)
    names = ("predictions.csv", "history.csv", "last.pt", "best.pt")
    before = {name: (fold / name).read_bytes() for name in names}
    assert checkpoint.load(fold / "last.pt")["finished"] and before["history.csv"].count(b"\n") < 31
    (fold / "predictions.csv").unlink()
    run.execute(options)
    assert {name: (fold / name).read_bytes() for name in names} == before


def test_a_diverging_loss_stops_and_keeps_the_last_good_weights(options, capsys):
    options = change(options, lr=1e9, optimizer="sgd", warmup=1.0, schedule="constant", momentum=0.0)
    assert run.run(change(options, folds=(1,))) == 1
    said = capsys.readouterr().err
    assert (
        "failed: fold 1: the loss became" in said and "step" in said and "Try a lower LR than 1e+09" in said
    )


def test_out_of_memory_says_which_batch_would_fit(options, monkeypatch, capsys):
    monkeypatch.setattr(compute, "fits", lambda network, how, shape: shape[0] <= 2)

    def short(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")

    monkeypatch.setattr(Trainer, "fit", short)
    assert run.run(options) == 1
    assert "out of memory on cpu with BATCH=8; BATCH=2 would fit" in capsys.readouterr().err


def test_a_configuration_with_other_folds_than_its_clips_is_told(options):
    folder = run.execute(change(options, folds=(1,)))
    run_folder.write_config(folder.path, {**folder.config, "folds": [1, 9]})
    with pytest.raises(RequestError, match=r"run.json is damaged: it has folds \[1, 9\]"):
        run.execute(change(options, folds=(2,)))


def test_a_checkpoint_of_another_shape_is_told(options):
    folder = run.execute(change(options, folds=(1,)))
    (folder.fold(1) / "predictions.csv").unlink()
    state = checkpoint.load(folder.fold(1) / "last.pt")
    first = next(iter(state["network"]))
    state["network"][first] = torch.zeros(3)
    checkpoint.save(folder.fold(1) / "last.pt", state)
    with pytest.raises(RequestError, match=rf"last.pt has '{first}' of shape \(3,\)"):
        run.execute(change(options, folds=(1,)))


def test_a_checkpoint_with_code_in_it_is_refused(options, tmp_path):
    folder = run.execute(change(options, folds=(1,)))
    (folder.fold(1) / "predictions.csv").unlink()
    touched = tmp_path / "touched"

    class Harm:
        def __reduce__(self):
            return Path.touch, (touched,)

    torch.save({"network": Harm()}, folder.fold(1) / "last.pt")
    with pytest.raises(RequestError, match="cannot be read as weights"):
        run.execute(change(options, folds=(1,)))
    assert not touched.exists()


def test_the_summary_tells_what_was_found(options, capsys):
    assert run.run(change(options, folds=(1, 2))) == 0
    said = capsys.readouterr().out
    for wanted in (
        "2 of 3 folds",
        "loss",
        "accuracy",
        "f1",
        "most confused:",
        "protocol: each fold tested",
        "n = 2",
    ):
        assert wanted in said
    assert said.rstrip().endswith(f"next: make analysis DATASET={options.dataset} RUNS={options.runs}")


def test_a_folder_that_cannot_be_written_is_told(options, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match=r"file cannot be written: Not a directory"):
        run.execute(change(options, runs=tmp_path / "file"))


def test_a_full_disk_before_there_is_a_run_folder_is_no_wrong_request(options, monkeypatch):
    def full(folder, **how):
        raise OSError(28, "No space left on device", str(folder))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(OSError, match="No space left on device"):
        run.execute(options)


def test_a_full_disk_ends_the_run_with_a_sentence(options, monkeypatch, capsys):
    def full(file, content):
        raise OSError(28, "No space left on device", str(file))

    monkeypatch.setattr(checkpoint, "replace_file", full)
    assert run.run(options) == 1
    said = capsys.readouterr().err
    assert "failed: fold 1: [Errno 28] No space left on device" in said and "continues" in said


def test_a_linear_run_keeps_its_note_and_counts_its_parameters(options):
    wanted = change(options, model="linear", features="mel+chroma", folds=(1,), note="the first")
    first = run.execute(wanted)
    both = run.execute(change(wanted, folds=(2,), note=""))
    assert both == first and both.finished == [1, 2] and both.config["note"] == "the first"
    network = TrainedModel(bundle_of_run(both)).folds[1].network
    assert both.config["parameters"] == sum(weight.numel() for weight in network.parameters())


def test_a_linear_model_standardises_by_originals_alone(options, tmp_path):
    table = clip_table().assign(copy_of="", alteration="")
    copies = table.assign(copy_of=table["clip_id"], clip_id=table["clip_id"] + "~1", alteration="noise")
    cache = fill(tmp_path / "copied" / "features", pd.concat([table, copies], ignore_index=True))
    wanted = change(options, dataset=str(cache), model="linear", folds=(1,))
    states = [
        checkpoint.load(run.execute(change(wanted, copies=number)).path / "fold1" / "last.pt")["network"]
        for number in (0, 1)
    ]
    assert all(torch.equal(states[0][name], states[1][name]) for name in ("mean", "scale"))
    assert not torch.equal(states[0]["head.weight"], states[1]["head.weight"])


def test_altered_copies_are_trained_on_and_nothing_else(options, tmp_path):
    table = clip_table()
    altered = table.assign(clip_id=table["clip_id"] + "~1", copy_of=table["clip_id"], alteration="gain")
    both = pd.concat([table.assign(copy_of="", alteration=""), altered], ignore_index=True)
    dataset = str(fill(tmp_path / "copied", both))
    parts = make_plan(change(options, dataset=dataset, copies=1)).split(1)
    assert len(parts.train) == 2 * 32 and len(parts.statistics) == 32
    without = make_plan(change(options, dataset=dataset))
    assert len(without.split(1).train) == 32 and "copies" not in without.path.name
    folder = run.execute(change(options, dataset=dataset, copies=1))
    assert "-copies=1" in folder.name
    assert sorted(folder.predictions()["clip_id"]) == sorted(table["clip_id"])


def test_copies_that_lack_the_feature_are_missed_only_where_they_were_asked_for(options, tmp_path, capsys):
    table = clip_table()
    altered = table.assign(clip_id=table["clip_id"] + "~1", copy_of=table["clip_id"], alteration="gain")
    both = pd.concat([table.assign(copy_of="", alteration=""), altered], ignore_index=True)
    dataset = fill(tmp_path / "copied", both)
    rows = np.random.default_rng(0).normal(size=(len(table) + 8, 4))
    external.write_feature(dataset, "late", rows, both["clip_id"][: len(rows)])  # after 40 copies were added
    wanted = change(options, dataset=str(dataset), features="late", model="linear")
    run.execute(wanted)
    assert "left out" not in capsys.readouterr().err
    run.execute(change(wanted, copies=1))
    assert "40 clips left out: late is not there for them" in capsys.readouterr().err


def test_with_validation_both_epochs_are_printed_by_name(options, capsys):
    wanted = change(options, val="group", folds=(1,), select="val_accuracy")
    assert run.run(wanted) == 0
    said = capsys.readouterr()
    folder = run.execute(wanted)
    for selection, epoch in (("last", "last epoch"), ("best", "best epoch by val_accuracy")):
        loss = folder.scores("test", selection).loc[1, "loss"]
        assert f"fold 1: {epoch}: test loss {loss:.3f}" in said.err
        assert f"{epoch}: mean" in said.out and f"{loss:.3f}" in said.out
    run.run(change(options, folds=(1,)))
    assert "epoch:" not in capsys.readouterr().err


def test_ctrl_c_leaves_a_run_that_goes_on(options, monkeypatch):
    straight = run.execute(change(options, folds=(1,), epochs=3))
    train_epoch, seen = Trainer.train_epoch, []

    def interrupted(trainer, progress):
        seen.append(trainer.epoch)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return train_epoch(trainer, progress)

    monkeypatch.setattr(Trainer, "train_epoch", interrupted)
    again = change(options, folds=(1,), epochs=3, runs=options.runs / "again")
    with pytest.raises(KeyboardInterrupt):
        run.execute(again)
    continued = run.execute(again)
    assert seen == [0, 1, 2, 2]
    files = [one.fold(1) / "predictions.csv" for one in (straight, continued)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_after_divergence_in_bf16_the_run_continues_in_fp32_from_the_last_good_epoch(
    options, monkeypatch, capsys
):
    asked = change(options, folds=(1,), epochs=3, precision="bf16")
    train_epoch = Trainer.train_epoch

    def diverging(trainer, progress):
        if trainer.compute.precision == "bf16" and trainer.epoch == 1:
            raise Diverged(2, 1, float("nan"))
        return train_epoch(trainer, progress)

    monkeypatch.setattr(Trainer, "train_epoch", diverging)
    assert run.run(asked) == 1
    said = capsys.readouterr().err
    assert "epoch 1 stay in fold1/last.pt. Repeat the command with PRECISION=fp32" in said
    assert said.index("PRECISION=fp32") < said.index("lower LR")
    (folder,) = run_folder.find(options.runs)
    first = (folder.path / "fold1" / "history.csv").read_text()
    for again in range(2):  # the second time there is nothing left to do
        assert run.run(change(asked, precision="fp32")) == 0, again
    assert [one.path for one in run_folder.find(options.runs)] == [folder.path]
    folder = run_folder.RunFolder(folder.path)
    assert (folder.path / "fold1" / "history.csv").read_text().startswith(first)
    assert folder.config["precision"] == "fp32"
    (changed,) = folder.config["changes"]
    assert changed["from"]["precision"] == "bf16" and changed["epochs_done"] == {"1": 1, "2": 0, "3": 0}


def test_a_run_that_changed_for_another_reason_than_divergence_is_no_run_in_fp32(options):
    asked = change(options, folds=(1,), precision="auto")
    held = run.execute(asked)
    note_change(held, {"device": "cuda:0", "precision": "bf16"})
    note_change(run_folder.RunFolder(held.path), {"device": "cpu", "precision": "fp32"})
    assert len(run_folder.RunFolder(held.path).config["changes"]) == 2
    plain = run.execute(change(asked, precision="fp32"))
    assert plain != held and plain.config["options"]["precision"] == "fp32"


def test_which_of_several_equal_devices_trains_a_fold_is_no_change(options):
    folder = run.execute(change(options, folds=(1,)))
    begun = folder.config | {"device": "cuda:0"}
    run_folder.write_config(folder.path, begun)
    note_change(run_folder.RunFolder(folder.path), {"device": "cuda:1", "precision": "fp32"})
    assert run_folder.RunFolder(folder.path).config == begun
    note_change(run_folder.RunFolder(folder.path), {"device": "cuda:1", "precision": "fp16"})
    (changed,) = run_folder.RunFolder(folder.path).config["changes"]
    assert changed["to"] == {"precision": "fp16"}


@pytest.mark.parametrize("augment", ["auto", "shift"])
def test_statistics_that_no_augmentation_changes_are_computed_once(options, monkeypatch, augment):
    options = change(options, model="texture", augment=augment, folds=(1,), epochs=3)
    passes = []
    compute_statistics = TextureStatistics.forward
    counted = lambda self, x: passes.extend(filter(torch.any, x)) or compute_statistics(self, x)  # noqa: E731
    monkeypatch.setattr(TextureStatistics, "forward", counted)
    once = run.execute(options).answers(1)[0]
    assert len(passes) == len(clip_table())
    monkeypatch.setattr(Plan, "fixed_statistics", lambda *_: None)
    each_time = run.execute(change(options, tag="each")).answers(1)[0]
    assert len(passes) > 3 * len(clip_table())
    np.testing.assert_allclose(once, each_time, atol=2e-3)


def test_a_temperature_is_fitted_to_the_other_folds_and_used_for_new_audio_alone(options):
    folder = run.execute(change(options, model="linear"))
    (found,) = folder.config["calibration"].values()
    rows = folder.predictions()
    probabilities = rows[folder.classes].to_numpy()
    target = rows["target"].map(folder.classes.index).to_numpy()
    assert found["clips"] == len(rows) == 48
    assert found["temperature"] == folder.temperature() < 1
    assert found["temperature"] == pytest.approx(scores.fit_temperature(target, probabilities))
    others = (rows["fold"] != 2).to_numpy()
    expected = scores.fit_temperature(target[others], probabilities[others])
    assert found["by_fold"]["2"] == pytest.approx(expected) != pytest.approx(found["temperature"])
    model = TrainedModel(bundle_of_run(folder))
    values = Cache(Path(options.dataset)).batch(parse_set("mel"), rows["clip_id"][:5].tolist())
    each = [model.probabilities(values, fold) for fold in folder.folds]  # as predictions.csv has them
    np.testing.assert_allclose(each[0], probabilities[:5], atol=1e-5)
    together = np.mean([scores.scaled(one, folder.temperature()) for one in each], axis=0)
    np.testing.assert_allclose(model.probabilities(values), together, rtol=1e-5)


def test_weights_that_cannot_be_read_leave_no_folder(options, tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"none")
    with pytest.raises(RequestError, match="weights"):
        run.execute(change(options, weights=str(tmp_path / "weights.pth")))
    assert not list(options.runs.glob("*/*"))


def test_weights_of_a_run_of_ones_own_start_no_fold_whose_test_clips_they_were_trained_on(options, tmp_path):
    first = run.execute(change(options, folds=(1,), epochs=1))
    file = first.path / "fold1" / "last.pt"
    started = change(options, weights=str(file), epochs=1, tag="started")
    for folds in ((), (2,), (1, 3)):
        with pytest.raises(RequestError, match=r"also on the clips that fold [23] tests: give FOLDS=1"):
            run.execute(change(started, folds=folds))
    renamed = change(started, name="renamed")  # the same clips under another name
    with pytest.raises(RequestError, match="clips that fold 2 tests"):
        run.execute(renamed)
    assert run_folder.find(options.runs) == [first]
    assert run.execute(change(started, folds=(1,))).finished == [1]

    state = torch.load(file, weights_only=True)
    torch.save({name: value for name, value in state.items() if name != "fold"}, file)  # as of before
    with pytest.raises(RequestError, match="clips that fold 3 tests"):
        run.execute(change(started, folds=(3,)))


def test_weights_of_a_run_on_former_folds_start_no_fold_of_today(options, tmp_path):
    first = run.execute(change(options, folds=(1,), epochs=1))
    table = clip_table()
    folder = fill(tmp_path / first.dataset / "features", table.assign(fold=table["fold"] % 3 + 1))
    weights = str(first.path / "fold1" / "last.pt")
    now = change(options, dataset=str(folder), weights=weights, epochs=1, tag="started")
    for folds in ((), (1,), (2,)):
        with pytest.raises(RequestError, match=r"have changed since .*: give weights from other clips"):
            run.execute(change(now, folds=folds))
    assert run_folder.find(options.runs) == [first]


def test_weights_of_other_clips_start_every_fold(options, tmp_path):
    other = fill(tmp_path / "other" / "features", clip_table().assign(group=""))
    first = run.execute(change(options, dataset=str(other), folds=(1,), epochs=1))
    started = change(options, weights=str(first.path / "fold1" / "last.pt"), folds=(2,), epochs=1)
    assert run.execute(started).finished == [2]
    alone = (tmp_path / "alone.pt").resolve()  # nothing says any more what it was trained on
    alone.write_bytes(Path(started.weights).read_bytes())
    assert run.execute(change(started, dataset=str(other), weights=str(alone))).finished == [2]


def test_an_ensemble_shows_what_each_member_has_alone(options, capsys):
    folder = run.execute(change(options, model="cnn4+texture", grid="64x108", folds=(1,)))
    assert folder.members == ["cnn4", "texture"]
    tables = [folder.predictions(1, member)[folder.classes] for member in ("", *folder.members)]
    together, first, second = (np.log(table.to_numpy()) for table in tables)
    joint = torch.from_numpy(0.33 * first + 0.67 * second).softmax(1)
    assert np.allclose(joint, np.exp(together), atol=1e-4)
    alone = [100 * folder.scores(member=member)["accuracy"][1] for member in folder.members]
    assert "accuracy: cnn4 alone {:.1f}, texture alone {:.1f}, together".format(*alone) in run.summary(folder)
