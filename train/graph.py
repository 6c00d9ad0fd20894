"""The forward and backward pass of a training step as one CUDA graph.

A card computes the step of a small network faster than Python asks for its kernels:
20 ms a step against 4. So the passes are captured once for each size of batch, and
replayed with the batch's values. What is not captured runs kernel by kernel.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import nn

from featurestack.commandline.terminal import tell_once

KERNELS = "steps run kernel by kernel on this card, not as one CUDA graph: {}"
# (x, targets) -> loss and logits; fills the gradients of a network anew
Passes: TypeAlias = Callable[
    [torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]
]
# loss, logits, and the gradient of each parameter that has one
Made: TypeAlias = tuple[torch.Tensor | None, ...]
# work -> what it made, and what makes it again in the same memory
Record: TypeAlias = Callable[[Callable[[], Made]], tuple[Made, Callable[[], None]]]


def cuda_graph(work: Callable[[], Made]) -> tuple[Made, Callable[[], None]]:
    """Do the work once, which loads its kernels, then capture it."""
    stream, aside = torch.cuda.current_stream(), torch.cuda.Stream()
    aside.wait_stream(stream)
    with torch.cuda.stream(aside):
        work()
    stream.wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    try:
        # another thread may prepare the next batch meanwhile
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            made = work()
    finally:
        torch.cuda.set_stream(stream)  # torch leaves another one if capturing fails
    return made, graph.replay


def obstacle(network: nn.Module) -> str:
    """Why a network's passes are not captured; '' if they can be."""
    if not type(network).__module__.startswith("featurestack."):
        return "the model is your own"
    for layer in network.modules():
        if "Dropout" in type(layer).__name__ and getattr(layer, "p", 1) > 0:
            return "the model has dropout"
    return ""


def captured_passes(network: nn.Module, passes: Passes) -> Passes:
    """The passes as one CUDA graph, where the network allows it."""
    reason = obstacle(network)
    if reason:
        tell_once(KERNELS.format(reason))
        return passes
    return Replayed(network, passes, cuda_graph)


@dataclass
class Captured:
    """The passes for one size of batch, and the tensors that they read and fill."""

    x: torch.Tensor
    targets: torch.Tensor
    made: Made
    replay: Callable[[], None]


class Replayed:
    """Passes that are captured at the first batch of each size. The logits that they
    return hold until the next call.
    """

    def __init__(self, network: nn.Module, passes: Passes, record: Record) -> None:
        self.network, self.passes, self.record = network, passes, record
        self.parameters = [w for w in network.parameters() if w.requires_grad]
        self.captured: dict[torch.Size, Captured] = {}
        self.reason = ""  # why nothing more is captured

    def __call__(
        self, x: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if x.shape not in self.captured and not self.reason:
            self.capture(x, targets)
        if x.shape not in self.captured:
            return self.passes(x, targets)
        own = self.captured[x.shape]
        own.x.copy_(x)
        own.targets.copy_(targets)
        own.replay()
        loss, logits, *gradients = own.made
        assert loss is not None and logits is not None
        for weight, gradient in zip(self.parameters, gradients, strict=True):
            weight.grad = gradient
        return loss.clone(), logits

    def capture(self, x: torch.Tensor, targets: torch.Tensor) -> None:
        """Capture the passes for batches of this size; batch norms keep their
        statistics.
        """
        x, targets = x.clone(), targets.clone()
        before = [buffer.clone() for buffer in self.network.buffers()]

        def work() -> Made:
            made = self.passes(x, targets)
            return *made, *(weight.grad for weight in self.parameters)

        try:
            made, replay = self.record(work)
            self.captured[x.shape] = Captured(x, targets, made, replay)
        except RuntimeError as error:
            self.reason = str(error).partition("\n")[0]
            tell_once(KERNELS.format(self.reason))
        for buffer, value in zip(self.network.buffers(), before, strict=True):
            buffer.copy_(value)
