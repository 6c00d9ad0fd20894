"""A whole run: its folder, the choice of arithmetic, its folds one after the other, what it found."""

import dataclasses
import functools
import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from commandline import RequestError, make_command, tell, words
from features_cache.storage import Lock
from train import distributed, fold, loop, plan, runs, spread, summary, trackers
from train.agreement import trusted
from train.compute import Compute, candidates, choose, device_of, fitting_batch, is_shortage, step_seconds
from train.follow import Follower, Forecast, shorter
from train.options import RunOptions, with_optimiser_defaults
from train.plan import Plan
from train.runs import RunFolder
from train.views import trained_shape

FORWARD_SHARE = 1 / 3  # of a training step, that scoring the same clips costs
VERSIONED = ("torch", "numpy", "scikit-learn", "h5py")
LINEAR_SECONDS = 2.0  # of a fold of some thousand clips
PLACES_OF_ANALYSIS = ("dataset", "name", "data", "runs")  # options that it takes too
COMPILER = ("torch._dynamo", "torch._inductor")  # modules of its errors
NAMED_CLIPS = 3  # of those left out, told by name


class Failed(Exception):
    """The work ran and something in it failed: exit status 1 with this sentence."""


def run(options: RunOptions) -> int:
    """Train, or go on training, what the options say, and tell what was found."""
    try:
        folder = execute(options)
    except Failed as failure:
        tell(f"failed: {failure}")
        return 1
    if folder is not None:
        print(summary.tell(folder))
        print(f"next: {make_command('analysis', *words(options, PLACES_OF_ANALYSIS))}")
    return 0


def execute(options: RunOptions) -> RunFolder | None:
    """The run folder with the wanted folds finished; None in a process that is not the first of several."""
    chosen = after_divergence(options, plan.make(options))
    folder = RunFolder(chosen.path)
    known = agree_with(folder, chosen)
    if chosen.unused:
        _say_once(f"{options.model} has no use for {', '.join(chosen.unused).upper()}")
    waiting = [one for one in chosen.wanted_folds if known is None or one not in folder.finished]
    if not waiting:
        tell(f"{folder.path} has these folds already")
        _update(folder, options)
        return folder
    devices = [device_of(one) for one in options.device.split()]
    if options.resident == "gpu" and "cpu" in devices:
        raise RequestError("RESIDENT=gpu needs DEVICE=cuda or mps: give RESIDENT=ram or stream")
    if len(devices) > 1:
        failed = spread.over(options, waiting, devices)
        if failed:
            raise Failed(f"folds {' '.join(map(str, failed))} did not finish: see above")
        return RunFolder(chosen.path)
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"RUNS={options.runs} cannot be written: {error.strerror}") from None
    with distributed.joined(devices[0]) as (world, device):
        waiting, known = world.agree((waiting, known))
        chosen = dataclasses.replace(chosen, world=world)
        unusable = chosen.survey.unusable  # all processes read for it, so all have to come here
        if world.first:
            _tell_left_out(chosen, unusable, waiting)
        if chosen.model.kind != "linear":
            Training(chosen, options, world, device, waiting, known).folds()
        elif world.first:
            _fit_folds(chosen, waiting)
        if world.first:
            _update(RunFolder(chosen.path), options)
    return RunFolder(chosen.path) if world.first else None


def after_divergence(options: RunOptions, chosen: Plan) -> Plan:
    """PRECISION=fp32 continues the run that diverged in another number format, if there is one."""
    if options.precision != "fp32" or (chosen.path / "run.json").is_file():
        return chosen
    formats: tuple[Literal["auto", "bf16", "fp16"], ...] = ("auto", "bf16", "fp16")
    for precision in formats:
        other = plan.make(dataclasses.replace(options, precision=precision))
        if (other.path / "run.json").is_file():
            known = RunFolder(other.path).config
            if known.get("hash") == other.hash and (known.get("diverged") or known.get("changes")):
                return other
    return chosen


def expected(options: RunOptions) -> float:
    """Seconds that a run would take on this machine, from a few steps; scoring is not counted."""
    chosen = plan.make(options)
    if chosen.model.kind == "linear":
        return LINEAR_SECONDS * len(chosen.wanted_folds)
    network = fold.draw_network(chosen, chosen.wanted_folds[0])
    shape = (options.batch, len(chosen.channels), *trained_shape(chosen.augmenter, chosen.grid))
    likely, *_ = candidates(options, device_of(options.device.split()[0]))
    training = int((chosen.table["fold"] != chosen.wanted_folds[0]).sum())
    steps = options.epochs * len(chosen.wanted_folds) * loop.epoch_steps(training, options)
    return steps * step_seconds(network, shape, likely)


