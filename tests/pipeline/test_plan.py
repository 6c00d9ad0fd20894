"""`plan`: what a run would do and cost; nothing is written."""

import random
import re
import time
from dataclasses import replace

import numpy as np
import pytest

from pipeline import extract, plan
from pipeline.options import ExtractOptions, FeaturesCommand
from pipeline.pool import Backend
from pipeline.request import request
from tests.pipeline.changing import SAMPLE_RATE, ChangingDataset


@pytest.fixture
def options(tmp_path):
    sounds = ChangingDataset(tmp_path / "sounds", random.Random(0), clips=4)
    return {
        "dataset": str(sounds.csv),
        "data": tmp_path / "data",
        "sample_rate": SAMPLE_RATE,
        "duration": 1.0,
        "jobs": 1,
    }


def test_seconds_and_megabytes_by_feature_and_nothing_written(options, tmp_path, capsys):
    assert plan.run(ExtractOptions(**options, features="mel rms")) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^mel +4 +[\d.]+ +0\.0$", shown, re.MULTILINE)
    assert "8 of 8 feature maps to compute" in shown
    assert not (tmp_path / "data").exists()


def test_only_what_is_missing_is_planned(options, capsys):
    extract.run(FeaturesCommand(**options, features="mel"))
    capsys.readouterr()
    plan.run(ExtractOptions(**options, features="mel rms"))
    assert "4 of 8 feature maps to compute" in capsys.readouterr().out
    plan.run(ExtractOptions(**options, features="mel"))
    assert " of 4 clips is done" in capsys.readouterr().out


def test_what_would_be_made_again_is_reported_with_the_reason(options, capsys):
    extract.run(FeaturesCommand(**options, features="mel"))
    capsys.readouterr()
    plan.run(ExtractOptions(**options, features="mel", dtype="float32"))
    assert "mel.h5 has dtype float16, asked for is dtype float32" in capsys.readouterr().out


def test_what_cannot_exist_here_is_reported(options, capsys):
    plan.run(ExtractOptions(**options, features="small"))
    assert "left out: cqt, " in capsys.readouterr().out


@pytest.mark.parametrize(("seconds", "measured"), [(1000.0, 12), (0.0, plan.MEASURED_CLIPS)])
def test_a_share_of_the_clips_is_measured_while_there_is_time(
    options, tmp_path, monkeypatch, seconds, measured
):
    sounds = ChangingDataset(tmp_path / "more", random.Random(0), clips=24)
    asked = request(ExtractOptions(**options | {"dataset": str(sounds.csv)}, features="rms"))
    monkeypatch.setattr(plan, "MEASURED_SHARE", 0.5)
    monkeypatch.setattr(plan, "MEASURED_SECONDS", seconds)
    batches = []

    def dispatch(job, items):
        batches.append([])
        for item in items:
            batches[-1].append(item)
            yield job(item)

    found = plan.find_remaining(asked)
    expected = plan.cost(asked, found, Backend(1, dispatch))
    warming, counted = batches
    rows = [row for batch in counted for row in batch.rows]
    assert len(warming) == 1 and len(rows) == len(set(rows)) == measured
    assert expected.measured and expected.clips == 24
    begun = time.perf_counter() - 1000
    counted = plan.cost(asked, found, Backend(1, dispatch), begun)
    assert expected.seconds_before == 0 and 1000 < counted.seconds_before < 1100
    assert "about 16 min 4" in plan.describe_cost(asked, found, replace(expected, seconds_before=1000.0))


def cost(seconds_a_clip, jobs):
    nothing = np.zeros(1)
    return plan.Cost(1, nothing + seconds_a_clip, 0.0, nothing.astype(np.int64), measured=True, jobs=jobs)


@pytest.mark.parametrize(("clips", "ms", "jobs"), [(1, 4, 2), (7, 4000, 2), (4000, 4, 2), (10**6, 0, 8)])
def test_batches_cover_all_clips_and_none_is_longer_than_what_is_left_for_the_others(clips, ms, jobs):
    lengths = list(plan.batch_lengths(clips, cost(ms / 1000, jobs)))
    assert clips <= sum(lengths) < clips + lengths[-1]
    assert lengths == sorted(lengths, reverse=True)
    assert 1 <= lengths[0] <= max(1, plan.LONGEST_BATCH)
    shortest, longest = plan.BATCH_SECONDS
    assert lengths[0] * ms / 1000 <= max(longest, ms / 1000)
    assert lengths[-1] * ms / 1000 <= max(2 * shortest, ms / 1000)
