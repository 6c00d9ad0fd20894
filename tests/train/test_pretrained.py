"""Torchvision's state dicts fit key by key; files and downloads are checked before they
are loaded.
"""

import hashlib
from functools import partial
from http.server import SimpleHTTPRequestHandler

import pytest
import torch

from featurestack.train.models.architecture import resolve
from featurestack.train.pretrained import PUBLISHED, adapt, fetch, start_from
from tests.processes import serving
from tests.refusal import refused
from tests.train.little import build

# Beginnings of the SHA-256 of the sorted lines `name shape` of torchvision 0.29's state
# dicts.
STATE_DICTS = {
    "resnet18": "5191d63ec3989592",
    "resnet34": "f8de2a1812ef85e4",
    "resnet50": "a87e91cd6bd1f939",
    "densenet121": "9c659ec278435e95",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_state_dict_is_torchvisions(name):
    with torch.device("meta"):
        state = build(name, 3, 1000, (128, 216)).state_dict()
    lines = "\n".join(
        f"{key} {tuple(value.shape)}" for key, value in sorted(state.items())
    )
    assert hashlib.sha256(lines.encode()).hexdigest()[:16] == STATE_DICTS[name]


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    """A file as torchvision publishes it: random weights, 1000 classes, its hash in its
    name.
    """
    folder = tmp_path_factory.mktemp("published")
    torch.save(
        build("resnet18", 3, 1000, (128, 216)).state_dict(), folder / "plain.pth"
    )
    digest = hashlib.sha256((folder / "plain.pth").read_bytes()).hexdigest()
    return (folder / "plain.pth").rename(folder / f"resnet18-{digest[:8]}.pth")


@pytest.mark.parametrize(
    ("channels", "checkpoint"), [(1, False), (3, False), (5, True)]
)
def test_a_file_or_checkpoint_is_loaded_with_its_first_and_last_layer_adapted(
    imagenet, tmp_path, channels, checkpoint
):
    theirs = torch.load(imagenet, weights_only=True)
    file = imagenet
    if checkpoint:
        file = tmp_path / "last.pt"
        torch.save({"network": theirs, "statistics": [], "epoch": 3}, file)
    network = build("resnet18", channels, 10, (128, 216))
    head = network.fc.weight.clone()
    start_from(network, resolve("resnet18"), str(file))
    assert torch.equal(network.layer3[1].conv2.weight, theirs["layer3.1.conv2.weight"])
    assert torch.equal(network.fc.weight, head)
    if channels == 3:
        assert torch.equal(network.conv1.weight, theirs["conv1.weight"])


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 7])
def test_adapted_kernels_answer_equal_channels_nearly_as_before(channels):
    kernel = torch.ones(4, 3, 7, 7)
    assert torch.allclose(adapt(kernel, channels).sum(1), kernel.sum(1))


def test_old_names_of_densenet_are_understood(tmp_path):
    state = build("densenet121", 3, 1000, (128, 216)).state_dict()
    old = {
        key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): state[key]
        for key in state
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "densenet.pth")
    network = build("densenet121", 3, 10, (128, 216))
    start_from(network, resolve("densenet121"), str(tmp_path / "densenet.pth"))
    layer = "features.denseblock4.denselayer16.conv2.weight"
    assert torch.equal(network.state_dict()[layer], state[layer])


def test_an_address_is_fetched_once_and_checked(imagenet, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    handler = partial(SimpleHTTPRequestHandler, directory=str(imagenet.parent))
    with serving(handler) as address:
        network = build("resnet18", 3, 10, (128, 216))
        start_from(network, resolve("resnet18"), f"{address}/{imagenet.name}")
        assert torch.equal(
            network.conv1.weight,
            torch.load(imagenet, weights_only=True)["conv1.weight"],
        )
        (imagenet.parent / "resnet18-00000000.pth").write_bytes(b"something else")
        for name, reason in (
            ("resnet18-00000000", "SHA-256 begins"),
            ("absent-12345678", "cannot be fetched"),
        ):
            with refused(reason):
                fetch(f"{address}/{name}.pth")
    file = fetch(f"{address}/{imagenet.name}")  # nobody serves it any more
    assert list(tmp_path.rglob("*.pth")) == [file]


def test_what_is_no_file_of_weights_and_weights_of_another_model_are_refused(
    imagenet, tmp_path
):
    (tmp_path / "weights.pth").write_bytes(b"no zip at all")
    for name, weights, message in (
        ("cnn4", tmp_path / "weights.pth", "read safely"),
        ("resnet34", imagenet, "weights of another model"),
        ("cnn4", "imagenet", "no ImageNet weights are published for cnn4"),
    ):
        with refused(message):
            start_from(build(name, 3, 10, (128, 216)), resolve(name), str(weights))
