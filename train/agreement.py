"""Whether a way to compute agrees with plain fp32: asked of the very network before a run trusts it.

Fast kernels are wrong here and there, silently: oneDNN's bf16 convolutions on some shapes, for one
(docs/onednn-bf16.md). This needs no knowledge of where. `trusted` is what a run calls.
"""

import contextlib
import copy
import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from commandline import tell
from train.compute import Compute, is_shortage, poisoned_memory

# How far a step may be from plain fp32. What was seen on sound ways, over every registered model, several
# grids, numbers of channels and batches, under four instruction sets (python -m bench.instructions):
# an operation's output off by up to 0.003 of its size in bf16 (0.013 where AVX2 adds up in bf16), 1e-5 in
# fp32; the known bad ones are off by 1.0 to 1.4, or not finite.
OPERATION = {"fp32": 0.005, "fp16": 0.05, "bf16": 0.05}
LOSS = {"fp32": 0.005, "fp16": 0.05, "bf16": 0.05}
COSINE = {"fp32": 0.95, "fp16": 0.5, "bf16": 0.5}
RATIO = 4.0
NEGLIGIBLE = 1e-3  # of the length of all gradients together: shorter ones are the noise of sums that cancel

Batch = tuple[torch.Tensor, torch.Tensor]  # (B, C, H, W) as the network takes it, (B, classes) targets


class Agreement(NamedTuple):
    """How far a way to compute is from plain fp32. `why` is where that is too far, empty where nowhere."""

    operation: float = 0.0  # largest error of an operation on the same inputs, as a part of its output's size
    loss: float = 0.0  # of a step, relative
    cosine: float = 1.0  # smallest of a step, between a kernel's or matrix's two gradients
    ratio: float = 1.0  # the one farthest from 1, of the lengths of a parameter's two gradients
    why: str = ""

    def state(self) -> dict[str, Any]:
        """Plain values for run.json; None for what is not finite."""
        values = self._asdict()
        return {
            name: one if isinstance(one, str) or math.isfinite(one) else None for name, one in values.items()
        }

    def with_(self, other: "Agreement") -> "Agreement":
        """The worse of both in everything."""
        return Agreement(
            max(self.operation, other.operation),
            max(self.loss, other.loss),
            min(self.cosine, other.cosine),
            max(self.ratio, other.ratio, key=_distance),
            self.why or other.why,
        )


def check(network: nn.Module, compute: Compute, batches: Iterable[Batch]) -> Agreement:
    """How far training steps so computed are from plain fp32 on one thread, on these batches.

    The step is made both ways, on copies of the network. In the second one each operation, forward and
    backward, is computed again in plain fp32 from the very inputs it had, so that an error is found where it
    arises and is not taken for rounding that grew on the way; and what is allocated is poisoned, so that
    values that an operation leaves unwritten are seen. Of a compiled network the whole steps alone are
    compared. A batch whose step in fp32 does not fit in memory is halved.
    """
    worst = Agreement()
    for x, y in batches:
        x, y, expected = _plain_step(network, compute.device, x, y)
        with poisoned_memory(compute.device):
            watch = Operations(OPERATION[compute.precision])
            found = step(network, compute, x, y, contextlib.nullcontext() if compute.compiled else watch)
        worst = worst.with_(watch.worst).with_(compare(expected, found, compute.precision))
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


