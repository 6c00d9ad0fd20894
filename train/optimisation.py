"""Loss, optimiser, learning-rate schedule, early stopping, and a training step as one
CUDA graph.

A card computes a step of a small network in less time than Python takes to launch its
kernels: 4 ms against 20. So the forward and backward pass are captured once for each
batch size and replayed with a batch's values. What is not captured runs kernel by
kernel.
"""

import copy
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from featurestack.base.terminal import tell_once
from featurestack.results.training_options import DECAY, SMOOTHING, Training

KERNELS = "steps run kernel by kernel on this card, not as one CUDA graph: {}"
# (x, targets) -> loss and logits; replaces the gradients of a network
Passes: TypeAlias = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
# () -> loss, logits, and the gradient of each parameter
Work: TypeAlias = Callable[[], tuple[Any, ...]]
# work -> its result, and a function that computes it again in the same memory
Record: TypeAlias = Callable[[Work], tuple[tuple[Any, ...], Callable[[], None]]]

WRAPPED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict", "step")
LOADED_SHARE = 0.2  # of the learning rate, for the layers that WEIGHTS filled


@dataclass(frozen=True)
class Objective:
    """The loss, and the training score of an epoch: cross-entropy and accuracy, or
    binary cross-entropy and mAP if clips have several labels.

    Conventions: logits (B, M * K) of M networks, targets y (B, K). All classes share
    `smoothing` of a target evenly (Szegedy et al. 2016).
    """

    multilabel: bool

    def loss(
        self,
        logits: Tensor,
        y: Tensor,
        weight: Tensor | None = None,
        smoothing: float = SMOOTHING,
    ) -> Tensor:
        """The mean loss over all networks; `weight` (K,) weighs each clip by the
        classes of its target, or with several labels the positive targets. torch would
        weigh each class's term of the cross-entropy, which pulls a clip towards the
        rare classes that smoothing adds to its target.
        """
        # (B, M, K): each network has its own loss
        networks = logits.view(len(y), -1, y.shape[1])
        uniform = torch.full_like(y, 1 / y.shape[1])
        smooth = y.lerp(uniform, smoothing)
        targets = smooth[:, None].expand_as(networks).flatten(0, 1)  # (B * M, K)
        logits = networks.flatten(0, 1)
        if self.multilabel:
            return nn.functional.binary_cross_entropy_with_logits(
                logits, targets, pos_weight=weight
            )
        if weight is None:
            return nn.functional.cross_entropy(logits, targets)
        losses = nn.functional.cross_entropy(logits, targets, reduction="none")
        losses = losses.view(networks.shape[:2])  # (B, M)
        clip_weights = (y @ weight)[:, None]
        return (clip_weights * losses).mean()

    def observed(self, y: Tensor, logits: Tensor) -> Tensor:
        """What `score` needs of a batch, computed from the mean of the networks."""
        logits = logits.view(len(y), -1, y.shape[1]).mean(1)
        if self.multilabel:
            return torch.stack([y, logits])
        correct = logits.argmax(1) == y.argmax(1)
        return correct.float().mean()

    def score(self, observed: Sequence[Tensor]) -> float:
        if not self.multilabel:
            return torch.stack([*observed]).mean().item()
        from featurestack.comparison import average_precision as ap

        y, logits = torch.cat([*observed], dim=1).cpu()
        labels = (y > 0.5).numpy()
        precision = ap.average_precision(labels, logits.numpy())
        return ap.macro(precision)


def make_optimiser(network: nn.Module) -> torch.optim.Optimizer:
    """AdamW, with weight decay only on matrices and kernels. Layers that WEIGHTS filled
    form their own groups, with a `share` of the learning rate.
    """
    loaded: frozenset[str] = getattr(network, "loaded", frozenset())
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, weight in network.named_parameters():
        groups.setdefault((name in loaded, weight.ndim > 1), []).append(weight)
    described = [
        {
            "params": weights,
            "weight_decay": DECAY if kernels else 0.0,
            "share": LOADED_SHARE if filled else 1.0,
        }
        for (filled, kernels), weights in sorted(groups.items(), reverse=True)
    ]
    # one pass over the weights takes 5 ms a step instead of 25
    fused = next(network.parameters()).device.type in ("cpu", "cuda")
    return without_compiler(torch.optim.AdamW)(described, lr=1.0, fused=fused)


def without_compiler(
    kind: type[torch.optim.Optimizer],
) -> Callable[..., torch.optim.Optimizer]:
    """The class without the wrappers that exclude its methods from torch.compile: their
    first call imports the compiler, which takes two seconds (torch 2.13).
    """
    plain = {name: inspect.unwrap(getattr(kind, name)) for name in WRAPPED}
    plain["step"] = torch.no_grad()(plain["step"])
    return type(kind.__name__, (kind,), plain)


def cosine(begin: float, end: float, share: float) -> float:
    remaining = (1 + math.cos(math.pi * share)) / 2  # from 1 to 0
    return end + (begin - end) * remaining


def onecycle(share: float) -> float:
    """PyTorch's one-cycle schedule: rise for three tenths, then fall to almost 0."""
    if share < 0.3:
        return cosine(1 / 25, 1, share / 0.3)
    return cosine(1, 1 / 250_000, (share - 0.3) / 0.7)


