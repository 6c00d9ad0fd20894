"""Whether a way to compute agrees with plain fp32: asked of the very network before a run trusts it.

Fast kernels are wrong here and there, silently: oneDNN's bf16 convolutions on some shapes, for one
(docs/explanation/onednn-bf16.md). This needs no knowledge of where. `choose_compute` is what a run calls.
"""

import contextlib
import copy
import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from commandline.terminal import tell
from results.run_folder import RunFolder
from train.compute import Compute, choose, is_shortage, poisoned_memory
from train.data import FoldData, seeded, steps_per_epoch
from train.optimisation import smoothed
from train.plan import Plan

if TYPE_CHECKING:
    from train.trainer import Processes

# An operation on the same inputs may be off by this part of its output's size. Over every registered model,
# several grids, stacks and batches, under four instruction sets (docs/explanation/onednn-bf16.md), sound ones
# were off by up to 0.006 in bf16 (0.012 where AVX2 adds up in bf16) and 3e-5 in fp32; the known bad ones by
# 1.0 to 1.4, or not finite.
OPERATION = {"fp32": 0.005, "fp16": 0.05, "bf16": 0.05}
# Largest relative error of rounding. A step in fp32 with as much noise on every output shows how far a sound
# step may be from plain fp32: gradients of ResNet-18 keep a cosine of 0.9, of ResNet-50 in a batch of 2 none.
ROUNDING = {"fp32": 2.0**-22, "fp16": 2.0**-11, "bf16": 2.0**-8}
TIMES = 4.0  # as far from plain fp32 as the step with noise, and
LOSS, TURN, RATIO = 0.02, 0.05, 4.0  # a bit: of the loss, of 1 - cosine, times as long
ILL_CONDITIONED = 10.0  # an operation off by less than so many times what rounded inputs change is not judged
NEGLIGIBLE = 1e-3  # of the length of all gradients together: shorter ones are the noise of sums that cancel

Batch = tuple[torch.Tensor, torch.Tensor]  # (B, C, H, W) as the network takes it, (B, classes) targets


class Deviation(NamedTuple):
    """How far a way to compute is from plain fp32. `why` is where that is too far, empty where nowhere."""

    operation: float = 0.0  # largest error of an operation on the same inputs, as a part of its output's size
    loss: float = 0.0  # of a step, relative
    cosine: float = 1.0  # smallest of a step, between a kernel's or matrix's two gradients
    sound: float = 1.0  # the same of the step in fp32 with noise
    ratio: float = 1.0  # the one farthest from 1, of the lengths of a parameter's two gradients
    why: str = ""

    def state(self) -> dict[str, Any]:
        """Plain values for run.json; None for what is not finite."""
        values = self._asdict()
        return {
            name: one if isinstance(one, str) or math.isfinite(one) else None for name, one in values.items()
        }

    def with_(self, other: "Deviation") -> "Deviation":
        """The worse of both in everything."""
        return Deviation(
            max(self.operation, other.operation),
            max(self.loss, other.loss),
            min(self.cosine, other.cosine),
            min(self.sound, other.sound),
            max(self.ratio, other.ratio, key=_distance),
            self.why or other.why,
        )


