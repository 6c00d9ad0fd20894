"""Several labels a clip in training, prediction, lists of runs, bundles and
exports.
"""

import shutil

import numpy as np
import pytest
import torch

from featurestack.comparison.average_precision import fit_thresholds
from featurestack.comparison.scores import epoch_scores
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.clip_table import label_indicator
from featurestack.predict.bundle import RunModel, make_bundle, read_bundle
from featurestack.predict.model import Model
from featurestack.predict.options import BundleOptions
from featurestack.results.calibration import UNFITTED, calibrate
from featurestack.results.run_folder import RunFolder, write_predictions
from featurestack.train import training
from featurestack.train.optimisation import Objective
from tests.cases import cases
from tests.refusal import refused
from tests.train.small_cache import CLASSES, run_with, small_options


@pytest.fixture(scope="module")
def options(tags_cache, tmp_path_factory):
    return small_options(tags_cache, tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def tags_run(options):
    return training.execute(options)


@cases("changes")
def test_labels_are_learned_by_every_kind_of_model(options, changes):
    folder = run_with(options, **changes, epochs=8, folds=(1,), select="val_map")
    assert folder.scores()["map"].mean() > 0.85
    assert folder.config.task == "tags"
    history = folder.history(1)
    assert history["train_map"].iloc[-1] > 0.85 and "test_map" in history


def test_a_run_leaves_targets_of_several_labels_and_a_probability_a_class(
    tags_run, tags_cache
):
    table = tags_run.predictions(1)
    labels = Cache(tags_cache).clips.set_index("clip_id")["label"]
    assert table["target"].tolist() == labels[table["clip_id"]].tolist()
    assert "" in set(table["target"]) and table["target"].str.contains(";").any()
    probabilities, target = tags_run.probabilities(1)
    assert (target == label_indicator(labels[table["clip_id"]], CLASSES)).all()
    scores = epoch_scores(tags_run.task.metric, target, probabilities)
    assert scores["map"] == tags_run.history(1)["test_map"].iloc[-1]
    thresholds = tags_run.config.calibration["last"].thresholds
    everything, known = tags_run.probabilities()
    assert list(thresholds.values()) == fit_thresholds(known > 0, everything).tolist()


def test_a_class_that_other_folds_lack_gets_no_threshold_from_models_that_never_saw_it(
    tags_run, tmp_path
):
    copy = RunFolder(shutil.copytree(tags_run.path, tmp_path / "copy"))
    assert calibrate(copy)["last"] == tags_run.config.calibration["last"]
    for fold in copy.folds[1:]:
        rows = copy.predictions(fold)
        probabilities = rows[copy.classes].to_numpy(np.float32)
        targets = rows["target"].str.split(";")
        rows["target"] = [";".join({*target} - {CLASSES[0]}) for target in targets]
        write_predictions(copy.fold(fold), rows, probabilities, copy.classes)
    copy = RunFolder(copy.path)
    thresholds = calibrate(copy)["last"].thresholds
    assert thresholds.pop(CLASSES[0]) == UNFITTED
    known = tags_run.config.calibration["last"].thresholds
    assert thresholds == {name: known[name] for name in CLASSES[1:]}


def test_the_loss_is_binary_cross_entropy_of_each_network_with_smoothed_targets():
    logits = torch.randn(3, 2, 4)
    y = torch.tensor([[1.0, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]])
    smooth = (0.9 * y + 0.1 / 4)[:, None].expand(3, 2, 4)
    expected = torch.nn.functional.binary_cross_entropy(logits.sigmoid(), smooth)
    loss = Objective(multilabel=True).loss(logits, y)
    torch.testing.assert_close(loss, expected)


def test_a_bundle_and_an_exported_file_answer_as_the_run(
    tags_run, tags_cache, tmp_path
):
    name = str(tags_run.path)
    bundle, file = tmp_path / "tags.pt", tmp_path / "tags.onnx"
    make_bundle(BundleOptions(run=name, out=bundle))
    model = RunModel(*read_bundle(bundle))
    assert model.thresholds == tags_run.config.calibration["last"].thresholds
    table = tags_run.scored(1)
    stored = [Cache(tags_cache).read("mel", table["clip_id"].tolist())]
    filled = np.ones(len(table))
    first, *others = model.by_fold(stored, filled)
    assert first == pytest.approx(table[list(CLASSES)].to_numpy(), abs=1e-6)
    together = model.joined([first, *others])
    assert together == pytest.approx(np.mean([first, *others], axis=0))
    export = pytest.importorskip("featurestack.extras.onnx.onnx")
    export.export_run(export.ExportOptions(run=name, out=file))
    session = export.open_session(file.read_bytes())
    (answers,) = session.run(["probabilities"], {"mel": stored[0].astype(np.float32)})
    assert answers == pytest.approx(together, abs=2e-4)


def test_what_has_no_meaning_with_several_labels_is_refused(options, tags_run):
    with refused("clips have several labels or none: give TASK=tags"):
        run_with(options, task="classes")
    with refused("SELECT=val_accuracy: TASK=tags has no such score"):
        run_with(options, select="val_accuracy", val="group")
    with refused("several labels, .*: leave out the limit of one class, reject"):
        Model(tags_run, reject=0.5)
