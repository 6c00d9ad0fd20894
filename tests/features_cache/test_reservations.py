"""Reservations: who may write what, and what becomes of a run that is gone."""

import json
import os
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from featurestack.base.files import Lock
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.hdf5 import LOCKS
from featurestack.features_cache.reservations import (
    ExtractionIsGone,
    reservations,
    reserved,
)
from featurestack.features_cache.writer import write_batch


def reserve(cache, features=("mine",), rows=(0, 8)):
    return reserved(cache.folder, features, rows)


def markers(cache):
    return list((cache.folder / LOCKS).glob("run-*"))


def kill_a_run(cache, **changes):
    """Leave behind the reservation of a killed extraction; with another `boot` it went
    down with the system.
    """
    with reserve(cache) as ours:
        left = json.loads(ours.marker.read_text())
    ours.marker.write_text(json.dumps(left | changes))
    return ours.marker


@pytest.mark.parametrize(
    ("features", "rows", "admitted"),
    [(("mine",), (0, 8), False), (("other",), (0, 8), True), (("mine",), (4, 8), True)],
)
def test_only_the_same_clips_of_the_same_feature_are_waited_for(
    cache, monkeypatch, capsys, features, rows, admitted
):
    first = reserve(cache, rows=(0, 4))
    first.__enter__()
    # the other run ends while this one waits
    ends = lambda seconds: first.__exit__(None, None, None)  # noqa: E731
    monkeypatch.setattr(time, "sleep", ends)
    with reserve(cache, features, rows):
        assert len(reservations(cache.folder)) == (2 if admitted else 1)
    waited = "waiting for another extraction, which writes these clips: process "
    assert (f"{waited}{os.getpid()}" in capsys.readouterr().err) != admitted
    if admitted:
        first.__exit__(None, None, None)
    assert not markers(cache)


def test_a_killed_run_blocks_nobody_and_its_clips_count_as_done(cache, spoil):
    kill_a_run(cache)
    spoil(3)
    ((_, lives),) = reservations(cache.folder)
    assert not lives
    with reserve(cache):
        # nothing is read, since the system kept all pages
        assert Cache(cache.folder)["mine"].done().all()
    assert not markers(cache)


def test_after_a_power_cut_a_clip_whose_data_was_lost_is_not_done(cache, spoil, capsys):
    kill_a_run(cache, boot="another")
    spoil(3)
    with reserve(cache, rows=(6, 8)):
        lost = ~Cache(cache.folder)["mine"].done()
        assert np.flatnonzero(lost).tolist() == [3]
    assert "before a restart, is gone" in capsys.readouterr().err
    assert not markers(cache)


def test_a_worker_stops_when_its_run_is_gone(cache, file):
    state = int(file.map(state=True)[0])

    def batch(ends=lambda: None):
        for row in range(2):
            yield row, [(0, file.map()[row], state + row)]
            ends()

    run = reserve(cache)
    ours = run.__enter__()
    write_batch([file], ours, batch())
    assert file.map(state=True)[:2].tolist() == [state, state + 1]
    file.forget(np.arange(2))
    with pytest.raises(ExtractionIsGone):  # after the first clip
        write_batch([file], ours, batch(lambda: run.__exit__(None, None, None)))
    assert file.map(state=True)[:2].tolist() == [state, 0]
    # on a machine that does not see the cache, the files are not there either
    elsewhere = replace(file, path=file.path.with_name("unseen.h5"))
    with pytest.raises(ExtractionIsGone):
        write_batch([elsewhere], ours, batch())
    ours.marker.touch()
    ours.writing.touch()  # a dead run's, not removed yet
    with pytest.raises(ExtractionIsGone):
        write_batch([file], ours, batch())


def test_a_run_waits_for_the_clip_that_an_orphan_is_writing(cache):
    """A worker of a dead run is in the middle of a clip: the next run is admitted when
    that is written.
    """
    orphan = Lock(kill_a_run(cache).with_suffix(".writing"))
    orphan.take(shared=True)
    written = []
    threading.Timer(0.3, lambda: (written.append(True), orphan.release())).start()
    with reserve(cache):
        assert written
