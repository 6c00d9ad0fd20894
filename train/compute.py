"""Choose how a network computes: device, number format, memory layout, threads,
allocation.

The choice is made once per run and saved in run.json. A run that resumes on the same
kind of device keeps it, because another choice gives different values. What suits the
processor is chosen if it agrees with plain fp32 on the run's own network.

Some fast kernels give wrong results without an error (docs/explanation/protocol.md). So
a training step on a real batch is made in plain fp32 on one thread, and again as the
run would make it, in memory filled with huge values or NaN; the loss and the gradient
of every parameter are compared. On a CUDA card only deterministic kernels are used.
"""

import contextlib
import copy
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

import joblib
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from featurestack.base import files
from featurestack.base.errors import RequestError
from featurestack.base.options import Auto
from featurestack.base.terminal import tell
from featurestack.results.config import Compute
from featurestack.results.tasks import Task
from featurestack.results.training_options import Training
from featurestack.train.optimisation import Objective, random_layers
from featurestack.train.options import DEVICES

TORCH_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
NEVER = -1
# glibc fills new memory with the inverted byte, 0x7f: 3.4e38 in fp32 and in bf16
POISON = 0x80

# Texts of errors for lack of RAM: torch has an error class only for a GPU's memory. The
# last text is oneDNN's.
SHORTAGE = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "could not create a primitive",
)

# allowed relative difference of a step's loss; sound steps differed by at most 0.018
LOSS = 0.05
# allowed ratio of the lengths of a parameter's two gradients; sound ones reached 1.35
RATIO = 2.0
# The turn of a kernel's or matrix's gradient is 1 - its cosine with the gradient in
# fp32. Rounding the weights and the batch to the number format causes a turn even if
# the step computes in fp32. A run may turn a gradient by TURN + TIMES x that turn. In
# bf16 a sound ResNet-18 keeps a cosine of 0.91, deeper networks less. No registered
# model needed TIMES above 2.8.
TURN, TIMES = 0.05, 4.0
# gradients shorter than this share of the total length are rounding noise
NEGLIGIBLE = 1e-3

# clips of the compared step on a card, whose kernels are loaded one by one
CARD_CLIPS = 8
# one cuBLAS workspace per stream makes its sums deterministic
WORKSPACE = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}

BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")

# (B, C, H, W) as the network takes it, (B, classes) targets
Examples = tuple[torch.Tensor, torch.Tensor]


def prepare(compute: Compute) -> None:
    """Apply the settings of the process: threads, allocation, TF32, cuDNN."""
    torch.set_num_threads(compute.threads)
    keep_freed_memory()
    if compute.device == "cuda":
        # TF32 rounds inputs to a mantissa of ten bits, as fp16 does, so it is allowed
        # with bf16 and fp16
        rounded = compute.precision != "fp32"
        torch.backends.cuda.matmul.allow_tf32 = rounded
        torch.backends.cudnn.allow_tf32 = rounded
        use_deterministic_kernels()


def layout_of(compute: Compute) -> torch.memory_format:
    return torch.channels_last if compute.channels_last else torch.contiguous_format


def place(network: nn.Module, compute: Compute) -> nn.Module:
    network = network.to(compute.device)
    layout = layout_of(compute)
    return network.to(memory_format=layout)  # type: ignore[call-overload]


def autocast(compute: Compute) -> AbstractContextManager[object]:
    if compute.precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(compute.device, TORCH_TYPES[compute.precision])


@contextlib.contextmanager
def plain_fp32() -> Iterator[None]:
    """Compute in plain fp32, without TF32."""
    matmul = torch.backends.cuda.matmul
    before = matmul.allow_tf32
    matmul.allow_tf32 = False
    try:
        cudnn = torch.backends.cudnn
        with cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            yield
    finally:
        matmul.allow_tf32 = before


@torch.no_grad()
def probabilities_of(
    network: nn.Module,
    batches: Iterable[torch.Tensor],
    compute: Compute,
    task: Task,
    *,
    exact: bool = True,
) -> NDArray[np.float32]:
    """(N, K) probabilities."""
    probabilities = []
    for batch in batches:
        x = batch.contiguous(memory_format=layout_of(compute))
        with plain_fp32() if exact else autocast(compute):
            logits = network(x).float()
        probabilities.append(task.activation(logits).cpu())
    return torch.cat(probabilities).numpy()


def device_of(text: str) -> str:
    """The kind of device that DEVICE names; `auto` is the machine's accelerator, or cpu
    without one. A named GPU becomes the current one of the process.
    """
    kind = text.partition(":")[0]
    if text == "auto":
        best = torch.accelerator.current_accelerator(check_available=True)
        kind = best.type if best and best.type in DEVICES else "cpu"
    if kind == "cuda":
        os.environ.update(WORKSPACE)  # CUDA reads it when it starts
    if text == "auto":
        return kind
    try:
        place = torch.empty(0, device=text).device
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise RequestError(
            f"DEVICE={text} cannot be used ({reason}); cpu always can"
        ) from None
    if kind == "cuda":
        torch.cuda.set_device(place)
    return kind


