"""Every registered model learns and has the right shapes; models' names."""

import pytest
import torch
from torch import nn

from featurestack.base.registry import Registry
from featurestack.train.models import MODELS, model, resolve
from featurestack.train.models.sizes import describe_model
from tests.cases import cases
from tests.refusal import refused
from tests.train.small_cache import build, run_with

USUAL = MODELS.complete()
IMAGE = [name for name, entry in USUAL.items() if entry.kind.name == "image"]


SMALLEST = {"image": (32, 54), "wave": (1, 16000), "linear": (1, 1), "vector": (1, 1)}


@pytest.mark.parametrize("name", USUAL)
def test_learns_a_batch_and_gives_one_finite_logit_a_class(name):
    shape = SMALLEST[USUAL[name].kind.name]
    built = build(name, 8, 5, shape, generator=torch.manual_seed(0))
    x = torch.randn(3, 8, *shape)
    optimiser = torch.optim.AdamW(built.parameters(), 0.001)
    losses = []
    for _ in range(3):
        logits = built(x).view(3, -1, 5).mean(1)  # texturenet averages three
        losses.append(torch.nn.functional.cross_entropy(logits, torch.arange(3)))
        optimiser.zero_grad()
        losses[-1].backward()
        optimiser.step()
    assert min(losses) < 0.999 * losses[0]
    logits = built.eval()(x)
    assert logits.shape == (3, 5) and logits.isfinite().all()


@pytest.mark.parametrize(
    ("name", "option"), [(n, option) for n in USUAL for option in USUAL[n].options]
)
def test_every_option_of_a_model_changes_its_network(name, option):
    default, shape = USUAL[name].options[option], SMALLEST[USUAL[name].kind.name]
    if isinstance(default, str):
        other = USUAL[name].bounds[option][-1]
    else:
        other = type(default)(default / 2) or 2
    networks = (build(f"{name}@{option}={v}", 8, 5, shape) for v in (default, other))
    facts, others = map(facts_of, networks)
    assert facts != others, f"{name} ignores {option}"


def facts_of(network):
    """The numbers and words of each layer, and the shapes of the weights."""
    layers = [vars(layer).items() for layer in network.modules()]
    facts = [
        [(n, v) for n, v in own if isinstance(v, int | float | str)] for own in layers
    ]
    return facts, [weight.shape for weight in network.parameters()]


@pytest.mark.parametrize("name", IMAGE)
def test_image_models_take_any_grid_and_one_channel(name):
    # autocast lacks the device meta
    with torch.device("cpu" if name == "texturenet" else "meta"):
        network = build(name, 1, 3, (67, 431)).eval()
        assert network(torch.zeros(1, 1, 67, 431)).shape == (1, 3)


@cases("text", "name")
def test_options_at_their_defaults_are_left_out_of_the_name(text, name):
    found = resolve(text)
    assert found.name == name
    assert resolve(found.name).name == name


class Mixed(nn.Module):
    """Layers whose weights torch draws, of which some return tuples."""

    def __init__(self, channels, classes):
        super().__init__()
        self.bare = nn.Parameter(torch.randn(8))
        self.wider = nn.ConvTranspose2d(channels, 8, 3)
        self.rows = nn.GRU(8, 8, num_layers=2, batch_first=True, dropout=0.2)
        self.again = nn.LSTM(8, 8, bidirectional=True, batch_first=True)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.encoder = nn.TransformerEncoderLayer(16, 2, 32)
        self.table = nn.Embedding(4, 16)
        self.head = nn.Linear(16, classes)

    def forward(self, x):
        y = self.wider(x).mean(2).transpose(1, 2) + self.bare
        y, _ = self.again(self.rows(y)[0])
        y, _ = self.attention(y, y, y)
        return self.head(self.encoder(y).mean(1) + self.table.weight.mean(0))


def test_a_seed_draws_every_weight_of_an_own_model_that_is_counted(monkeypatch):
    own_models = Registry("model", MODELS)
    monkeypatch.setattr("featurestack.train.models.MODELS", own_models)

    @model("image")
    def mixed(channels, classes, shape):
        return Mixed(channels, classes)

    found = []
    for before, seed in ((1, 0), (99, 0), (1, 5)):
        torch.rand(before)  # weights depend on nothing that was drawn before
        drawn = torch.Generator().manual_seed(seed)
        network = build("mixed", 1, 4, (64, 64), generator=drawn)
        found.append([weight.double().sum().item() for weight in network.parameters()])
    assert found[0] == found[1] != found[2]
    assert describe_model("mixed")[0] == 6474


