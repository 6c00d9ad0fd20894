"""Start from pretrained weights: ImageNet's, or those in a file.

ImageNet's weights come from a file in models/, else from torchvision, downloaded once;
without a connection a run with WEIGHTS=auto begins from scratch. torch is imported only
when weights are read. A file may hold only some of the layers. A name like
resnet18-f37072fd.pth contains the beginning of the file's SHA-256, which is checked.
Files are read with weights_only=True, so that nothing in them is executed.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from featurestack.base.errors import RequestError
from featurestack.base.files import Lock
from featurestack.base.terminal import tell, tell_once

if TYPE_CHECKING:
    import torch
    from torch import nn

MODELS_FOLDER = Path("models")  # below the current folder
PUBLISHED = {
    "resnet18": "https://download.pytorch.org/models/resnet18-f37072fd.pth",
}
MEGABYTES = {"resnet18": 47}
HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.\w+$")
GAIN = (
    "on mel of ESC-50 at 16 kHz ResNet-18 reaches 84.2 % with them (GRID=128x156,"
    " frames of 64 ms: docs/explanation/accuracy.md)"
)


def start_from(network: nn.Module, model: str, weights: str) -> None:
    """Load the `weights` of a plan into a network of this model.

    The first convolution is adapted to the network's channels, unless it comes from a
    checkpoint with as many channels. The last layer keeps its own weights, because it
    has other classes. `network.loaded` names the tensors that were filled.
    """
    file = fetch_weights(model) if weights == "imagenet" else Path(weights)
    state, is_checkpoint = read_weights(file)
    filled = fill(network, state, str(file), is_checkpoint)
    network.loaded = frozenset(filled)  # type: ignore[assignment]


def read_weights(file: Path) -> tuple[dict[str, torch.Tensor], bool]:
    """The state dict in a file of weights, and whether that is a fold's checkpoint."""
    import torch

    from featurestack.train.checkpoint import read_safely

    check_hash(file.name, file.read_bytes())
    try:
        state = read_safely(file)
    except ValueError as reason:
        raise RequestError(
            f"{file} holds no weights that can be read safely: {reason}"
        ) from None
    is_checkpoint = isinstance(state, Mapping) and "network" in state
    if is_checkpoint:
        state = state["network"]
    if not isinstance(state, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in state.values()
    ):
        raise RequestError(
            f"{file} holds no state dict: expected names of layers with a tensor each"
        )
    return dict(state), is_checkpoint


