"""run.json: each key, nested ones too, is refused by name if it is
wrong or missing.
"""

import copy
import json
from types import SimpleNamespace

import numpy as np
import pytest
from torch import nn

import featurestack as fs
from featurestack.base.errors import Caller
from featurestack.base.json_content import as_dataclass
from featurestack.features_cache import external
from featurestack.results.config import (
    OF_EVERY_RUN,
    TRAIN_AGAIN,
    Compute,
    RunConfig,
    content_of,
)
from featurestack.results.run_folder import RunFolder, find
from featurestack.train import run_json
from featurestack.train.options import RunOptions
from featurestack.train.plan import make_plan
from featurestack.train.run_json import joined_from, scored_alone
from tests.analysis.made_runs import MadeRun, made_clips, make_runs, no_figures, of_sets
from tests.refusal import refused
from tests.train.little import execute

# their keys are names of features, libraries or ways to compute
FREE = ("cache", "versions", "channels.parameters")
WRONG = {  # type -> values of other types
    str: (7, []),
    bool: (0, "yes"),
    int: (1.5, "1", True),
    float: ("x", True, []),
    list: (7, [[]], {"a": 1}),
    dict: (7, [1]),
}


def places(content, keys=()):
    """The keys that lead to each value; of a list only to its first item."""
    for key, value in (
        content.items() if isinstance(content, dict) else [*enumerate(content)][:1]
    ):
        yield (*keys, key)
        if isinstance(value, dict | list):
            yield from places(value, (*keys, key))


def changed(content, place, *value):
    """A copy with another value at a place, or without that key."""
    content = copy.deepcopy(content)
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    if value:
        inner[place[-1]] = value[0]
    else:
        del inner[place[-1]]
    return content


def config_of(content):
    return as_dataclass(content, RunConfig, "run.json", TRAIN_AGAIN)


def test_every_key_is_refused_by_name_if_it_is_wrong_or_missing(trained):
    content = json.loads((trained.path / "run.json").read_text())
    known = content_of(config_of(content))
    assert json.loads(json.dumps(known)) == content
    assert not {*OF_EVERY_RUN} & {*content["training"]}
    tried = 0
    for place in places(content):
        name = ".".join(key for key in place if isinstance(key, str))
        free = any(name.startswith(f"{key}.") for key in FREE)
        value = content
        for key in place:
            value = value[key]
        for other in [] if value is None or free else WRONG[type(value)]:
            with refused(rf"run.json cannot be read \((its )?{name} is "):
                config_of(changed(content, place, other))
            tried += 1
    assert tried > 150
    for place, value, said in (
        (("hash",), (), "missing .* 'hash'"),
        (("training",), (), "made_by is train, without training"),
        (("training", "bach"), (1,), "training.bach is 1"),
        (("training", "batch"), (1,), "BATCH=1: expected at least 2"),
    ):
        with refused(rf"run.json cannot be read \(.*{said}\): train it again"):
            config_of(changed(content, place, *value))


def test_run_json_says_how_the_run_computes_now(options):
    plan = make_plan(options)
    for threads in (1, 2, 2):
        compute = Compute(device="cpu", threads=threads)
        run_json.record(plan, nn.Linear(6, 1), compute)
        way = RunFolder(plan.path).config.computed
        assert way.threads == threads and way.same_bytes.endswith("threads")


def test_a_finished_run_is_not_written_to(options, finished):
    """Its folder may be another's, who lets us read it."""
    lock = finished.path / run_json.LOCK
    lock.unlink()
    execute(options)
    assert not lock.exists()
    assert execute(options, note="ours").config.note == "ours"


# ---- joined sets


def test_a_set_of_some_features_that_were_scored_alone_is_joined(tmp_path):
    runs = [*of_sets(mel=0.8, mfcc=0.7, rms=0.5, mel_zcr=0.6)]
    unfinished = MadeRun(features="chroma", folds=(1,))
    make_runs(tmp_path, made_clips(50, 5, folds=2), [*runs, unfinished])
    cache = SimpleNamespace(features=())
    tested = scored_alone(tmp_path / "made", cache, "classes")
    assert tested == {"mel", "mfcc", "rms"}
    assert scored_alone(tmp_path / "made", cache, "tags") == set()
    for features in ("mfcc mel", "rms mel"):  # whatever their ranks are
        assert joined_from(features.split(), tested) == 3
    for features in ("mel", "mel mfcc rms", "mel zcr", "mel chroma"):
        assert joined_from(features.split(), tested) == 0  # nothing was chosen
    # what is proposed before anything is tested is no choice
    many = {"mel@frame=46", "mfcc", "chroma", "modulation", "rms"}
    for features in ("mel@frame=46 mfcc chroma", "mel@frame=46 mfcc modulation"):
        assert joined_from(features.split(), many) == 0


def test_a_set_is_joined_too_if_answer_or_importance_tested_its_features(
    tmp_path, capsys, monkeypatch
):
    folder = tmp_path / "d" / "features"
    table = {"clip_id": list("abcdefgh"), "label": list("xyxyxyxy")}
    table["fold"] = [1, 1, 2, 2] * 2
    external.create_cache(folder, table)
    values = np.random.default_rng(0).normal(size=(8, 4))
    for name in ("f0", "f1", "f2"):
        external.write_feature(folder, name, values, list("abcdefgh"), dtype="float32")

    def joined(place, features):
        options = {"dataset": str(folder), "runs": tmp_path / place}
        execute(RunOptions(**options, features=features, model="ridge"))
        own = [run for run in find(tmp_path / place, "d") if run.name != "answer"]
        return {run.config.features: run.config.joined_from for run in own}[features]

    fs.importance("f0 f1 f2", dataset=folder, runs=tmp_path / "measured", quiet=True)
    places = {name: tmp_path / name for name in ("data", "reports")}
    with no_figures():
        fs.answer(folder, runs=tmp_path / "asked", **places, quiet=True)
    for place in ("measured", "asked"):
        assert joined(place, "f0+f1+f2") == 0  # all of them: nothing was chosen
    assert "no verdict" not in capsys.readouterr().err
    assert joined("measured", "f0+f2") == 3
    assert "f0+f2: no verdict in a report, because" in capsys.readouterr().err
    named = {"dataset": folder, "runs": tmp_path / "named", "model": "ridge"}
    for features in (["f0", "f1", "f0+f1"], "f2", ["f0", "f1", "f0+f1"]):
        fs.fit(features=features, **named)  # f0+f1 was named before the tests
    assert "no verdict" not in capsys.readouterr().err
    fs.importance("f0+f1 f2", dataset=folder, runs=tmp_path / "sets", quiet=True)
    assert joined("sets", "f0+f1+f2") == 0  # f0 and f1 have no score of their own
    assert joined("elsewhere", "f0+f2") == 0
    others = {"f0+f1", "f0+f2", "f1+f2"} - {
        run.config.features for run in find(tmp_path / "asked", "d")
    }
    assert joined("asked", min(others)) == 3
    monkeypatch.setattr(Caller, "in_python", True)
    with pytest.warns(UserWarning, match=r"f0\+f2: no verdict in a report, because"):
        fs.fit(features="f0+f2", **named, quiet=True)
