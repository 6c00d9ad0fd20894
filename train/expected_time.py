"""The time that runs will take, before the first begins.

A network makes one training step of random clips here. A linear model takes as long as
its numbers suggest, compared with a fit that is timed here. torch is imported only if
a network is left to train.
"""

import math
import time
from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from featurestack.commandline.errors import RequestError
from featurestack.results.linear import TIMED, fit_seconds
from featurestack.results.run_folder import RunFolder
from featurestack.train.options import RunOptions
from featurestack.train.plan import Plan, make_plan

FOLD_SECONDS = 0.2  # time of a fold beside its training, on one core
# shape of a step -> seconds to train on a clip once, and to prepare it
Known = dict[tuple[object, ...], tuple[float, float]]


def expected_seconds(jobs: Sequence[RunOptions]) -> tuple[float, int]:
    """Seconds that the unfinished runs will take, and how many are finished.

    A run that cannot begin counts as 0 seconds: it fails when its turn comes. So do
    runs over frames of recordings, whose clips have no common length.
    """
    seconds = 0.0
    finished = 0
    known: Known = {}
    fit = 0.0
    for job in jobs:
        with suppress(RequestError):
            plan = make_plan(job)
            folds = unfinished_folds(plan)
            finished += not folds
            clips = sum(len(plan.split(fold).train) for fold in folds)
            if not folds or plan.model.kind.framed:
                continue
            seconds += FOLD_SECONDS * len(folds)
            if plan.model.kind.in_steps:
                seconds += clips_seconds(plan, clips, known)
            else:
                fit = fit or fit_seconds()
                sizes = clips, math.prod(plan.input_shape), len(plan.classes)
                seconds += fit * float(np.prod(np.divide(sizes, TIMED)))
    return seconds, finished


def unfinished_folds(plan: Plan) -> list[int]:
    """The wanted folds that have no predictions yet."""
    done = []
    if (plan.path / "run.json").is_file():
        done = RunFolder(plan.path).finished
    return [fold for fold in plan.wanted_folds if fold not in done]


def clips_seconds(plan: Plan, clips: int, known: Known) -> float:
    """Seconds of training a network on so many clips per epoch, over all folds."""
    from featurestack.train.trainer import SCORING_SHARE

    training = plan.training
    shape = plan.input_shape, len(plan.classes), plan.augmenter.only_shifts
    sizes = training.batch, training.precision, training.threads
    key = (plan.model.resolved, *shape, *sizes, training.device)
    if key not in known:
        known[key] = measured_clip(plan)
    step, once = known[key]
    return clips * (plan.epochs * step * (1 + SCORING_SHARE) + once)


def measured_clip(plan: Plan) -> tuple[float, float]:
    """Seconds of one clip in a training step, and those of statistics that are computed
    once for all epochs.
    """
    import torch

    from featurestack.train.choose_compute import largest_step, preferred
    from featurestack.train.compute import device_of
    from featurestack.train.trainer import first_network

    device = device_of(plan.training.device)
    network = first_network(plan, plan.wanted_folds[0])
    drawn = torch.Generator().manual_seed(0)
    x = torch.randn(plan.training.batch, *plan.input_shape, generator=drawn)
    y = torch.eye(len(plan.classes))[torch.arange(len(x)) % len(plan.classes)]
    once = 0.0
    front_end = getattr(network, "shift_invariant", None)
    if front_end and plan.augmenter.only_shifts:
        with torch.inference_mode():
            begun = time.perf_counter()
            x = front_end(x)[..., None, None]
            once = (time.perf_counter() - begun) / len(x)
        x = x.clone()
    way = preferred(plan.training, device, x.shape)
    batch = x.to(device), y.to(device)
    _, batch = largest_step(network, way, batch)  # the first step also warms up
    taken, (x, _) = largest_step(network, way, batch)
    return taken.seconds / len(x), once
