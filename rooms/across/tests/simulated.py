"""Comparisons over datasets whose truth is known."""

from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pandas as pd

from featurestack.rooms.across import comparison
from featurestack.rooms.across.random_effects import random_effects
from featurestack.rooms.across.sentences import on_unseen


def useless_sets(datasets, sets, rng, spread=0.02):
    """Whether the gain of the best of useless sets on a new dataset has an interval
    above zero, and the sentence that says it.
    """
    errors = 0.02 * np.exp(rng.normal(size=datasets) / 2)
    shared = rng.normal(size=(2, 1, datasets))
    own = rng.normal(size=(2, sets, datasets))
    true, noise = np.sqrt(0.5) * (shared + own)
    gains = spread * true + errors * noise
    best = int(gains.mean(axis=1).argmax())
    effects = random_effects(gains[best], errors, rng)
    row = {**asdict(effects), "feature_set": f"f{best}", "gain": gains[best].mean()}
    comparison = SimpleNamespace(best=row, joint=range(sets))
    return effects.low > 0, on_unseen(comparison, 5)


def overlapping(datasets, sets, rng, shared=0.45, recordings=40):
    """Whether useless sets are clearly better or worse on datasets that share a part of
    their recordings with the one before, and what the page says of the shared ones.
    """
    features = tuple(f"f{number}" for number in range(sets))
    measured = []
    caches = {}
    values, ids = np.empty((0, sets)), np.empty(0, int)
    for number in range(datasets):
        same = round(shared * recordings) if number else 0
        common = rng.normal(size=(recordings - same, 1))
        own = common + rng.normal(size=(recordings - same, sets))
        values = np.concatenate([values[:same], own])[::-1]
        ids = np.append(ids[:same], 100_000 * (number + 1) + np.arange(len(own)))[::-1]
        name = f"d{number}"
        table = pd.DataFrame({"feature_set": features, "dataset": name})
        measured.append(
            comparison.DatasetGains(
                dataset=name,
                score="accuracy",
                protocol="last epoch",
                synthetic=False,
                features=features,
                differences=values / recordings / 10,
                shares=np.full(recordings, 1 / recordings),
                table=table.assign(gain=values.mean(axis=0), verdict="tie"),
            )
        )
        clips = pd.DataFrame({"clip_id": ids.astype(str), "copy_of": ""})
        caches[name] = SimpleNamespace(sources=clips.assign(source_hash=""))
    gains = pd.concat([each.table for each in measured], ignore_index=True)
    clear = comparison.joint_test(measured, features, gains)["clear"].any()
    return bool(clear), comparison.partly_inside(caches)
