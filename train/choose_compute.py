"""The choice of how a run computes: the way that suits the processor, if it agrees with
plain fp32 on the run's own network.

Some fast kernels are wrong without an error, such as oneDNN's bf16 convolutions on some
shapes (docs/explanation/reproducibility.md). The check does not need to know which: it
makes a training step on a real batch in plain fp32 on one thread, and again as the run
would make it, in memory filled with huge values or NaN. It compares the loss and the
gradient of every parameter.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import nn

from featurestack.commandline.terminal import tell
from featurestack.results.training_options import Training
from featurestack.train.compute import (
    TYPES,
    Compute,
    is_shortage,
    poisoned_memory,
    threads_of,
)
from featurestack.train.optimisation import OBJECTIVES, CrossEntropy
from featurestack.train.plan import Plan

# allowed relative difference of a step's loss; sound steps differed by at most 0.018
LOSS = 0.05
# allowed ratio of the lengths of a parameter's two gradients; sound ones reached 1.35
RATIO = 2.0
# The turn of a kernel's or matrix's gradient is 1 - its cosine with the gradient in
# fp32. Rounding the weights and the batch to the number format causes a turn even if
# the step computes in fp32. A run may turn a gradient by TURN + TIMES x that turn. In
# bf16 a sound ResNet-18 keeps a cosine of 0.91, a sound ResNet-50 only 0.1. No
# registered model needed TIMES above 2.8.
TURN, TIMES = 0.05, 4.0
# gradients shorter than this share of the total length are rounding noise
NEGLIGIBLE = 1e-3

BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")
CROSS_ENTROPY = OBJECTIVES["cross_entropy"]

# (B, C, H, W) as the network takes it, (B, classes) targets
Batch = tuple[torch.Tensor, torch.Tensor]


class Choice(NamedTuple):
    """The way in which a run computes from here on."""

    compute: Compute
    checked: dict[str, str]  # way to compute -> why it was refused; '' if it agreed


class TrialStep(NamedTuple):
    """The results of one training step."""

    loss: float
    gradients: dict[str, torch.Tensor]  # fp32, by parameter


def trial_step(
    network: nn.Module, objective: CrossEntropy, compute: Compute, batch: Batch
) -> TrialStep:
    """One training step, without dropout, of a copy of the network."""
    compute.prepare()
    trial = compute.place(copy.deepcopy(network)).train()
    for layer in trial.modules():
        if "Dropout" in type(layer).__name__:
            layer.eval()
    forward = compute.compile(trial)
    x, y = batch
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        with compute.autocast():
            logits = forward(x.contiguous(memory_format=compute.layout)).float()
        members = logits.view(len(x), -1, y.shape[1])
        loss = objective.loss(members, y, 0.0)
        loss.backward()
        value = loss.item()  # waits for a GPU
    gradients = {name: weight.grad for name, weight in trial.named_parameters()}
    return TrialStep(
        value, {name: g.float() for name, g in gradients.items() if g is not None}
    )


def preferred(training: Training, device: str, shape: Sequence[int]) -> Compute:
    """The way to compute by PRECISION and THREADS, or by the processor's features.

    A GPU computes in bf16, else in fp16; a processor in bf16 if it has instructions for
    it, on all cores. Kernels for images are fastest channels last. A network on vectors
    (H and W are 1) is too small to gain by any of these.
    """
    vectors = tuple(shape[2:]) == (1, 1)
    precision = "fp32"
    if training.precision != "auto":
        precision = training.precision
    elif device == "cuda" and not vectors:
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        precision = "bf16" if bf16 else "fp16"
    elif device == "cpu" and not vectors:
        instructions = torch.cpu.get_capabilities()
        if any(instructions.get(name) for name in BF16_INSTRUCTIONS):
            precision = "bf16"
    threads = threads_of(training.threads)
    if training.threads == "auto" and (vectors or device != "cpu"):
        threads = 1
    channels_last = device != "mps" and not vectors
    return Compute(device, precision, channels_last, threads, training.compile)


def disagreement(
    network: nn.Module,
    compute: Compute,
    batch: Batch,
    objective: CrossEntropy = CROSS_ENTROPY,
) -> str:
    """How a step computed this way differs from plain fp32 on one thread, in words; ''
    if they agree. The batch is halved until it fits in memory.
    """
    plain = Compute(compute.device)
    while True:
        try:
            exact = trial_step(network, objective, plain, batch)
            break
        except (RuntimeError, MemoryError) as error:
            x, y = batch
            half = len(x) // 2
            if half < 2 or not is_shortage(error):
                raise
            batch = x[:half], y[:half]
    rounded = exact
    if compute.precision != "fp32":
        # weights and batch rounded to it, the step in fp32
        kind = TYPES[compute.precision]
        coarse = copy.deepcopy(network)
        for weight in coarse.parameters():
            weight.data = weight.data.to(kind).float()
        x, y = batch
        rounded = trial_step(coarse, objective, plain, (x.to(kind).float(), y))
    with poisoned_memory(compute.device):
        fast = trial_step(network, objective, compute, batch)
    tolerance = LOSS * max(exact.loss, 0.1)
    if not abs(fast.loss - exact.loss) <= tolerance:  # NaN fails too
        return f"the loss of a step is {fast.loss:.4g}, not {exact.loss:.4g}"
    lengths = [gradient.norm().item() for gradient in exact.gradients.values()]
    floor = NEGLIGIBLE * math.hypot(*lengths)
    for name, expected in exact.gradients.items():
        difference = gradient_difference(
            fast.gradients[name], rounded.gradients[name], expected, floor
        )
        if difference:
            return f"the gradient of {name} {difference}"
    return ""


def gradient_difference(
    gradient: torch.Tensor, rounded: torch.Tensor, expected: torch.Tensor, floor: float
) -> str:
    """How one parameter's gradient differs from the `expected` one in plain fp32, in
    words; '' if they agree.

    rounded  the gradient in fp32 of weights and batch that were rounded first
    floor    the length below which a gradient is rounding noise
    """
    if not gradient.isfinite().all():
        return "is not finite"
    length = expected.norm().item()
    if floor:
        ratio = (gradient.norm().item() + floor) / (length + floor)
        if not 1 / RATIO <= ratio <= RATIO:
            return f"is {ratio:.2g} times as long"
    if expected.ndim > 1 and length > floor:
        turned = turn(gradient, expected)
        if turned > TURN + TIMES * turn(rounded, expected):
            return f"has another direction, cosine {1 - turned:.2f}"
    return ""


def turn(gradient: torch.Tensor, expected: torch.Tensor) -> float:
    """1 - the cosine of the angle between two gradients of one parameter."""
    cosine = torch.nn.functional.cosine_similarity(
        gradient.flatten(), expected.flatten(), dim=0
    )
    return 1 - cosine.item()


def agreed(
    proposed: Compute,
    network: nn.Module,
    batch: Batch,
    objective: CrossEntropy = CROSS_ENTROPY,
) -> Choice:
    """The first way that agrees with plain fp32: `proposed`, fp32 on its threads."""
    plain = Compute(proposed.device)
    checked = {}
    exact = replace(proposed, precision="fp32", channels_last=False, compiled=False)
    for compute in dict.fromkeys((proposed, exact)):
        if compute == plain:
            break
        reason = disagreement(network, compute, batch, objective)
        checked[str(compute)] = reason
        if not reason:
            return Choice(compute, checked)
        tell(
            f"{compute} disagrees with plain fp32 on this machine ({reason}): not used"
        )
    return Choice(plain, checked)


def choose_compute(
    plan: Plan, network: nn.Module, batch: Batch, device: str, begun: Compute | None
) -> Choice:
    """As the run began (`begun`) on this device, else as `preferred`, if it agrees."""
    if begun and begun.device == device:  # the run continues with the same bits
        proposed = begun
    else:
        proposed = preferred(plan.training, device, batch[0].shape)
        if begun:
            tell(
                f"this run began on {begun.device} and continues on {device}: the last"
                " digits will differ"
            )
    return agreed(proposed, network, batch, OBJECTIVES[plan.task.loss])
