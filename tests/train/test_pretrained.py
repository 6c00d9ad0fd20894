"""Torchvision's state dicts fit key by key; files and downloads are checked before they
are loaded.
"""

import hashlib
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pytest
import torch

from featurestack.train.optimisation import make_optimiser
from featurestack.train.plan import hashed_content, make_plan
from featurestack.train.pretrained import (
    PUBLISHED,
    fetch_weights,
    fetched,
    fill,
    set_norms,
    start_from,
)
from tests.cases import cases, data
from tests.processes import serving
from tests.refusal import refused
from tests.train.small_cache import build, change

# Beginnings of the SHA-256 of the sorted lines `name shape` of torchvision 0.29's state
# dicts.
STATE_DICTS = data(__file__)["STATE_DICTS"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_state_dict_is_torchvisions(name):
    with torch.device("meta"):
        state = build(name, 3, 1000, (128, 216)).state_dict()
    lines = [f"{key} {tuple(value.shape)}" for key, value in sorted(state.items())]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert digest[:16] == STATE_DICTS[name]


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    """A file as torchvision publishes it: random weights, 1000 classes, its hash in its
    name.
    """
    file = tmp_path_factory.mktemp("published") / "plain.pth"
    published = build("resnet18", 3, 1000, (128, 216))
    torch.save(published.state_dict(), file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return file.rename(file.with_name(f"resnet18-{digest[:8]}.pth"))


@pytest.fixture(scope="module")
def theirs(imagenet):
    """The weights in this file."""
    return torch.load(imagenet, weights_only=True)


@pytest.mark.parametrize(
    ("channels", "checkpoint"), [(1, False), (3, False), (3, True), (5, True)]
)
def test_a_file_or_checkpoint_is_loaded_with_its_first_and_last_layer_adapted(
    imagenet, theirs, tmp_path, channels, checkpoint
):
    file = imagenet
    if checkpoint:
        file = tmp_path / "last.pt"
        torch.save({"network": theirs, "statistics": [], "epoch": 3}, file)
    network = build("resnet18", channels, 10, (128, 216))
    head = network.fc.weight.clone()
    start_from(network, "resnet18", str(file))
    assert torch.equal(network.layer3[1].conv2.weight, theirs["layer3.1.conv2.weight"])
    assert torch.equal(network.fc.weight, head)
    kernel = theirs["conv1.weight"]
    if checkpoint and channels == kernel.shape[1]:  # of the same features, perhaps
        assert torch.equal(network.conv1.weight, kernel)
    else:
        assert torch.equal(network.conv1.weight[:, 0], kernel.sum(1))
        assert not network.conv1.weight[:, 1:].any()


@pytest.mark.parametrize("channels", [2, 3, 7])
def test_a_stack_begins_exactly_as_the_network_of_its_first_channel(imagenet, channels):
    networks = [build("resnet18", count, 10, (64, 78)) for count in (1, channels)]
    for network in networks:
        start_from(network, "resnet18", str(imagenet))
    alone, stack = (network.eval() for network in networks)
    stack.fc.load_state_dict(alone.fc.state_dict())
    x = torch.randn(2, channels, 64, 78, generator=torch.Generator().manual_seed(1))
    assert torch.equal(stack.conv1(x), alone.conv1(x[:, :1]))
    assert torch.equal(stack(x), alone(x[:, :1]))
    stack(x).sum().backward()
    assert stack.conv1.weight.grad[:, 1:].abs().sum() > 0  # it can learn of the others


def test_streams_begin_with_the_kernels_of_a_grey_image(imagenet, theirs):
    network = build("resnet18@fusion=streams", 3, 10, (64, 78))
    start_from(network, "resnet18", str(imagenet))
    kernel = theirs["conv1.weight"].sum(1, keepdim=True)
    assert torch.equal(network.conv1.weight, kernel)
    assert torch.equal(network.layer4[1].conv2.weight, theirs["layer4.1.conv2.weight"])
    for values in network.layer2[0].bn1.running_var.chunk(3):
        assert torch.equal(values, theirs["layer2.0.bn1.running_var"])


@pytest.mark.parametrize(
    ("name", "reason"),
    [("resnet18-00000000", "SHA-256 begins"), ("absent-12345678", "cannot be fetched")],
)
def test_a_published_file_is_checked(imagenet, name, reason, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (imagenet.parent / "resnet18-00000000.pth").write_bytes(b"something else")
    handler = partial(SimpleHTTPRequestHandler, directory=str(imagenet.parent))
    with serving(handler) as address:
        publish(monkeypatch, f"{address}/{name}.pth")
        with refused(reason):
            fetch_weights("resnet18")
    assert not [*tmp_path.rglob("*.pth"), *tmp_path.rglob("*.part")]


def test_what_is_no_file_of_weights_and_weights_of_another_model_are_refused(
    imagenet, tmp_path
):
    (tmp_path / "weights.pth").write_bytes(b"no zip at all")
    for name, weights, message in (
        ("cnn4", tmp_path / "weights.pth", "read safely"),
        ("cnn8", imagenet, "weights of another model"),
    ):
        with refused(message):
            start_from(build(name, 3, 10, (128, 216)), name, str(weights))


def without(state, *layers):
    return {key: value for key, value in state.items() if not key.startswith(layers)}


@cases("absent", "named")
def test_a_part_of_the_layers_is_loaded_and_the_others_are_named(
    absent, named, theirs, capsys
):
    state = without(theirs, *absent)
    network = build("resnet18", 1, 10, (128, 216))
    filled = fill(network, state, named)
    said = f"all layers but {named}, which start from random weights"
    assert said in capsys.readouterr().err
    assert filled == without(state, "fc").keys()
    key = "layer1.1.conv2.weight"
    assert torch.equal(network.state_dict()[key], state[key])


@pytest.mark.parametrize(
    ("name", "channels"),
    [("resnet18", 1), ("resnet18", 3), ("resnet18@fusion=streams", 3)],
)
def test_norms_that_an_export_folded_are_set_without_changing_the_function(
    name, channels
):
    chance = torch.Generator().manual_seed(0)
    network = build(name, channels, 4, (64, 78), generator=chance)
    network.loaded = frozenset(network.state_dict())
    x = torch.randn(8, channels, 64, 78, generator=chance)
    expected = network.eval()(x)
    set_norms(network, [x])
    torch.testing.assert_close(network(x), expected, atol=1e-3, rtol=1e-3)
    if name == "resnet18":
        # in training too, where a norm takes the moments of its batch
        torch.testing.assert_close(network.train()(x), expected, atol=1e-3, rtol=1e-3)
    else:  # all streams begin with one scale, that of the network
        for values in network.layer2[0].bn1.weight.chunk(channels):
            assert torch.equal(values, network.layer2[0].bn1.weight[:128])


def test_loaded_layers_take_their_share_of_the_rate(imagenet):
    network = build("resnet18", 1, 10, (128, 216))
    start_from(network, "resnet18", str(imagenet))
    optimiser = make_optimiser(network)
    shares = {}
    for group in optimiser.param_groups:
        shares |= {id(weight): group["share"] for weight in group["params"]}
    assert shares[id(network.layer1[0].conv1.weight)] == 0.2
    assert shares[id(network.fc.weight)] == 1
    assert len(shares) == len(list(network.parameters()))


@pytest.fixture
def resnet(options, tmp_path, monkeypatch):
    """Options of ResNet-18 on a machine without weights, and the folder models/."""
    monkeypatch.chdir(tmp_path)
    fetched.cache_clear()
    return change(options, model="resnet18", epochs="auto", grid="auto"), Path("models")


def publish(monkeypatch, address):
    """ResNet-18's weights are published there; a broken connection is tried again at
    once.
    """
    monkeypatch.setattr("featurestack.base.download.PAUSES", (0, 0))
    monkeypatch.setitem(PUBLISHED, "resnet18", address)


def test_the_default_begins_with_imagenets_weights_and_settings_for_them(
    resnet, imagenet, theirs, monkeypatch, capsys
):
    options, _ = resnet
    handler = partial(SimpleHTTPRequestHandler, directory=str(imagenet.parent))
    with serving(handler) as address:
        publish(monkeypatch, f"{address}/{imagenet.name}")
        plan = make_plan(options)
    assert "47 MB" in capsys.readouterr().err
    chosen = plan.training
    assert chosen.weights == "imagenet" and chosen.pretrained
    assert (chosen.epochs, chosen.grid, chosen.norm) == (10, "128x156", "feature")
    assert "EPOCHS=10 GRID=128x156 NORM=feature by default" in " ".join(plan.messages)
    assert "-imagenet-" in plan.path.name and "WEIGHTS=imagenet" in plan.config.command
    start_from(network := build("resnet18", 3, 10, (128, 216)), "resnet18", "imagenet")
    assert torch.equal(network.conv1.weight[:, 0], theirs["conv1.weight"].sum(1))
    # it is here now: nothing is downloaded, and what is typed wins
    typed = make_plan(change(options, epochs=3, grid="64x108", norm="row")).training
    assert (typed.epochs, typed.grid, typed.norm) == (3, "64x108", "row")


def test_without_a_connection_training_begins_from_scratch_and_says_what_it_lacks(
    resnet, monkeypatch, capsys
):
    options, _ = resnet
    publish(monkeypatch, "http://127.0.0.1:9/resnet18-12345678.pth")
    plan = make_plan(options)
    make_plan(options)  # does not try again
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 3
    assert "begins from scratch: http://127.0.0.1:9" in told[1]
    assert "put resnet18-12345678.pth into models/" in told[2]
    chosen = plan.training
    assert (chosen.weights, chosen.epochs, chosen.grid) == ("none", 40, "64x216")
    assert "WEIGHTS=none" in plan.config.command
    assert plan.path.name.startswith("mel-resnet18-")
    asked = make_plan(change(options, weights="none"))
    assert (asked.path, asked.config.hash) == (plan.path, plan.config.hash)
    with refused("cannot be fetched"):
        make_plan(change(options, weights="imagenet"))


def test_a_file_in_models_is_taken_under_its_own_name(resnet, theirs):
    options, models = resnet
    models.mkdir()
    file = models / "resnet18-stages.pth"
    torch.save(without(theirs, "layer4", "fc"), file)
    plan = make_plan(options)
    assert plan.training.weights == str(file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    content = hashed_content(plan.training, plan.input, plan.model)
    assert content["options"]["weights"] == digest
    assert "-stages-" in plan.path.name
    torch.save(without(theirs, "layer3", "layer4", "fc"), file)
    assert make_plan(options).config.hash != plan.config.hash