def _plain_step(
    network: nn.Module, device: str, x: torch.Tensor, y: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, Step]:
    """The step in plain fp32, of as many of the clips as fit in memory."""
    while True:
        try:
            return x, y, step(network, Compute(device), x, y, contextlib.nullcontext())
        except (RuntimeError, MemoryError) as error:
            if len(x) <= 2 or not is_shortage(error):
                raise
            x, y = x[: len(x) // 2], y[: len(y) // 2]


class Operations(TorchDispatchMode):
    """While entered, each operation is computed again in plain fp32; `worst` is the largest difference."""

    def __init__(self, bound: float) -> None:
        super().__init__()
        self.bound, self.worst = bound, Agreement()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not comparable(func, args, kwargs):
            return func(*args, **kwargs)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        exact = tensors(func(*tree_map(as_fp32, args), **tree_map(as_fp32, kwargs)))
        torch.set_num_threads(threads)
        given = next(one for one in tensors(args) if one.is_floating_point())
        for one in exact:  # allocators hand out first what was freed last: the output's own memory
            if one.is_floating_point():
                torch.empty_like(one, dtype=given.dtype).fill_(torch.nan)
        result = func(*args, **kwargs)
        for found, wanted in zip(tensors(result), exact):
            if found.is_floating_point() and found.numel() > max(found.shape, default=1):
                self._note(func, relative_error(found, wanted))
        return result

    def _note(self, func: Any, error: float) -> None:
        why = "" if error <= self.bound else f"{func.name()} is off by {error:.2g} of its size"
        self.worst = self.worst.with_(Agreement(operation=error, why=why))


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


def relative_error(found: torch.Tensor, exact: torch.Tensor) -> float:
    """The length of the difference over that of `exact`; inf where a finite value is not finite in `found`.

    Sums that cancel (a bias, a mean: a number or a row of them) are not for it.
    """
    finite = exact.isfinite()
    difference = torch.where(finite, found.to(exact.dtype) - exact, 0)
    size = torch.where(finite, exact, 0).norm().item()
    error = difference.norm().item()
    if not math.isfinite(error):
        return math.inf
    return error / size if size else float(error > 0)


def compare(expected: Step, found: Step, precision: str) -> Agreement:
    """Two steps: their loss, and the length and (of kernels and matrices) the direction of each gradient."""
    names = list(expected.gradients)
    infinite = [name for name in names if not found.gradients[name].isfinite().all()]
    if infinite or not math.isfinite(found.loss):
        what = f"the gradient of {infinite[0]}" if infinite else "the loss of a step"
        return Agreement(math.inf, math.inf, -1.0, math.inf, f"{what} is not finite")
    lengths = {name: expected.gradients[name].norm().item() for name in names}
    floor = NEGLIGIBLE * math.hypot(*lengths.values())
    worst = Agreement(loss=abs(found.loss - expected.loss) / max(abs(expected.loss), 0.1))
    if worst.loss > LOSS[precision]:
        worst = worst._replace(why=f"the loss of a step is {found.loss:.4g}, not {expected.loss:.4g}")
    for name, length in lengths.items():
        ours, theirs = found.gradients[name], expected.gradients[name]
        ratio = (ours.norm().item() + floor) / (length + floor) if floor else 1.0
        cosine = nn.functional.cosine_similarity(ours.flatten(), theirs.flatten(), dim=0).item()
        why = ""
        if ours.ndim < 2 or length < floor:
            cosine = 1.0
        if cosine < COSINE[precision]:
            why = f"the gradient of {name} has another direction, cosine {cosine:.2f}"
        elif _distance(ratio) > math.log(RATIO):
            why = f"the gradient of {name} is {ratio:.2g} times as long"
        worst = worst.with_(Agreement(cosine=cosine, ratio=ratio, why=why))
    return worst


def _distance(ratio: float) -> float:
    """Of a ratio from 1."""
    return abs(math.log(ratio)) if 0 < ratio < math.inf else math.inf


def trusted(
    compute: Compute, network: nn.Module, batches: Callable[[], Sequence[Batch]]
) -> tuple[Compute, dict[str, Any]]:
    """`compute` if a training step so computed agrees with plain fp32, else plain fp32; and what was found.

    batches: gives real clips, the largest and the smallest batch that the run will see. What was found is for
    run.json. It costs some steps, see `check`; plain fp32 on one thread costs nothing.
    """
    start = time.perf_counter()
    found: list[dict[str, Any]] = []
    for choice in (compute, replace(compute, precision="fp32", channels_last=False, compiled=False)):
        if choice == Compute(compute.device):
            break
        agreement = check(network, choice, batches())
        found.append({**choice.state(), **agreement.state()})
        if not agreement.why:
            break
        tell(f"{choice.words} disagrees with plain fp32 on this machine ({agreement.why}): not used")
    else:
        choice = Compute(compute.device)
    return choice, {"checked": found, "check_seconds": round(time.perf_counter() - start, 2)}