def use_deterministic_kernels() -> None:
    """Make CUDA give the same bits each time; torch warns of operations that cannot."""
    # a search for the fastest kernel may find a different one each time
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    # torch.use_deterministic_algorithms would import the compiler, a second
    torch.set_deterministic_debug_mode("warn")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def threads_of(number: int | Auto) -> int:
    """The number that THREADS gives; auto is torch's own, at most the usable cores."""
    if number == "auto":
        return min(torch.get_num_threads(), joblib.cpu_count())
    return number


def keep_freed_memory() -> None:
    """Keep freed memory for the next tensor instead of giving it back to the system.

    glibc maps every large tensor anew, in zeroed pages that fault one by one: 90,000
    faults and a twelfth of the time of a step of ResNet-18 on 32 x 3 x 128 x 431
    values. Its highest mmap threshold, 32 MB, is a quarter of the largest activation.
    """
    files.set_malloc(files.MMAP_MAX, 0)
    files.set_malloc(files.TRIM_THRESHOLD, NEVER)


@contextlib.contextmanager
def poisoned_memory(device: str) -> Iterator[None]:
    """Fill new memory with 3.4e38 until it is written (glibc), on a GPU mostly NaN."""
    if device == "cuda":
        used = torch.cuda.max_memory_reserved(device)
        torch.cuda.empty_cache()
        # later allocations are pieces of this block
        torch.full((used // 4,), torch.nan, device=device)
    files.set_malloc(files.PERTURB, POISON)
    try:
        yield
    finally:
        files.set_malloc(files.PERTURB, 0)


def is_shortage(error: RuntimeError | MemoryError) -> bool:
    out_of_memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return out_of_memory or any(sign in str(error) for sign in SHORTAGE)


# ---- the choice


def trial_step(
    network: nn.Module, objective: Objective, compute: Compute, batch: Examples
) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradients (fp32) of a training step of a copy, without dropout."""
    prepare(compute)
    trial = place(copy.deepcopy(network), compute).train()
    x, y = batch
    for name in random_layers(network, x):
        layer = trial.get_submodule(name)
        if isinstance(layer, nn.RNNBase):
            layer.dropout = 0.0  # cuDNN trains no recurrent layer that is in eval()
        else:
            layer.eval()
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        with autocast(compute):
            logits = trial(x.contiguous(memory_format=layout_of(compute))).float()
        loss = objective.loss(logits, y, smoothing=0.0)
        loss.backward()
        value = loss.item()  # waits for a GPU
    gradients = {
        name: weight.grad.float()
        for name, weight in trial.named_parameters()
        if weight.grad is not None
    }
    return value, gradients


def preferred(training: Training, device: str, shape: Sequence[int]) -> Compute:
    """How to compute, by PRECISION and THREADS or else by the processor's abilities.

    A GPU computes in bf16 if it can, else in fp16; a processor in bf16 if it has
    instructions for it, on all cores. Kernels for images are fastest with channels
    last. A network on vectors (H = W = 1) is too small to gain from any of these.
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
    return Compute(
        device=device,
        precision=precision,
        channels_last=channels_last,
        threads=threads,
    )


def disagreement(
    network: nn.Module, compute: Compute, batch: Examples, objective: Objective
) -> str:
    """How a step differs from plain fp32 on one thread, in words; '' if it agrees."""
    plain = Compute(device=compute.device)
    exact_loss, exact = trial_step(network, objective, plain, batch)
    rounded = exact
    if compute.precision != "fp32":
        # weights and batch are rounded to that format, the step is in fp32
        kind = TORCH_TYPES[compute.precision]
        coarse = copy.deepcopy(network)
        for weight in coarse.parameters():
            weight.data = weight.data.to(kind).float()
        x, y = batch
        _, rounded = trial_step(coarse, objective, plain, (x.to(kind).float(), y))
    with poisoned_memory(compute.device):
        loss, fast = trial_step(network, objective, compute, batch)
    if not abs(loss - exact_loss) <= LOSS * max(exact_loss, 0.1):  # NaN fails too
        return f"the loss of a step is {loss:.4g}, not {exact_loss:.4g}"
    lengths = [gradient.norm().item() for gradient in exact.values()]
    floor = NEGLIGIBLE * math.hypot(*lengths)
    for name, expected in exact.items():
        difference = gradient_difference(fast[name], rounded[name], expected, floor)
        if difference:
            return f"the gradient of {name} {difference}"
    return ""


def gradient_difference(
    gradient: torch.Tensor, rounded: torch.Tensor, expected: torch.Tensor, floor: float
) -> str:
    """How one parameter's gradient differs from the `expected` one in plain fp32, in
    words; '' if it agrees.

    rounded  the gradient in fp32 for weights and a batch that were rounded first
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
    proposed: Compute, network: nn.Module, batch: Examples, objective: Objective
) -> Compute:
    """`proposed` if it agrees with plain fp32 on one thread, else fp32 on its threads
    if that does, else plain fp32; say why a choice is not used.
    """
    if proposed.device == "cuda":
        x, y = batch
        batch = x[:CARD_CLIPS], y[:CARD_CLIPS]
    plain = Compute(device=proposed.device)
    exact = replace(proposed, precision="fp32", channels_last=False)
    for compute in dict.fromkeys((proposed, exact)):
        if compute == plain:
            break
        reason = disagreement(network, compute, batch, objective)
        if not reason:
            return compute
        tell(
            f"{compute} disagrees with plain fp32 on this machine ({reason}): not used"
        )
    return plain