# Share of the training done, 0 to 1 -> share of LR. EarlyStopping lowers the rate on a
# plateau.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "onecycle": onecycle,
    "cosine": lambda share: cosine(1, 0, share),
    # like ResNet on CIFAR
    "step": lambda share: 0.1 ** sum(share >= milestone for milestone in (0.5, 0.75)),
    "plateau": lambda share: 1.0,
    "constant": lambda share: 1.0,
}


def learning_rate(
    training: Training, epoch_steps: int, step: int, reductions: int = 0
) -> float:
    """The rate at a step of a fold, counted from 0, after `reductions` on plateaus."""
    last = epoch_steps * training.resolved_epochs - 1
    scheduled = SCHEDULES[training.schedule](step / max(1, last))
    return training.resolved_lr * scheduled * 0.1**reductions


@dataclass
class EarlyStopping:
    """Follow one validation score: which epoch was best, when a plateau lowers the
    rate, when to stop. A checkpoint stores `vars` of this object.
    """

    select: str
    patience: int  # 0: never stop
    # lower the rate after patience/3 epochs without a better score, or 5
    on_plateau: bool = False
    best: float = math.nan
    since: int = 0  # epochs without a better score
    lowered: int = 0

    def update(self, score: float) -> bool:
        """Take an epoch's score and return whether it is the best so far."""
        if self.select == "val_loss":
            better = score < self.best
        else:
            better = score > self.best
        if math.isnan(self.best) or better:
            self.best = score
            self.since = 0
            return True
        self.since += 1
        plateau = max(1, (self.patience or 15) // 3)
        if self.on_plateau and self.since % plateau == 0:
            self.lowered += 1
        return False

    @property
    def stop(self) -> bool:
        return 0 < self.patience <= self.since


def random_layers(network: nn.Module, x: Tensor) -> list[str]:
    """The names of the layers that draw random numbers when they train on clips such as
    x, for example by dropout; of a layer inside another, the innermost.
    """
    trial = copy.deepcopy(network).cpu().train()
    names = {layer: name for name, layer in trial.named_modules()}
    before = list[Tensor]()
    drawing = list[nn.Module]()

    def enter(layer: nn.Module, _: object) -> None:
        before.append(torch.get_rng_state())

    def leave(layer: nn.Module, _: object, output: object) -> None:
        inner = any(each in drawing for each in layer.modules())
        if not (torch.equal(before.pop(), torch.get_rng_state()) or inner):
            drawing.append(layer)

    for layer in names:
        layer.register_forward_pre_hook(enter)
        layer.register_forward_hook(leave)
    with torch.random.fork_rng(devices=()), torch.no_grad():
        trial(x[:2].cpu().float())
    return [names[layer] for layer in drawing]


# ---- a step as one CUDA graph


def cuda_graph(work: Work) -> tuple[tuple[Any, ...], Callable[[], None]]:
    """Do the work once to load its kernels, then capture it."""
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
        torch.cuda.set_stream(stream)  # torch leaves another one if the capture fails
    return made, graph.replay


def captured_passes(network: nn.Module, passes: Passes, user_defined: bool) -> Passes:
    """The passes as one CUDA graph, unless the network is the user's."""
    if not user_defined:
        return Replayed(network, passes, cuda_graph)
    tell_once(KERNELS.format("the model is your own"))
    return passes


class Replayed:
    """Passes that are captured at the first batch of each size, unless a layer draws
    random numbers. The logits they return are valid until the next call.
    """

    def __init__(self, network: nn.Module, passes: Passes, record: Record) -> None:
        self.network, self.passes, self.record = network, passes, record
        self.parameters = [w for w in network.parameters() if w.requires_grad]
        # batch size -> the x and targets that are read, the result, the replay
        self.captured: dict[torch.Size, tuple[Any, ...]] = {}
        self.reason = ""  # why nothing more is captured

    def __call__(self, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        if x.shape not in self.captured and not self.reason:
            self.capture(x, targets)
        if x.shape not in self.captured:
            return self.passes(x, targets)
        read_x, read_targets, made, replay = self.captured[x.shape]
        read_x.copy_(x)
        read_targets.copy_(targets)
        replay()
        loss, logits, *gradients = made
        for weight, gradient in zip(self.parameters, gradients, strict=True):
            weight.grad = gradient
        return loss.clone(), logits

    def capture(self, x: Tensor, targets: Tensor) -> None:
        """Capture the passes for this size; the statistics of batch norms stay."""
        if random_layers(self.network, x):
            self.reason = "the model has dropout"
            tell_once(KERNELS.format(self.reason))
            return
        x, targets = x.clone(), targets.clone()
        before = [buffer.clone() for buffer in self.network.buffers()]

        def work() -> tuple[Any, ...]:
            made = self.passes(x, targets)
            return *made, *(weight.grad for weight in self.parameters)

        try:
            made, replay = self.record(work)
            self.captured[x.shape] = x, targets, made, replay
        except RuntimeError as error:
            self.reason = str(error).partition("\n")[0]
            tell_once(KERNELS.format(self.reason))
        for buffer, value in zip(self.network.buffers(), before, strict=True):
            buffer.copy_(value)
