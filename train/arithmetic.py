"""How the network computes: device, number format, memory layout, threads. Measured once a run, and kept.

The choice stands in run.json and is taken up again on continuing, because another one gives other bits.
"""

import contextlib
import copy
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import Any, cast

import torch
from torch import nn

from commandline import RequestError
from train.heap import keep_freed_memory
from train.options import RunOptions

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")
ROUNDS = 3  # timed steps of each candidate, after one untimed; the fastest counts
GAIN = 1.15  # the expected candidate stands unless another is this much faster: noise must not choose
WORTH_MEASURING = 200  # steps of a run below which the expected candidate is taken unmeasured
# Steps of a run on a GPU below which compiling, a minute or more, is not repaid. On a CPU it never was:
# ResNet-18 in bf16 took 161 s to compile and then 1.1 times as long a step.
WORTH_COMPILING = 5_000


@dataclass(frozen=True)
class Arithmetic:
    """Device and how to compute on it."""

    device: str = "cpu"
    precision: str = "fp32"
    channels_last: bool = False
    threads: int = 1
    compiled: bool = False

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> "Arithmetic":
        """What `state` gave, whatever else is beside it."""
        return cls(**{field.name: state[field.name] for field in fields(cls)})

    def state(self) -> dict[str, Any]:
        """Plain values for run.json."""
        return asdict(self)

    def on(self, device: str) -> "Arithmetic":
        """The same on another device of the kind."""
        return replace(self, device=device)

    def prepare(self) -> None:
        """Set what is global in the process."""
        torch.set_num_threads(self.threads)
        keep_freed_memory()
        if self.device.startswith("cuda"):
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
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

    def exact(self) -> AbstractContextManager[Any]:
        """Plain fp32: a GPU's convolutions would round their inputs to ten bits."""
        return torch.backends.cudnn.flags(enabled=True, benchmark=False, allow_tf32=False)

    def scaler(self) -> torch.amp.GradScaler:
        """Keeps fp16's small gradients above zero; does nothing in the other formats."""
        return torch.amp.GradScaler(torch.device(self.device).type, enabled=self.precision == "fp16")


def device_of(text: str) -> str:
    """`auto` is the first GPU, else Apple's, else the CPU; RequestError where the named one is not there."""
    if text == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=text)
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise RequestError(f"DEVICE={text} cannot be used ({reason}); cpu always can") from None
    return text


def choose(
    options: RunOptions, device: str, network: nn.Module, shape: tuple[int, ...], steps: int
) -> Arithmetic:
    """What suits this network on batches of `shape` (B, C, H, W), measured where `steps` repay it.

    PRECISION and THREADS that are given stand; with both nothing is measured.
    """
    expected, *others = candidates(options, device)
    if others and steps >= WORTH_MEASURING:
        measure = partial(step_seconds, network, shape)
        expected = fastest([expected, *others], measure)
        if options.threads == "auto" and device == "cpu" and expected.threads > 1:
            expected = fastest([expected, replace(expected, threads=expected.threads // 2)], measure)
    compiled = device.startswith("cuda") and steps >= WORTH_COMPILING
    return replace(expected, compiled=compiled if options.compile == "auto" else options.compile == "on")


def candidates(options: RunOptions, device: str) -> list[Arithmetic]:
    """The expected best first. Memory is laid out channels last where that is what the fast kernels want."""
    threads = threads_of(options.threads)
    kind = torch.device(device).type
    formats = [options.precision] if options.precision != "auto" else _formats(kind)
    layouts = [True, False] if kind == "cpu" else [kind == "cuda"]
    if options.threads != "auto" and options.precision != "auto":
        layouts = layouts[:1]
    return [Arithmetic(device, one, last, threads) for one in formats for last in layouts]


def _formats(kind: str) -> list[str]:
    if kind == "cuda":
        return ["bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16", "fp32"]
    fast_bf16 = kind == "cpu" and any(map(torch.cpu.get_capabilities().get, BF16_INSTRUCTIONS))
    return ["bf16", "fp32"] if fast_bf16 else ["fp32"]


def threads_of(text: str) -> int:
    """The number that THREADS gives, torch's own for auto; RequestError for anything else."""
    if text == "auto":
        return torch.get_num_threads()
    if not text.isdecimal() or not int(text):
        raise RequestError(f"THREADS={text}: expected auto or a number from 1")
    return int(text)


def fastest(choices: list[Arithmetic], measure: Callable[[Arithmetic], float]) -> Arithmetic:
    """The first of the choices, unless another is faster by more than noise."""
    seconds = [measure(choice) for choice in choices]
    best = min(range(len(choices)), key=seconds.__getitem__)
    return choices[best] if seconds[0] > GAIN * seconds[best] else choices[0]


def step_seconds(network: nn.Module, shape: tuple[int, ...], arithmetic: Arithmetic) -> float:
    """Of the fastest of a few steps, forward and backward, of a copy of the network."""
    arithmetic.prepare()
    trial = arithmetic.place(copy.deepcopy(network)).train()
    x = torch.zeros(shape, device=arithmetic.device).to(memory_format=arithmetic.layout)
    seconds = []
    for _ in range(1 + ROUNDS):
        start = time.perf_counter()
        with arithmetic.autocast():
            loss = trial(x).float().square().mean()
        loss.backward()
        loss.item()  # waits for a GPU
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])
