"""attribution.csv has every test clip and channel, with the numbers of a permutation by
hand.
"""

import re
from functools import partial

import numpy as np
import pandas as pd

from featurestack.features_cache import Cache
from featurestack.train import bundle
from featurestack.train.explain import explain_runs
from featurestack.train.options import ExplainOptions
from tests.refusal import refused
from tests.train import test_predict
from tests.train.sounds import train_run

CHANNELS = ["mel", "mfcc:1-19", "chroma"]


def run_explain(run, **given):
    given = {"data": run.path.parents[2] / "data", "repeats": 2, **given}
    return explain_runs(ExplainOptions(run=str(run.path), device="cpu", **given))


def test_each_test_clip_and_channel_has_the_share_of_permuting_by_hand(
    sounding, capsys
):
    run = train_run(sounding.path.parents[2], model="mlp", augment="auto", tta=1)
    assert run_explain(run, seed=3) == 0
    said = capsys.readouterr().out
    assert re.search(r": \d+ of 24 test clips correct in 2 of 2 folds\n", said)
    assert f"\nnext: make analysis DATASET={run.dataset}" in said
    rows = run.predictions(1)
    cache = Cache(run.path.parents[2] / "data" / run.dataset / "features")
    model = bundle.TrainedModel(bundle.bundle_of_run(run))
    random = np.random.default_rng([3, 1])
    expected = []
    for place, channel in enumerate(CHANNELS):
        hits = []
        for _ in range(2):
            values = cache.batch(CHANNELS, rows["clip_id"].tolist())
            values[place] = values[place][random.permutation(len(rows))]
            predicted = model.probabilities(values, np.ones(len(rows)), 1).argmax(
                axis=1
            )
            hits.append(np.array(model.classes)[predicted] == rows["target"])
        expected += zip([channel] * len(rows), rows["clip_id"], np.mean(hits, axis=0))
    written = pd.read_csv(run.fold(1) / "attribution.csv")[
        ["channel", "clip_id", "correct"]
    ]
    assert [*written.itertuples(index=False, name=None)] == expected


def test_a_cache_elsewhere_is_given_as_dataset(sounding, tmp_path, capsys):
    cache = sounding.path.parents[2] / "data" / "little" / "features"
    assert run_explain(sounding, data=tmp_path, dataset=str(cache)) == 0
    with refused("no features"):
        run_explain(sounding, data=tmp_path)


def test_a_run_that_never_scored_its_test_clips_is_refused(sounding):
    run = train_run(
        sounding.path.parents[2], model="linear", val="group", skip_test=True
    )
    for ask in (run_explain, partial(test_predict.ask, test_clips=True)):
        with refused("has no predictions of its test clips"):
            ask(run)


def test_a_cache_that_is_not_the_runs_is_refused(sounding, unlike):
    with refused("gives other predictions than in training"):
        run_explain(unlike, data=sounding.path.parents[2] / "data")