def fill(
    network: nn.Module,
    state: Mapping[str, torch.Tensor],
    source: str,
    own_kernels: bool = False,
) -> set[str]:
    """Copy a state dict into a network that may have other input channels and classes;
    name the layers that it lacks in a message, and return the names that were filled.

    own_kernels  whether the first kernels are for features, not colours; they are kept
                 if the network has as many channels
    """
    tensors = network.state_dict()
    kernels = [key for key, value in tensors.items() if value.dim() >= 3]
    head = f"{list(tensors)[-1].rpartition('.')[0]}."  # fc. of fc.bias
    loaded = {key: value for key, value in state.items() if not key.startswith(head)}
    if kernels and kernels[0] in loaded:
        stem = kernels[0]  # the first convolution
        channels = tensors[stem].shape[1]
        if not own_kernels or loaded[stem].shape[1] != channels:
            loaded[stem] = adapt(loaded[stem], channels)
    for key in loaded.keys() & tensors.keys():  # of several streams, each has its norm
        value, size = loaded[key], tensors[key].numel()
        if value.dim() == 1 and 0 < len(value) < size and size % len(value) == 0:
            loaded[key] = value.repeat(size // len(value))
    chosen = {key: value for key, value in loaded.items() if key in tensors}
    wrong = [key for key, value in chosen.items() if tensors[key].shape != value.shape]
    if wrong or not chosen:
        reason = f"{wrong[0]} has another shape" if wrong else "no layer has its names"
        raise RequestError(f"{source} are weights of another model: {reason}")
    network.load_state_dict(chosen, strict=False)
    tell_once(
        f"WEIGHTS={source} fills all layers but {', '.join(unfilled(tensors, chosen))},"
        " which start from random weights"
    )
    return set(chosen)


def unfilled(
    tensors: Mapping[str, torch.Tensor], chosen: Mapping[str, torch.Tensor]
) -> list[str]:
    """What begins anew, sorted: the largest unfilled layers, other single tensors."""
    # training does not use the batch norms' numbers of batches
    new = {key for key in tensors if not key.endswith("num_batches_tracked")}
    kept = {layer for key in chosen for layer in layers_around(key)}
    names = set()
    for key in new - {*chosen}:
        empty = (layer for layer in layers_around(key) if layer not in kept)
        names.add(next(empty, key))
    return sorted(names)


def layers_around(key: str) -> list[str]:
    """The layers around a tensor: layer1, layer1.0, layer1.0.conv1 and so on."""
    *names, _ = key.split(".")
    return [".".join(names[: place + 1]) for place in range(len(names))]


def adapt(kernel: torch.Tensor, channels: int) -> torch.Tensor:
    """Adapt a convolution's kernels (outputs, C, ...) to another number of input
    channels: the first channel takes their sum, as for a grey image, and the others
    begin at zero, so that the network begins with the first channel only. Other
    kernels would add the edges of features that share no axis, because a convolution
    sums its channels.
    """
    adapted = kernel.new_zeros(len(kernel), channels, *kernel.shape[2:])
    adapted[:, 0] = kernel.sum(1)
    return adapted


def set_norms(network: nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Set the statistics of batch norms that were loaded as the identity from their
    inputs on some training clips, and their weights so that the network's function
    stays the same. An export may have folded its norms into the convolutions.
    """
    import torch
    from torch import nn

    loaded: frozenset[str] = getattr(network, "loaded", frozenset())
    moments: dict[nn.BatchNorm2d, list[torch.Tensor]] = {}
    for name, layer in network.named_modules():
        if isinstance(layer, nn.BatchNorm2d) and f"{name}.running_var" in loaded:
            deviation = (layer.get_buffer("running_var") + layer.eps).sqrt()
            centred = not layer.get_buffer("running_mean").any()
            if centred and torch.allclose(layer.weight, deviation):
                moments[layer] = []

    def measure(norm: nn.BatchNorm2d, inputs: tuple[torch.Tensor, ...]) -> None:
        (x,) = inputs
        moments[norm].append(torch.stack([x.mean((0, 2, 3)), (x**2).mean((0, 2, 3))]))

    handles = [norm.register_forward_pre_hook(measure) for norm in moments]
    network.eval()
    with torch.no_grad():
        for x in batches if moments else ():
            network(x)
        for norm, measured in moments.items():
            mean, square = torch.stack(measured).mean(0)
            times = norm.num_features // len(mean)  # streams begin with one scale
            mean, square = mean.repeat(times), square.repeat(times)
            variance = (square - mean**2).clamp_min(norm.eps)
            for name, value in (("running_mean", mean), ("running_var", variance)):
                norm.get_buffer(name).copy_(value)
            norm.weight.copy_((variance + norm.eps).sqrt())
            norm.bias.add_(mean)
    for handle in handles:
        handle.remove()


# ---- ImageNet's weights


def choose_weights(asked: str, model: str) -> str:
    """WEIGHTS=auto or imagenet as a plan keeps it: `none`, `imagenet` for the published
    file, which is then present, or another file; `auto` if none are published.
    """
    if model not in PUBLISHED:
        if asked == "auto":
            return asked
        published = ", ".join(PUBLISHED)
        raise RequestError(
            f"no ImageNet weights are published for {model}, only for {published}"
        )
    if local := local_weights(model):
        return "imagenet" if local.name == published_name(model) else str(local)
    if asked == "imagenet":
        fetch_weights(model)
        return "imagenet"
    return "imagenet" if fetched(model) else "none"


def published_name(model: str) -> str:
    """The name of the published file, which contains its hash."""
    return PUBLISHED[model].rpartition("/")[2]


def local_weights(model: str) -> Path | None:
    """A model's weights in models/, the published file first; None without any."""
    published = MODELS_FOLDER / published_name(model)
    files = [published, *sorted(MODELS_FOLDER.glob(f"{model}-*.pth"))]
    return next((file for file in files if file.is_file()), None)


@functools.cache  # so that several runs try only once
def fetched(model: str) -> bool:
    """Whether the published file was downloaded; if not, say what is lost."""
    file = MODELS_FOLDER / published_name(model)
    tell(
        f"downloading ImageNet's weights, once: {MEGABYTES[model]} MB to {file}"
        " (WEIGHTS=none trains from scratch)"
    )
    try:
        fetch_weights(model, patient=False)
    except RequestError as error:
        tell_once(f"training begins from scratch: {error}")
        tell_once(
            f"{GAIN}: put {file.name} into {MODELS_FOLDER}/ and type the command again"
        )
        return False
    return True


def fetch_weights(model: str, *, patient: bool = True) -> Path:
    """A model's published file, downloaded if it is missing."""
    file = MODELS_FOLDER / published_name(model)
    if not file.is_file():
        fetch_file(PUBLISHED[model], file, file.name, patient=patient)
    return file


def fetch_file(url: str, file: Path, name: str, *, patient: bool) -> None:
    """Download a file, unless another process does, and check the SHA-256 in `name`.
    `patient` retries after a broken connection.
    """
    from featurestack.base.download import download

    waiting = f"{file} is being downloaded by another process"
    with Lock(file.with_name(f".{file.name}.lock"), waiting=waiting):
        if not file.is_file():
            download(
                url,
                file,
                other_ways=f"{file} may be added by hand",
                check=lambda part: check_hash(name, part.read_bytes()),
                patient=patient,
            )


def check_hash(name: str, content: bytes) -> None:
    """RequestError if a file's SHA-256 does not begin as the file's name says."""
    promised = HASH_IN_NAME.search(name)
    digest = hashlib.sha256(content).hexdigest()
    if promised and not digest.startswith(promised[1]):
        raise RequestError(
            f"{name}: its SHA-256 begins {digest[:8]} and not {promised[1]}: it is"
            " damaged or a different file"
        )
