"""Start from pretrained weights: torchvision's for ImageNet, or a file of weights.

`WEIGHTS=imagenet` means the address at which torchvision publishes the model's
weights; a file or another address works too. A name like resnet18-f37072fd.pth holds
the beginning of its content's SHA-256, which is checked. Files are read with
weights_only=True, so that nothing in them is executed.
"""

import hashlib
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import requests
import torch
from torch import nn

from featurestack.commandline.errors import RequestError
from featurestack.commandline.terminal import progress
from featurestack.results.run_folder import RunFolder
from featurestack.storage.files import replace_file
from featurestack.train.checkpoint import KEYS, LISTED, read_safely
from featurestack.train.models.architecture import Architecture
from featurestack.train.plan import Plan

PUBLISHED = {
    "resnet18": "https://download.pytorch.org/models/resnet18-f37072fd.pth",
    "resnet34": "https://download.pytorch.org/models/resnet34-b627a593.pth",
    "resnet50": "https://download.pytorch.org/models/resnet50-0676ba61.pth",
    "densenet121": "https://download.pytorch.org/models/densenet121-a639ec97.pth",
}
TIMEOUT = 30  # seconds without an answer
BLOCK = 1_000_000  # bytes
HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.\w+$")
# torchvision's DenseNet file is from a time when module names could hold dots:
# denselayer1.norm.1.weight
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")


def start_from(network: nn.Module, architecture: Architecture, weights: str) -> None:
    """Load WEIGHTS into a network: `imagenet` into each member with published weights,
    a file into the first.

    The first convolution is adapted to the network's channels. The last layer keeps its
    own weights, because it has other classes. RequestError if no weights are found, or
    they do not fit or cannot be read safely.
    """
    networks = [network] if architecture.weight is None else network.children()
    addresses = [weights]
    if weights == "imagenet":
        names = [entry.name for entry, _ in architecture.members]
        addresses = [PUBLISHED.get(name, "") for name in names]
    if not any(addresses):
        known = ", ".join(PUBLISHED)
        raise RequestError(
            f"no ImageNet weights are published for {architecture.name}, only for"
            f" {known}"
        )
    for member, address in zip(networks, addresses):
        if address.startswith(("http://", "https://")):
            fill(member, read_weights(fetch(address)), weights)
        elif address:
            fill(member, read_weights(Path(address)), weights)


def read_weights(file: Path) -> dict[str, torch.Tensor]:
    """The state dict in a file of weights or in a fold's checkpoint; RequestError if it
    holds none.
    """
    if not file.is_file():
        raise RequestError(
            f"WEIGHTS={file}: no such file; give a file, an address, or imagenet"
        )
    check_hash(file.name, file.read_bytes())
    try:
        state = read_safely(file)
    except ValueError as reason:
        raise RequestError(
            f"{file} holds no weights that can be read safely: {reason}"
        ) from None
    if isinstance(state, Mapping):
        state = state.get("network", state)  # a checkpoint of one of our own folds
    if not is_state_dict(state):
        raise RequestError(
            f"{file} holds no state dict: expected names of layers with a tensor each"
        )
    return {OLD_DENSENET.sub(r"\1\2.", name): value for name, value in state.items()}


def is_state_dict(state: object) -> bool:
    return isinstance(state, Mapping) and all(
        isinstance(value, torch.Tensor) for value in state.values()
    )


def fetch(url: str) -> Path:
    """The file at `url`, downloaded once into torch's cache; its name must hold its
    hash.
    """
    name = url.partition("?")[0].rpartition("/")[2]
    if not HASH_IN_NAME.search(name):
        raise RequestError(
            f"{url}: expected a name that ends in its SHA-256, as resnet18-f37072fd.pth"
        )
    file = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not file.is_file():
        try:
            answer = requests.get(url, stream=True, timeout=TIMEOUT)
            answer.raise_for_status()
            size = int(answer.headers.get("Content-Length", 0))
            blocks = answer.iter_content(BLOCK)
            total = size // BLOCK or None
            counted = progress(blocks, total=total, label=name, unit="MB")
            content = b"".join(counted)
            check_hash(name, content)
            file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(file, content)
        except OSError as error:  # errors of requests too
            raise RequestError(
                f"{url} cannot be fetched ({error}): fetch it elsewhere and give"
                " WEIGHTS=its path"
            ) from None
    return file


def check_hash(name: str, content: bytes) -> None:
    """RequestError if a hash in the file's name is not the beginning of its content's
    SHA-256.
    """
    promised = HASH_IN_NAME.search(name)
    digest = hashlib.sha256(content).hexdigest()
    if promised and not digest.startswith(promised[1]):
        raise RequestError(
            f"{name}: its SHA-256 begins {digest[:8]} and not {promised[1]}: it is"
            " damaged or another file"
        )


def refuse_tested_clips(plan: Plan, folds: Sequence[int]) -> None:
    """RequestError if WEIGHTS come from a fold of this project that trained on test
    clips of one of `folds`.

    A checkpoint names the fold that it left out, and the run.json above it names the
    dataset. Weights without that run.json, or of another dataset with other clips, are
    accepted. If clips or folds of the dataset have changed since, the fold's number
    means other clips, and the weights are refused for every fold.
    """
    weights = plan.training.weights
    file = Path(weights).resolve()
    if weights == "imagenet" or not (file.parent.parent / "run.json").is_file():
        return
    state = read_safely(file)
    if not isinstance(state, Mapping) or not state.keys() >= KEYS:
        return
    own = state["fold"]
    run = RunFolder(file.parent.parent)
    tested = folds if run.dataset == plan.dataset else []
    if run.training.clips == plan.identity.content["clips"]:
        tested = [fold for fold in folds if fold != own]
    if tested:
        raise RequestError(
            f"WEIGHTS={weights}: {run.name} trained its fold {own} on all other folds"
            f" of {plan.dataset}, perhaps on clips that fold {tested[0]} tests: give"
            f" weights from other clips, or FOLDS={own} if clips and folds have not"
            " changed since"
        )


def fill(network: nn.Module, state: Mapping[str, torch.Tensor], source: str) -> None:
    """Copy a state dict into a network that may have other input channels and classes.

    RequestError if other layers differ.
    """
    own = network.state_dict()
    kernels = [key for key, value in own.items() if value.dim() >= 3]
    head = layer_of(list(own)[-1])
    chosen = {}
    for key, value in state.items():
        if layer_of(key) != head:
            chosen[key] = value
    if kernels and kernels[0] in chosen:
        stem = kernels[0]  # the first convolution
        inputs = own[stem].shape[1]
        chosen[stem] = adapt(chosen[stem], inputs)
    try:
        missing = network.load_state_dict(chosen, strict=False).missing_keys
    except RuntimeError as error:
        reason = textwrap.shorten(str(error).partition(":")[2], LISTED)
        raise RequestError(f"{source} are weights of another model: {reason}") from None
    for key in missing:
        if layer_of(key) != head and not key.endswith("num_batches_tracked"):
            raise RequestError(
                f"{source} are weights of another model: they lack {key}"
            )


def layer_of(key: str) -> str:
    """The layer of a tensor in a state dict: fc of fc.weight."""
    return key.rpartition(".")[0]


def adapt(kernel: torch.Tensor, channels: int) -> torch.Tensor:
    """A convolution's kernels (outputs, C, ...) for another number of input channels.

    The input channels are repeated in turn and scaled, so that outputs keep about their
    size (as timm does).
    """
    given = kernel.shape[1]
    turns = [i % given for i in range(channels)]
    return kernel[:, turns] * (given / channels)