def agree_with(folder: RunFolder, chosen: Plan) -> dict[str, Any] | None:
    """run.json where it is of this very configuration; RequestError where the folder holds another."""
    if not (folder.path / "run.json").is_file():
        return None
    known = folder.config
    if known.get("hash") == chosen.hash:
        return known
    own, theirs = chosen.config(), known.get("options", {})
    changed = [name.upper() for name, value in own["options"].items() if theirs.get(name) != value]
    changed += [name for name in ("cache", "clips", "changed_strides") if known.get(name) != own.get(name)]
    raise RequestError(
        f"{folder.path} holds another configuration (different: {', '.join(changed) or 'the weights'}) "
        "and is left as it is: give TAG=… for a folder of its own"
    )


def _tell_left_out(chosen: Plan, unusable: dict[str, str], folds: Iterable[int]) -> None:
    absent = len(chosen.cache.clips) - int(chosen.cache.readable(chosen.channels).sum())
    if absent:
        tell(f"{absent} clips left out: {chosen.features} is not there for them")
    if unusable:
        some = "; ".join(f"{clip}: {reason}" for clip, reason in list(unusable.items())[:NAMED_CLIPS])
        tell(f"{len(unusable)} clips left out ({some}); make features computes damaged ones again")
    for one in folds:
        for sentence in fold.shortcomings(chosen, one):
            tell(sentence)


def _fit_folds(chosen: Plan, waiting: list[int]) -> None:
    runs.write_config(chosen.path, chosen.config() | _circumstances("cpu"))
    for one in waiting:
        fold.train_linear(chosen, one)


class Training:
    """The folds of a run that are still to be trained, by one network that is drawn anew for each."""

    def __init__(
        self,
        chosen: Plan,
        options: RunOptions,
        world: distributed.World,
        device: str,
        waiting: list[int],
        known: dict[str, Any] | None,
    ) -> None:
        self.plan, self.options, self.world, self.waiting = chosen, options, world, waiting
        network = fold.draw_network(chosen, waiting[0])
        self.shape = (options.batch, len(chosen.channels), *trained_shape(chosen.augmenter, chosen.grid))
        proposed = world.agree(self._recall(known, device) or self._choose(network, device)).on(device)
        self.arithmetic, checked = self._trusted(proposed, network)
        self.arithmetic.prepare()
        self.network = self.arithmetic.place(network)
        self.forward = self.arithmetic.compile(self.network)
        parameters = sum(weight.numel() for weight in network.parameters())
        if world.first and known is None:
            config = chosen.config() | _circumstances(device) | self.arithmetic.state() | checked
            runs.write_config(chosen.path, config | {"parameters": parameters})
        elif world.first and known is not None:
            self._note_change(known)

    def folds(self) -> None:
        forecast = self._forecast()
        for number in self.waiting:
            with self._claim(number):
                self._fold(number, forecast)

    def _fold(self, number: int, forecast: Forecast) -> None:
        prepared = fold.prepare(self.plan, number, self.network, self.forward, self.arithmetic, self.world)
        loop.resume(prepared.course, prepared.folder)
        clips = self.options.passes * len(prepared.lesson.train)
        label = f"{self.plan.path.name} fold {number}"
        done = prepared.course.epoch
        followers = self._trackers(number, done)
        follower = Follower(label, clips * self.options.epochs, clips * done, forecast, followers)
        outcome = None
        try:
            fold.train(prepared, self.plan, follower)
            if self.world.first:
                outcome = _outcome(RunFolder(self.plan.path), number)
                tell(f"{label}: {_line(outcome)}")
        except loop.Diverged as diverged:
            raise Failed(self._diverged(number, diverged)) from diverged
        except (RuntimeError, MemoryError) as error:
            if is_shortage(error):
                raise Failed(self._shortage()) from error
            if type(error).__module__.startswith(COMPILER):
                raise Failed("torch.compile does not work here: give COMPILE=off") from error
            raise
        except OSError as error:
            raise Failed(
                f"fold {number}: {error}; the same command goes on from the last epoch saved"
            ) from error
        finally:
            follower.close(outcome)

    def _recall(self, known: dict[str, Any] | None, device: str) -> Compute | None:
        """The choice with which the run began, so that it goes on with the same bits."""
        if known is None:
            return None
        choice = Compute.restore(known)
        if known.get("diverged") and self.options.precision == "fp32":
            choice = dataclasses.replace(choice, precision="fp32", compiled=False)
        if torch.device(choice.device).type != torch.device(device).type:
            tell(f"this run began on {choice.device} and goes on on {device}: with other bits than there")
            return None
        return choice.on(device)

    def _trusted(self, proposed: Compute, network: nn.Module) -> tuple[Compute, dict[str, Any]]:
        """The proposal where each process found it to agree with plain fp32, else what one fell back to."""
        batches = functools.partial(
            fold.sample_batches, self.plan, self.waiting[0], proposed.device, self.world
        )
        found = self.world.gather(trusted(proposed, network, batches))
        fallen = [one for one in found if one[0].on(proposed.device) != proposed]
        compute, checked = (fallen or found)[0]
        return compute.on(proposed.device), checked

    def _note_change(self, known: dict[str, Any]) -> None:
        """Keep in run.json from which epoch on a run computes otherwise than it began."""
        state = self.arithmetic.state()
        changed = {name: value for name, value in state.items() if known.get(name) != value}
        if not changed:
            return
        done = {number: len(RunFolder(self.plan.path).history(number)) for number in self.waiting}
        note = {"from": {name: known.get(name) for name in changed}, "to": changed, "epochs_done": done}
        config = {key: value for key, value in known.items() if key != "diverged"}
        runs.write_config(self.plan.path, config | state | {"changes": [*known.get("changes", []), note]})

    def _choose(self, network: nn.Module, device: str) -> Compute:
        parts = self.plan.parts(self.waiting[0])
        epoch = loop.epoch_steps(len(parts.train), self.options)
        try:
            return choose(
                self.options, device, network, self.shape, len(self.waiting) * self.options.epochs * epoch
            )
        except (RuntimeError, MemoryError) as error:
            if not is_shortage(error):
                raise
            self.arithmetic = Compute(device)
            self.network = network.to(device)
            raise Failed(self._shortage()) from error

    def _forecast(self) -> Forecast:
        """Of all folds that are to be trained; what continued ones have behind them is taken off by each."""
        options = self.plan.options
        steps, scored = 0, 0.0
        for number in self.waiting:
            parts = self.plan.parts(number)
            steps += options.epochs * loop.epoch_steps(len(parts.train), options)
            clips = len(loop.curve_epochs(options)) * len(parts.test) + options.epochs * len(parts.val)
            scored += FORWARD_SHARE * options.tta * clips / options.batch
        return Forecast(
            steps, scored, len(self.waiting), lambda seconds: shorter(self.options, self.waiting, seconds)
        )

    def _trackers(self, number: int, done: int) -> list[trackers.Tracker]:
        if not self.world.first:
            return []
        folder = Path(self.options.tracker_dir) if self.options.tracker_dir else self.plan.path / "trackers"
        config = RunFolder(self.plan.path).config
        return trackers.follow(
            self.options.tracker, trackers.Fold(config, self.plan.path.name, number, done, folder)
        )

    @contextmanager
    def _claim(self, number: int) -> Iterator[None]:
        """Hold the fold while it trains; RequestError where another process trains it."""
        if not self.world.first:
            yield
            return
        lock = Lock(self.plan.path / f"fold{number}" / ".lock")
        try:
            if not lock.take():
                raise RequestError(f"fold {number} of {self.plan.path} is being trained by another process")
            yield
        finally:
            lock.release()

    def _diverged(self, number: int, diverged: loop.Diverged) -> str:
        kept = (
            f"the weights of epoch {diverged.epoch - 1} stay in fold{number}/last.pt"
            if diverged.epoch > 1
            else ""
        )
        rate = with_optimiser_defaults(self.options).lr
        kept = kept or "no epoch was finished"
        advice = f"Try a lower LR than {rate:g}, or CLIP=1"
        if self.arithmetic.precision != "fp32":
            known = RunFolder(self.plan.path).config
            runs.write_config(self.plan.path, known | {"diverged": {"fold": number, "epoch": diverged.epoch}})
            advice = (
                f"Repeat the command with PRECISION=fp32 instead of {self.arithmetic.precision}, it goes on "
                f"from there; if that happens again, try a lower LR than {rate:g}, or CLIP=1"
            )
        return f"fold {number}: {diverged}; {kept}. {advice}"

    def _shortage(self) -> str:
        batch = fitting_batch(self.network, self.arithmetic, self.shape)
        fits = f"BATCH={batch} would fit" if batch else "not even one clip fits: give a smaller GRID or MODEL"
        return f"out of memory on {self.arithmetic.device} with BATCH={self.options.batch}; {fits}"