def measure_deviation(network: nn.Module, compute: Compute, batches: Iterable[Batch]) -> Deviation:
    """How far training steps so computed are from plain fp32 on one thread, on these batches.

    The step is made both ways, on copies of the network. In the second one each operation, forward and
    backward, is computed again in plain fp32 from the very inputs it had, so that an error is found where it
    arises and is not mistaken for rounding that grew on the way; and what is allocated is poisoned, so that
    values that an operation leaves unwritten are seen. Of a compiled network the whole steps alone are
    compared. How far those may be apart is shown by a third step, in fp32 with noise. A batch whose step in
    fp32 does not fit in memory is halved.
    """
    worst = Deviation()
    for x, y in batches:
        expected = None
        while expected is None:
            try:
                expected = step(network, Compute(compute.device), x, y, contextlib.nullcontext())
            except (RuntimeError, MemoryError) as error:
                if len(x) <= 2 or not is_shortage(error):
                    raise
                x, y = x[: len(x) // 2], y[: len(y) // 2]
        noise = Noise(ROUNDING[compute.precision], compute.device)
        noisy = step(network, Compute(compute.device), x, y, noise)
        with poisoned_memory(compute.device):
            watch = Operations(compute.precision)
            found = step(network, compute, x, y, contextlib.nullcontext() if compute.compiled else watch)
        worst = worst.with_(watch.worst).with_(compare(expected, found, noisy))
    return worst


class Step(NamedTuple):
    loss: float
    gradients: dict[str, torch.Tensor]  # fp32, by parameter


def step(
    network: nn.Module, compute: Compute, x: torch.Tensor, y: torch.Tensor, watch: AbstractContextManager[Any]
) -> Step:
    """One training step of a copy of the network, without its dropout; `watch` is entered around it."""
    compute.prepare()
    trial = compute.place(copy.deepcopy(network)).train()
    for layer in trial.modules():
        if "Dropout" in type(layer).__name__:
            layer.eval()
    forward = compute.compile(trial)
    exact = compute.exact() if compute.precision == "fp32" else contextlib.nullcontext()
    with torch.random.fork_rng(devices=()), exact, watch:
        torch.manual_seed(0)
        with compute.autocast():
            logits = forward(x.contiguous(memory_format=compute.layout)).float()
        answers = logits.view(len(x), -1, y.shape[1])  # one of a network, or of several side by side
        each = y[:, None].expand_as(answers)
        loss = nn.functional.cross_entropy(answers.flatten(0, 1), each.flatten(0, 1))
        loss.backward()
    named = trial.named_parameters()
    return Step(loss.item(), {name: one.grad.float() for name, one in named if one.grad is not None})


class Noise(TorchDispatchMode):
    """While entered, every operation's output is changed by up to `rounding` of each value."""

    def __init__(self, rounding: float, device: str) -> None:
        super().__init__()
        self.rounding, self.generator = rounding, torch.Generator(device).manual_seed(0)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        return tree_map(self.add, result) if comparable(func, args, kwargs or {}) else result

    def add(self, value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or not value.is_floating_point():
            return value
        noise = torch.empty_like(value).uniform_(-self.rounding, self.rounding, generator=self.generator)
        return value * (1 + noise)


class Operations(TorchDispatchMode):
    """While entered, each operation is computed again in plain fp32; `worst` is the largest difference."""

    def __init__(self, precision: str) -> None:
        super().__init__()
        self.bound, self.rounding, self.worst = OPERATION[precision], ROUNDING[precision], Deviation()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not comparable(func, args, kwargs):
            return func(*args, **kwargs)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        plain = tree_map(as_fp32, (args, kwargs))
        exact = tensors(func(*plain[0], **plain[1]))
        given = next(one for one in tensors(args) if one.is_floating_point())
        for one in exact:  # allocators hand out first what was freed last: the output's own memory
            if one.is_floating_point():
                torch.empty_like(one, dtype=given.dtype).fill_(torch.nan)
        torch.set_num_threads(threads)
        result = func(*args, **kwargs)
        errors = relative_errors(tensors(result), exact)
        if max(errors, default=0) > self.bound:
            noise = Noise(self.rounding, given.device.type)
            nudged = tree_map(noise.add, plain)
            changed = relative_errors(tensors(func(*nudged[0], **nudged[1])), exact)
            pairs = zip(errors, changed)
            errors = [error for error, change in pairs if not error <= ILL_CONDITIONED * change]
        error = max(errors, default=0.0)
        why = "" if error <= self.bound else f"{func.name()} is off by {error:.2g} of its size"
        self.worst = self.worst.with_(Deviation(operation=error, why=why))
        return result


def comparable(func: Any, args: Any, kwargs: Any) -> bool:
    """Whether an operation computes numbers from numbers: no view, no chance, nothing in place, no cast."""
    schema = func._schema
    return (
        not schema.is_mutable
        and not any(one.alias_info for one in (*schema.arguments, *schema.returns))
        and torch.Tag.nondeterministic_seeded not in func.tags
        and kwargs.get("dtype") is None
        and not schema.name.partition("::")[2].startswith(("empty", "new_empty"))
        and any(one.is_floating_point() for one in tensors(args))
    )


def as_fp32(value: Any) -> Any:
    """A tensor contiguous and in fp32; anything else as it is."""
    if not isinstance(value, torch.Tensor):
        return value
    return (value.float() if value.is_floating_point() and value.itemsize < 4 else value).contiguous()


def tensors(values: Any) -> list[torch.Tensor]:
    return [one for one in tree_flatten(values)[0] if isinstance(one, torch.Tensor)]


def relative_errors(found: list[torch.Tensor], exact: list[torch.Tensor]) -> list[float]:
    """Of each output the length of the difference over that of `exact`; inf where a value is not finite.

    A number or a row of them is not compared: it is a sum that may cancel.
    """
    pairs = [pair for pair in zip(found, exact) if pair[0].is_floating_point()]
    return [relative_error(*pair) for pair in pairs if pair[0].numel() > max(pair[0].shape, default=1)]


def relative_error(found: torch.Tensor, exact: torch.Tensor) -> float:
    finite = exact.isfinite()
    difference = torch.where(finite, found.to(exact.dtype) - exact, 0)
    size = torch.where(finite, exact, 0).norm().item()
    error = difference.norm().item()
    if not math.isfinite(error):
        return math.inf
    return error / size if size else float(error > 0)


def compare(expected: Step, found: Step, noisy: Step) -> Deviation:
    """Two steps: their loss, and the length and (of kernels and matrices) the direction of each gradient.

    They may be as far apart as `noisy` and `expected` are, TIMES so much and a bit.
    """
    infinite = [name for name, one in found.gradients.items() if not one.isfinite().all()]
    if infinite or not math.isfinite(found.loss):
        what = f"the gradient of {infinite[0]}" if infinite else "the loss of a step"
        return Deviation(math.inf, math.inf, -1.0, -1.0, math.inf, f"{what} is not finite")
    floor = NEGLIGIBLE * math.hypot(*(one.norm().item() for one in expected.gradients.values()))
    worst = Deviation()
    for name, exact in expected.gradients.items() if floor else ():
        pair = found.gradients[name], noisy.gradients[name]
        worst = worst.with_(compare_gradients(name, exact, *pair, floor))
    scale = max(abs(expected.loss), 0.1)
    loss, sound = (abs(one.loss - expected.loss) / scale for one in (found, noisy))
    # By chance the noise may leave the loss of an unsteady network where it was; its gradients say so.
    wrong = loss > LOSS + TIMES * sound + (1 - worst.sound) / 2
    why = f"the loss of a step is {found.loss:.4g}, not {expected.loss:.4g}" if wrong else ""
    return worst.with_(Deviation(loss=loss, why=why))


def compare_gradients(
    name: str, exact: torch.Tensor, found: torch.Tensor, noisy: torch.Tensor, floor: float
) -> Deviation:
    length = exact.norm().item()
    ratio, allowed = ((one.norm().item() + floor) / (length + floor) for one in (found, noisy))
    cosine = sound = 1.0
    if exact.ndim > 1 and length > floor:
        cosine, sound = (
            nn.functional.cosine_similarity(one.flatten(), exact.flatten(), dim=0).item()
            for one in (found, noisy)
        )
    why = ""
    if 1 - cosine > TURN + TIMES * (1 - sound):
        why = f"the gradient of {name} has another direction, cosine {cosine:.2f}, not {sound:.2f}"
    elif _distance(ratio) > math.log(RATIO) + TIMES * _distance(allowed):
        why = f"the gradient of {name} is {ratio:.2g} times as long"
    return Deviation(cosine=cosine, sound=sound, ratio=ratio, why=why)


def _distance(ratio: float) -> float:
    """Of a ratio from 1."""
    return abs(math.log(ratio)) if 0 < ratio < math.inf else math.inf


def trusted(
    compute: Compute, network: nn.Module, batches: Callable[[], Sequence[Batch]]
) -> tuple[Compute, dict[str, Any]]:
    """`compute` if a training step so computed agrees with plain fp32, else plain fp32; and what was found.

    batches: gives real clips, the largest and the smallest batch that the run will see. What was found is for
    run.json. It costs some steps, see `measure_deviation`; plain fp32 on one thread costs nothing.
    """
    start = time.perf_counter()
    found: list[dict[str, Any]] = []
    for choice in (compute, replace(compute, precision="fp32", channels_last=False, compiled=False)):
        if choice == Compute(compute.device):
            break
        apart = measure_deviation(network, choice, batches())
        found.append({**choice.state(), **apart.state()})
        if not apart.why:
            break
        tell(f"{choice.words} disagrees with plain fp32 on this machine ({apart.why}): not used")
    else:
        choice = Compute(compute.device)
    return choice, {"checked": found, "check_seconds": round(time.perf_counter() - start, 2)}


def choose_compute(
    plan: Plan, network: nn.Module, data: FoldData, device: str, steps: int, processes: "Processes"
) -> tuple[Compute, dict[str, Any]]:
    """How to compute, the same in all processes: as the run began, or measured; and how it was checked.

    Anything but plain fp32 must agree with it on real clips; where it does not in one process, all use what
    that one found sound.
    """
    proposed = None
    if (plan.path / "run.json").is_file():  # goes on as it began, with the same bits
        former = Compute.restore(RunFolder(plan.path).config)
        if torch.device(former.device).type == torch.device(device).type:
            proposed = former
        else:
            tell(f"this run began on {former.device} and continues on {device}: the last digits will differ")
    if proposed is None:
        proposed = choose(plan.options, device, network, plan.batch_shape(network), steps)
    proposed = processes.agree(proposed).on(device)
    if proposed == Compute(device):
        return proposed, {}
    batches = partial(sample_batches, plan, data, processes.size)
    found = processes.gather(trusted(proposed, network, batches))
    other = [one for one in found if one[0].on(device) != proposed]
    arithmetic, checked = (other or found)[0]
    return arithmetic.on(device), checked


def sample_batches(plan: Plan, data: FoldData, processes: int) -> list[Batch]:
    """Training clips as the network gets them: the largest and the smallest batch of an epoch."""
    options, found = plan.options, []
    steps = steps_per_epoch(len(data.train), options, processes)
    clips = options.passes * len(data.train) / steps / processes
    generator: torch.Generator | None = None
    for size in sorted({math.ceil(clips), max(1, math.floor(clips))}, reverse=True):
        chosen = data.train[np.linspace(0, len(data.train) - 1, size).astype(int)]
        (x,) = data.source.batches([chosen])
        generator = generator or seeded(torch.Generator(x.device), options.seed, data.fold)
        y = nn.functional.one_hot(torch.from_numpy(data.targets[chosen]).to(x.device), data.classes)
        x, y = plan.augmenter(x, y.float(), data.channels, generator)
        found.append((x, smoothed(y, options.smoothing)))
    return found
