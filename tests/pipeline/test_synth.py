"""The synthetic dataset: reproducible, equally loud, each pair separated by the feature
that names it.
"""

import socket

import numpy as np
import pandas as pd
import pytest

from featurestack import ridge
from featurestack.base.files import UNFINISHED
from featurestack.checks.ridge_findings import logits_left_out
from featurestack.pipeline import synth
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.synth import write_dataset
from tests.pipeline.test_features import feature_of
from tests.refusal import refused

FEATURES = "chroma", "tempogram", "mfcc", "mel", "onset"  # one for each pair


def test_a_mix_has_one_to_three_classes_of_different_pairs_each_in_every_fold():
    rows = synth.clip_rows(mix=True)
    names = list(synth.CLASS_SOUNDS)
    labels = rows["category"].str.split(";")
    assert {*labels.map(len)} == {1, 2, 3}
    assert labels.map(
        lambda label: len({names.index(name) // 2 for name in label}) == len(label)
    ).all()
    each = rows.assign(label=labels).explode("label")
    assert (pd.crosstab(each["label"], each["fold"]) > 0).all(axis=None)


@pytest.mark.slow
@pytest.mark.parametrize("pair", range(len(FEATURES)))
def test_the_feature_that_names_a_pair_separates_it(pair):
    names = [*synth.CLASS_SOUNDS][2 * pair : 2 * pair + 2]
    rows = synth.clip_rows()
    rows = rows[rows["category"].isin(names) & (rows["take"] == "A")]
    feature = feature_of(FEATURES[pair])
    statistics = []
    for row in rows.itertuples():
        values = feature.compute(Clip(synth.clip(row), synth.SAMPLE_RATE))
        statistics.append([*values.mean(axis=1), *values.std(axis=1)])
    target = pd.factorize(rows["category"])[0]
    x, folds = [np.array(statistics)], [rows["fold"].to_numpy()]
    (answers,) = logits_left_out(x, target, folds, ridge.PLAIN)
    assert (answers.argmax(axis=1) == target).mean() > 0.8


def test_a_complete_dataset_is_left_alone_and_an_incomplete_one_is_made_again(
    tmp_path, monkeypatch
):
    rows = synth.clip_rows().head(3)
    monkeypatch.setattr(synth, "clip_rows", lambda mix: rows)
    first = write_dataset(tmp_path) / "audio" / rows["filename"][0]
    before = first.stat().st_mtime_ns
    write_dataset(tmp_path)
    assert first.stat().st_mtime_ns == before
    first.unlink()
    here = socket.gethostname()
    killed = tmp_path / f".{UNFINISHED}.{here}.999999999.1"  # a killed run leaves it
    (killed / "audio").mkdir(parents=True)
    own = tmp_path / f".{UNFINISHED}" / "mine.txt"
    own.parent.mkdir()
    own.touch()
    write_dataset(tmp_path)
    assert first.exists()
    assert not killed.exists() and own.exists()
    first.write_bytes(b"my own")
    (tmp_path / "audio" / "mine.wav").touch()
    (tmp_path / "meta" / "synth.csv").unlink()
    with refused("already exists with other content"):
        write_dataset(tmp_path)
    assert first.read_bytes() == b"my own"
    assert (tmp_path / "audio" / "mine.wav").exists()