def _outcome(run: RunFolder, number: int) -> trackers.Outcome:
    split = summary.told_split(run)
    probabilities, targets = summary.answers(run, number, split)
    values = summary.scores(run, split).loc[number].to_dict()
    named = {f"{split}_{name}": value for name, value in values.items()}
    return trackers.Outcome(run.classes, targets, probabilities.argmax(1), named)


def _line(outcome: trackers.Outcome) -> str:
    shown = {
        name: value for name, value in outcome.summary.items() if name.partition("_")[2] in summary.SHOWN
    }
    return ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in shown.items())


def _circumstances(device: str) -> dict[str, Any]:
    """What a reader needs to know of where and with what a run was made."""
    machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    if device.startswith("cuda"):
        machine["gpu"] = torch.cuda.get_device_name(device)
    versions = {"python": platform.python_version()} | {name: version(name) for name in VERSIONED}
    return {"machine": machine, "versions": versions, "seconds": 0.0}


def _update(run: RunFolder, options: RunOptions) -> None:
    """Bring run.json's seconds of training and its note up to date."""
    seconds = float(sum(run.history(one)["seconds"].sum() for one in run.folds))
    config = run.config | {"seconds": seconds} | ({"note": options.note} if options.note else {})
    if config != run.config:
        runs.write_config(run.path, config)


@functools.cache
def _say_once(sentence: str) -> None:
    """Not again for every run of a sweep."""
    tell(sentence)
