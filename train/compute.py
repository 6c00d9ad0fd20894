"""How a network is computed: device, number format, memory layout, threads, compilation; and memory.

The choice is measured once a run. It stands in run.json and is taken up again on continuing, because another
one gives different values.
"""

import contextlib
import copy
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from importlib.metadata import version
from typing import Any, cast

import torch
from torch import nn

from commandline import system
from commandline.registry import RequestError
from train.options import RunOptions

VERSIONED = ("torch", "numpy", "scikit-learn", "h5py")
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
MOST_THREADS = 1024
BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")
ROUNDS = 3  # timed steps of each candidate, after one untimed; the fastest counts
GAIN = 1.15  # the expected candidate stands unless another is this much faster: noise must not choose
WORTH_MEASURING = 200  # steps of a run below which the expected candidate is taken unmeasured
# Steps of a run on a GPU below which compiling, a minute or more, is not repaid. On a CPU it never was:
# ResNet-18 in bf16 took 161 s to compile and then 1.1 times as long a step.
WORTH_COMPILING = 5_000

NEVER = -1
POISON = 0x80  # glibc fills what it hands out with the other bits, 0x7f: 3.4e38 in fp32 and in bf16

# torch has a class for a GPU's shortage only; the last sign is oneDNN's, whose kernels then cannot be built.
SHORTAGE = ("can't allocate memory", "not enough memory", "out of memory", "could not create a primitive")


class Failed(Exception):
    """The work ran and something in it failed: exit status 1 with this sentence."""


