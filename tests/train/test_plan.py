"""A request before anything is trained: refused, or completed, with messages about what
is left out.
"""

import numpy as np
import pytest

from featurestack.base.json_content import digest
from featurestack.features_cache import external
from featurestack.features_cache.index_file import read_index, refresh, write_failures
from featurestack.results.training_options import Training
from featurestack.train import training
from featurestack.train.folds import clip_remarks
from featurestack.train.models import MODELS
from featurestack.train.options import RunOptions
from featurestack.train.plan import hashed_content, hashed_options, make_plan
from tests.cases import cases, data
from tests.refusal import refused
from tests.train.small_cache import (
    FRAMES,
    ROWS,
    change,
    clip_table,
    fill,
    run_with,
    small_options,
)


@pytest.mark.filterwarnings("ignore:std")  # of one frame
@cases("changes", "message")
def test_a_wrong_request_is_refused_before_anything_is_written(
    options, changes, message
):
    with refused(message):
        run_with(options, **changes)
    assert not list(options.runs.glob("*/*"))


@cases("column", "value", "given", "message")
def test_clips_that_cannot_be_trained_on_are_refused(
    options, tmp_path, column, value, given, message
):
    """All clips but those of `cat` have this value in a column."""
    table = clip_table()
    table[column] = table[column].where(table["label"] == "cat", value)
    dataset = str(fill(tmp_path / "few", table))
    with refused(message):
        run_with(options, dataset=dataset, **given)


def test_a_fold_without_a_class_is_told_and_trained(options, tmp_path, capsys):
    dataset = fill(tmp_path / "thin", clip_table().query("label != 'cat' or fold == 1"))
    assert run_with(options, dataset=str(dataset), model="linear").finished == [1, 2, 3]
    told = capsys.readouterr().err
    assert "fold 1: no clip of cat is trained on" in told
    assert "fold 2: no clip of cat is tested" in told


def test_a_class_of_one_group_is_told_once(options, tmp_path, capsys):
    table = clip_table().query("label != 'cat' or group == 'cat10'")
    dataset = str(fill(tmp_path / "lone", table))
    run_with(options, dataset=dataset, model="linear")
    told = capsys.readouterr().err
    assert "\ncat: all clips are of one group, so no fold both trains and tests" in told
    assert "no clip of cat" not in told


def test_a_published_test_fold_is_the_only_one_tested(options, tmp_path):
    cache = fill(tmp_path / "listed", clip_table())
    clips, settings = read_index(cache)
    refresh(cache, clips, settings | {"published_test": 3})
    folder = run_with(options, dataset=str(cache), val="next", model="linear")
    assert folder.finished == folder.folds == [3]
    assert folder.config.protocol.startswith("the dataset's test fold is tested")
    with refused(r"FOLDS=1: expected some of 3$"):
        run_with(options, dataset=str(cache), folds=(1,))
    refresh(cache, clips, settings | {"published_test": 9})  # its clips are not there
    plan = make_plan(change(options, dataset=str(cache)))
    assert plan.config.folds == (1, 2, 3)


def test_options_that_a_model_has_no_use_for_are_named_and_change_nothing(
    options, capsys
):
    plain = run_with(options, model="linear", select="val_f1")
    told = capsys.readouterr().err
    assert "AUGMENT=, BATCH=, " in told and " have no effect on MODEL=linear" in told
    assert "SELECT= is ignored without VAL=" in told
    assert plain.name == "mel-linear" and plain.finished == plain.folds
    places = {"dataset": options.dataset, "runs": options.runs}
    bare = RunOptions(features="mel", model="linear", **places)
    assert training.execute(bare) == plain
    assert "effect" not in capsys.readouterr().err
    run_with(options, model="linear")
    assert "no effect on MODEL=linear" in capsys.readouterr().err  # a finished run
    told = " ".join(make_plan(change(options, model="linear", val="group")).messages)
    assert "VAL=group only costs MODEL=linear training clips" in told


def test_clips_that_a_feature_lacks_are_counted_with_the_remedy(tmp_path):
    folder = fill(tmp_path / "little" / "features", clip_table())
    clip_ids = clip_table()["clip_id"][5:]
    values = np.zeros((len(clip_ids), ROWS, FRAMES))
    external.write_feature(folder, "part", values, clip_ids)
    plan = make_plan(change(small_options(folder, tmp_path), features="mel+part"))
    (remark,) = clip_remarks(plan, {})
    assert remark.startswith("5 clips left out: no mel+part in the cache; ")
    assert remark.endswith(plan.cache.remedy("mel part"))
    failures = [(0, "all", "not audio"), (1, "part", "too short")]
    write_failures(folder, plan.cache.clips, np.arange(2), ["part"], failures)
    unreadable, remark = clip_remarks(plan, {})
    file = folder / "failures.csv"
    assert unreadable == f"2 clips left out: unreadable ({file})"
    assert remark.startswith("3 clips left out: no mel+part in")


# options of the first release and of each model -> defaults
DEFAULTS, OF_MODELS = (data(__file__)[name] for name in ("DEFAULTS", "OF_MODELS"))
RAISE = "HASH_VERSION must rise, else finished runs count as runs of the new default"


def test_the_hash_of_a_run_with_the_defaults_that_were_there_is_unchanged(options):
    """Else every finished run would be another configuration. An option that is added
    changes no hash.
    """
    plan = make_plan(options)
    content = hashed_content(plan.training, plan.input, plan.model)
    data = {name: getattr(plan.config, name) for name in ("cache", "clips")}
    assert plan.config.hash == digest({**content, **data})
    assert sorted(content) == ["options", "version"]
    assert content["version"] == 1
    assert content["options"]["augment"] == "none" and content["options"]["lr"] == 0.002
    assert digest(content) == "27e862e447de"
    assert hashed_options(Training(**DEFAULTS)) == hashed_options(Training()), RAISE
    of_models = {n: entry.options for n, entry in MODELS.complete().items()}
    assert {n: options for n, options in of_models.items() if options} == OF_MODELS, (
        RAISE
    )


@cases("seconds", "given", "dropped")
def test_padding_is_left_out_if_it_is_a_fifth_of_the_time_or_that_is_asked_for(
    options_lasting, seconds, given, dropped
):
    plan = make_plan(options_lasting(seconds, **given))
    assert plan.input.drop_padding == dropped
    expected = "drop" if dropped else "keep"
    assert plan.training.padding == expected
    assert plan.cache.filled == pytest.approx(seconds / 0.5 or 1)


@pytest.fixture(scope="module")
def little_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("some") / "features"
    return fill(folder, clip_table(), "mel waveform embedding")


@pytest.fixture
def options_lasting(options, little_files):
    """Options of a run on clips of half a second whose files last `seconds`."""
    folder = little_files
    clips, settings = read_index(folder)

    def changed(seconds, **given):
        refresh(
            folder, clips.assign(source_seconds=seconds), settings, slice(0, len(clips))
        )
        return change(options, dataset=str(folder), **given)

    return changed


@cases("model", "features", "cost")
def test_channels_one_by_one_are_another_run_that_says_its_cost(
    options, model, features, cost
):
    given = {"weights": "none", "grid": "32x32", "features": features}
    plan = make_plan(change(options, model=model, **given))
    told = [text for text in plan.messages if "by itself" in text]
    assert len(told) == bool(cost) and all(cost in text for text in told)
    one_image = make_plan(change(options, model="resnet18", **given))
    same = plan.config.hash == one_image.config.hash
    assert same == (plan.model.name == "resnet18")