def test_counts_are_those_published_for_imagenet():
    parameters, operations = describe_model("resnet18", (3, 224, 224), 1000)
    assert parameters / 1e6 == pytest.approx(11.69, abs=0.01)
    assert operations / 1e9 == pytest.approx(1.81, abs=0.02)


# ---- ResNet


def as_published(network, x):
    """The forward of torchvision's ResNet."""
    x = network.maxpool(torch.relu(network.bn1(network.conv1(x))))
    x = network.layer4(network.layer3(network.layer2(network.layer1(x))))
    return network.fc(torch.flatten(network.avgpool(x), 1))


def test_answers_and_gradients_have_the_bits_of_the_published_order():
    generator = torch.Generator().manual_seed(0)
    network = build("resnet18", 3, 4, (64, 108), generator=generator)
    x = torch.randn(4, 3, 64, 108, generator=generator)
    found = []
    for forward in (network, lambda x: as_published(network, x)):
        network.zero_grad()
        answer = forward(x)
        answer.square().sum().backward()
        found.append([answer, *(weight.grad for weight in network.parameters())])
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*found))
    assert found[0][1].abs().max() > 0


@pytest.mark.parametrize("training", [True, False])
def test_each_channel_of_a_stack_passes_by_itself_with_norms_of_its_own(training):
    streams = "resnet18@fusion=streams"
    generator = torch.Generator().manual_seed(0)
    stack = build(streams, 3, 4, (64, 78), generator=generator).train(training)
    alone = build("resnet18", 1, 4, (64, 78)).train(training)
    for norm in (layer for layer in stack.modules() if hasattr(layer, "running_var")):
        for values in (norm.weight.data, norm.bias.data, norm.running_var):
            values.uniform_(0.5, 1, generator=generator)
    of_stack = {name: value.clone() for name, value in stack.state_dict().items()}
    x = torch.randn(2, 3, 64, 78, generator=generator)
    answers, logits = stack(x), of_stack["fc.bias"]
    for channel in range(3):
        part = {"fc.bias": torch.zeros(4)}
        for name, values in alone.state_dict().items():
            theirs = of_stack[name]
            if values.shape != theirs.shape and name != "fc.bias":
                part[name] = theirs.chunk(3, dim=theirs.dim() - 1)[channel]
        alone.load_state_dict(of_stack | part)
        logits = logits + alone(x[:, channel, None])
    assert torch.allclose(answers, logits, rtol=1e-4, atol=1e-4)
    _, one = describe_model(streams, (1, 64, 78))
    _, three = describe_model(streams, (3, 64, 78))
    assert three == 3 * one
    with refused("unknown fusion of resnet18 'erly'; did you mean 'early'"):
        resolve("resnet18@fusion=erly")


def test_an_own_model_of_other_parameters_is_refused():
    class Net(nn.Module):
        def __init__(self, channels, classes):
            super().__init__()

    for builder in (Net, lambda channels, classes, shape, width: None):
        with refused("expected a function of channels, classes and shape"):
            model("image")(builder)
    with refused(r"an option follows \*: def .*\(…, \*, width=8\)"):
        model("image")(lambda channels, classes, shape, width=8: None)


class Broken(nn.Module):
    def forward(self, x):
        raise RuntimeError("boom")


def flat(*layers):
    return nn.Sequential(nn.Flatten(), *layers)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (None, "returned None, expected a torch.nn"),
        (
            flat(nn.Linear(256, 5)),
            r"MODEL=cnn4 returns \(1, 5\) for one clip, expected \(1, 4\)",
        ),
        (
            nn.Conv2d(1, 4, 16),
            r"returns \(1, 4, 1, 1\) for one clip, expected \(1, 4\)",
        ),
        (
            flat(nn.Linear(256, 4), nn.Flatten(0)),
            r"returns \(4,\) for one clip, expected \(1, 4\)",
        ),
        (
            nn.Conv2d(3, 4, 16),
            r"MODEL=cnn4 fails on an input of \(B, 1, 16, 16\): .*3 channels",
        ),
        (
            Broken(),
            r"\(B, 1, 16, 16\): RuntimeError: boom \(test_architecture.py, line \d+\)",
        ),
    ],
)
def test_an_own_model_that_does_not_answer_by_class_is_refused(
    network, message, options, monkeypatch
):
    own = {"builder": lambda channels, classes, shape: network, "code": "of a user's"}
    for name, value in own.items():
        monkeypatch.setitem(vars(MODELS["cnn4"]), name, value)
    with refused(message):
        run_with(options)