@dataclass(frozen=True)
class Compute:
    """Device and how to compute on it."""

    device: str = "cpu"
    precision: str = "fp32"
    channels_last: bool = False
    threads: int = 1
    compiled: bool = False

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> "Compute":
        """What `state` gave, whatever else is beside it."""
        return cls(**{field.name: state[field.name] for field in fields(cls)})

    def state(self) -> dict[str, Any]:
        """Plain values for run.json."""
        return asdict(self)

    @property
    def words(self) -> str:
        """As in a sentence."""
        layout = "channels last" if self.channels_last else "contiguous"
        compiled = ", compiled" if self.compiled else ""
        return f"{self.precision}, {layout}, {self.threads} threads on {self.device}{compiled}"

    def on(self, device: str) -> "Compute":
        """The same on another device of the kind."""
        return replace(self, device=device)

    def prepare(self) -> None:
        """Set what is global in the process."""
        torch.set_num_threads(self.threads)
        keep_freed_memory()
        if self.device.startswith("cuda"):
            # TF32 rounds fp32's inputs to ten bits: beside bf16 and fp16 that is little, fp32 is what it says
            rounded = self.precision != "fp32"
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = rounded
            torch.backends.cudnn.benchmark = True

    def place(self, network: nn.Module) -> nn.Module:
        return network.to(self.device).to(memory_format=self.layout)  # type: ignore[call-overload]

    def compile(self, network: nn.Module) -> nn.Module:
        """The network for training steps; its weights are `network`'s own."""
        return cast(nn.Module, torch.compile(network)) if self.compiled else network

    @property
    def layout(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def autocast(self) -> AbstractContextManager[Any]:
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(torch.device(self.device).type, TYPES[self.precision])

    @contextlib.contextmanager
    def exact(self) -> Iterator[None]:
        """Plain fp32: a GPU would round the inputs of convolutions and products to ten bits (TF32)."""
        matmul = torch.backends.cuda.matmul
        before, matmul.allow_tf32 = matmul.allow_tf32, False
        try:
            with torch.backends.cudnn.flags(enabled=True, benchmark=False, allow_tf32=False):
                yield
        finally:
            matmul.allow_tf32 = before

    def scaler(self) -> torch.amp.GradScaler:
        """Keeps fp16's small gradients above zero; does nothing in the other formats."""
        return torch.amp.GradScaler(torch.device(self.device).type, enabled=self.precision == "fp16")


DEVICES = ("cpu", "cuda", "mps")


def device_of(text: str) -> str:
    """`auto` is the first GPU, else Apple's, else the CPU; RequestError where the named one is not there."""
    if text == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    kind = text.partition(":")[0]
    if kind not in DEVICES:
        hint = "; mean cuda" if "gpu" in kind else ""
        raise RequestError(f"DEVICE={text}: expected one of auto, {', '.join(DEVICES)}{hint}")
    try:
        torch.empty(0, device=text)
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise RequestError(f"DEVICE={text} cannot be used ({reason}); cpu always can") from None
    return text


def choose(
    options: RunOptions, device: str, network: nn.Module, shape: tuple[int, ...], steps: int
) -> Compute:
    """What suits this network on batches of `shape` (B, C, H, W), measured where `steps` repay it.

    PRECISION and THREADS that are given stand; with both nothing is measured. Whether the choice may be
    trusted is for train.agreement to say. Raises Failed where the batch does not fit in memory.
    """
    expected, *others = candidates(options, device, shape)
    measure = partial(step_seconds, network, shape)
    try:
        if others and steps >= WORTH_MEASURING:
            expected = fastest([expected, *others], measure)
            if options.threads == "auto" and device == "cpu" and expected.threads > 1:
                expected = fastest([expected, replace(expected, threads=expected.threads // 2)], measure)
    except (RuntimeError, MemoryError) as error:
        if not is_shortage(error):
            raise
        raise Failed(shortage(network.to(device), Compute(device), shape)) from error
    compiled = device.startswith("cuda") and steps >= WORTH_COMPILING
    return replace(expected, compiled=compiled if options.compile == "auto" else options.compile == "on")


def candidates(options: RunOptions, device: str, shape: tuple[int, ...]) -> list[Compute]:
    """The expected best first. Memory is laid out channels last where that is what the fast kernels want.

    A network on numbers instead of maps (H and W are 1) has too little to do to gain by another format.
    """
    threads = threads_of(options.threads)
    kind = torch.device(device).type
    formats = [options.precision] if options.precision != "auto" else _formats(kind, shape)
    layouts = [True, False] if kind == "cpu" else [kind == "cuda"]
    if options.threads != "auto" and options.precision != "auto":
        layouts = layouts[:1]
    return [Compute(device, one, last, threads) for one in formats for last in layouts]


def _formats(kind: str, shape: tuple[int, ...]) -> list[str]:
    if shape[2:] == (1, 1):
        return ["fp32"]
    if kind == "cuda":
        return ["bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16", "fp32"]
    fast_bf16 = kind == "cpu" and any(map(torch.cpu.get_capabilities().get, BF16_INSTRUCTIONS))
    return ["bf16", "fp32"] if fast_bf16 else ["fp32"]


def threads_of(text: str) -> int:
    """The number that THREADS gives, torch's own for auto; RequestError for anything else."""
    if text != "auto" and not (text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= MOST_THREADS):
        raise RequestError(f"THREADS={text}: expected auto or a number from 1 to {MOST_THREADS}")
    return torch.get_num_threads() if text == "auto" else int(text)


def fastest(choices: list[Compute], measure: Callable[[Compute], float]) -> Compute:
    """The first of the choices, unless another is faster by more than noise."""
    seconds = [measure(choice) for choice in choices]
    best = min(range(len(choices)), key=seconds.__getitem__)
    return choices[best] if seconds[0] > GAIN * seconds[best] else choices[0]


def step_seconds(network: nn.Module, shape: tuple[int, ...], compute: Compute) -> float:
    """Of the fastest of a few steps, forward and backward, of a copy of the network."""
    compute.prepare()
    trial = compute.place(copy.deepcopy(network)).train()
    x = torch.zeros(shape, device=compute.device).to(memory_format=compute.layout)
    seconds = []
    for _ in range(1 + ROUNDS):
        start = time.perf_counter()
        with compute.autocast():
            loss = trial(x).float().square().mean()
        loss.backward()
        loss.item()  # waits for a GPU
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


def keep_freed_memory() -> None:
    """Have freed memory ready for the next tensor instead of giving it back to the system.

    glibc maps every large tensor anew, in zeroed pages that fault one by one: 90,000 faults and a twelfth of
    the time of a step of ResNet-18 on 32 x 3 x 128 x 431 values. pipeline.pool's bounds would not do:
    what it is told of as large ends at 32 MB, a quarter of an activation. Other C libraries are left alone.
    """
    system.set_malloc(system.MMAP_MAX, 0)
    system.set_malloc(system.TRIM_THRESHOLD, NEVER)


@contextlib.contextmanager
def poisoned_memory(device: str = "cpu") -> Iterator[None]:
    """What is allocated inside holds 3.4e38 until it is written (glibc), on a GPU mostly NaN."""
    if device.startswith("cuda"):
        used = torch.cuda.max_memory_reserved(device)
        torch.cuda.empty_cache()
        torch.full((used // 4,), torch.nan, device=device)  # later allocations are pieces of this block
    system.set_malloc(system.PERTURB, POISON)
    try:
        yield
    finally:
        system.set_malloc(system.PERTURB, 0)


def is_shortage(error: BaseException) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(sign in str(error) for sign in SHORTAGE)
    )


def shortage(network: nn.Module, arithmetic: Compute, shape: tuple[int, ...]) -> str:
    """In words, that a batch of `shape` (B, C, H, W) does not fit in memory, and which would."""
    batch = fitting_batch(network, arithmetic, shape)
    fits = f"BATCH={batch} would fit" if batch else "not even one clip fits: give a smaller GRID or MODEL"
    return f"out of memory on {arithmetic.device} with BATCH={shape[0]}; {fits}"


def fitting_batch(network: nn.Module, compute: Compute, shape: tuple[int, ...]) -> int:
    """The largest of half, a quarter, … of the batch `shape` (B, C, H, W) that fits in memory; 0 for none."""
    batch = shape[0] // 2
    while batch and not fits(network, compute, (batch, *shape[1:])):
        batch //= 2
    return batch


def fits(network: nn.Module, compute: Compute, shape: tuple[int, ...]) -> bool:
    try:
        trial = copy.deepcopy(network)
        with compute.autocast():
            loss = trial(torch.zeros(shape, device=compute.device)).float().square().mean()
        loss.backward()
    except (RuntimeError, MemoryError) as error:
        if not is_shortage(error):
            raise
        return False
    return True


def machine(device: str) -> dict[str, Any]:
    """For run.json: where and with what a run was made."""
    there = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    if device.startswith("cuda"):
        there["gpu"] = torch.cuda.get_device_name(device)
    versions = {"python": platform.python_version()} | {name: version(name) for name in VERSIONED}
    return {"machine": there, "versions": versions, "seconds": 0.0, "calibration": {}}
