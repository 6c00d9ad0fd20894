"""The computation of a network: device, number format, memory layout, threads,
compilation, allocation.

The choice (train/choose_compute.py) is made once for a run and saved in run.json. A
run that continues on the same kind of device uses it again: another choice gives
different values.
"""

import contextlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import cast, get_args

import joblib
import torch
from torch import nn

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import whole_number
from featurestack.results.config import MOST_THREADS, Device
from featurestack.results.tasks.base import Task
from featurestack.storage import system
from featurestack.train.models.ensemble import Ensemble

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
DEVICES = get_args(Device)
NEVER = -1
# glibc fills new memory with the inverted byte, 0x7f: 3.4e38 in fp32 and in bf16
POISON = 0x80

# Texts of errors for lack of RAM: torch has a class only for a GPU's memory. The last
# text is oneDNN's.
SHORTAGE = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "could not create a primitive",
)


@dataclass(frozen=True)
class Compute:
    """A kind of device and how to compute on it; by default plain fp32, one thread."""

    device: str = "cpu"
    precision: str = "fp32"
    channels_last: bool = False
    threads: int = 1
    compiled: bool = False

    def __str__(self) -> str:
        layout = "channels last" if self.channels_last else "contiguous"
        compiled = ", compiled" if self.compiled else ""
        return (
            f"{self.precision}, {layout}, {self.threads} threads on"
            f" {self.device}{compiled}"
        )

    def prepare(self) -> None:
        """Apply what is global in the process: threads, allocation, TF32, cuDNN."""
        torch.set_num_threads(self.threads)
        keep_freed_memory()
        if self.device == "cuda":
            # TF32 rounds inputs to ten bits of mantissa, as fp16 does: it is allowed
            # with bf16 and fp16
            rounded = self.precision != "fp32"
            torch.backends.cuda.matmul.allow_tf32 = rounded
            torch.backends.cudnn.allow_tf32 = rounded
            torch.backends.cudnn.benchmark = True

    def place(self, network: nn.Module) -> nn.Module:
        network = network.to(self.device)
        return network.to(memory_format=self.layout)  # type: ignore[call-overload]

    def compile(self, network: nn.Module) -> nn.Module:
        """The network for training steps; its weights are `network`'s own."""
        return cast(nn.Module, torch.compile(network)) if self.compiled else network

    @property
    def layout(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def autocast(self) -> AbstractContextManager[object]:
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device, TYPES[self.precision])

    @contextlib.contextmanager
    def exact(self) -> Iterator[None]:
        """Compute in plain fp32, without TF32."""
        matmul = torch.backends.cuda.matmul
        before = matmul.allow_tf32
        matmul.allow_tf32 = False
        try:
            with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                yield
        finally:
            matmul.allow_tf32 = before

    @torch.no_grad()
    def answers(
        self,
        network: nn.Module,
        views: Iterable[torch.Tensor],
        task: Task,
        exact: bool = True,
    ) -> torch.Tensor:
        """(A, B, K) probabilities, a mean over views: the network's, its members'."""
        by_view = []
        for view in views:
            x = view.contiguous(memory_format=self.layout)
            with self.exact() if exact else self.autocast():
                if isinstance(network, Ensemble):
                    alone = network.alone(x)
                    logits = torch.stack([network.join(alone), *alone.unbind(1)])
                else:
                    logits = network(x).float()[None]
            by_view.append(task.activation(logits))
        return torch.stack(by_view).mean(0).cpu()


def device_of(text: str) -> str:
    """The kind of device that DEVICE names; `auto` is the machine's accelerator, or cpu
    without one. A GPU that it names becomes the process's current one.
    """
    if text == "auto":
        best = torch.accelerator.current_accelerator(check_available=True)
        return best.type if best and best.type in DEVICES else "cpu"
    kind = text.partition(":")[0]
    if kind not in DEVICES:
        raise RequestError(f"DEVICE={text}: expected one of auto, {', '.join(DEVICES)}")
    try:
        place = torch.empty(0, device=text).device
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise RequestError(
            f"DEVICE={text} cannot be used ({reason}); cpu always can"
        ) from None
    if kind == "cuda":
        torch.cuda.set_device(place)
    return kind


def threads_of(text: str) -> int:
    """The number of THREADS; auto is torch's own, at most the cores one may use."""
    if text == "auto":
        return min(torch.get_num_threads(), joblib.cpu_count())
    if not 1 <= whole_number(text) <= MOST_THREADS:
        raise RequestError(
            f"THREADS={text}: expected auto or a number from 1 to {MOST_THREADS}"
        )
    return int(text)


def keep_freed_memory() -> None:
    """Keep freed memory for the next tensor instead of giving it back to the system.

    glibc maps every large tensor anew, in zeroed pages that fault one by one: 90,000
    faults and a twelfth of the time of a step of ResNet-18 on 32 x 3 x 128 x 431
    values. Its highest mmap threshold, 32 MB, is a quarter of the largest activation.
    """
    system.set_malloc(system.MMAP_MAX, 0)
    system.set_malloc(system.TRIM_THRESHOLD, NEVER)


@contextlib.contextmanager
def poisoned_memory(device: str) -> Iterator[None]:
    """New memory holds 3.4e38 until it is written (glibc), on a GPU mostly NaN."""
    if device == "cuda":
        used = torch.cuda.max_memory_reserved(device)
        torch.cuda.empty_cache()
        # later allocations are pieces of this block
        torch.full((used // 4,), torch.nan, device=device)
    system.set_malloc(system.PERTURB, POISON)
    try:
        yield
    finally:
        system.set_malloc(system.PERTURB, 0)


def is_shortage(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and any(sign in text for sign in SHORTAGE)
