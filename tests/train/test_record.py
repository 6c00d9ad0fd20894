"""run.json: each key, nested ones too, is refused by name if it is
wrong or missing.
"""

import copy
import json

from torch import nn

from featurestack.base.json_content import as_dataclass
from featurestack.results.config import (
    OF_EVERY_RUN,
    TRAIN_AGAIN,
    Compute,
    RunConfig,
    content_of,
)
from featurestack.results.run_folder import RECORD_LOCK, RunFolder
from featurestack.train.folds import begin_record
from featurestack.train.plan import make_plan
from tests.refusal import refused
from tests.train.small_cache import run_with

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


def test_every_key_is_refused_by_name_if_it_is_wrong_or_missing(trained_run):
    content = json.loads((trained_run.path / "run.json").read_text())
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
        begin_record(plan, nn.Linear(6, 1), compute)
        assert RunFolder(plan.path).config.computed == compute


def test_a_finished_run_is_not_written_to(options, run_copy):
    """Its folder may be another's, who lets us read it."""
    lock = run_copy.path / RECORD_LOCK
    lock.unlink()
    run_with(options)
    assert not lock.exists()
    assert run_with(options, note="ours").config.note == "ours"
