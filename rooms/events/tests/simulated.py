"""Detections in recordings whose sites differ: F1 on new recordings is known."""

import numpy as np

from featurestack.rooms.events.scores import f1_interval, f1_of

MINUTES = 10  # blocks of each recording
NEW_RECORDINGS = 3_000
EASE = 1.0  # standard deviation over sites of the log odds that an event is found


def by_minute(recordings, rng):
    """(3, recordings * MINUTES) partners, events and detections of each minute."""
    odds = 1.2 + EASE * rng.normal(size=recordings)
    found = 1 / (1 + np.exp(-odds))
    events = rng.poisson(np.repeat(rng.gamma(1, 8, recordings), MINUTES))
    partners = rng.binomial(events, np.repeat(found, MINUTES))
    false = rng.poisson(np.repeat(rng.gamma(1, 2, recordings), MINUTES))
    return np.stack([partners, events, partners + false]).astype(float)


def interval_and_truth(recordings, rng, *, by_block):
    """The interval of F1 of these recordings, drawn by block or by recording, and F1
    on new recordings.
    """
    counts = by_minute(recordings, rng)
    truth = float(f1_of(by_minute(NEW_RECORDINGS, rng).sum(axis=1)))
    if not by_block:
        counts = counts.reshape(3, recordings, MINUTES).sum(axis=2)
    return f1_interval(counts[None]), truth
