"""Every registered model: shapes, learning, repeatability; how a model is named; ensembles."""

import pytest
import torch

from commandline.registry import RequestError
from train.models.registry import all_models, build, resolve

MODELS = all_models()
IMAGE = [name for name, entry in MODELS.items() if entry.kind == "image"]


SMALLEST = {
    "image": (64, 108),
    "wave": (1, 16000),
    "linear": (1, 1),
    "vector": (1, 1),
}


def network(name, seed=0):
    return build(name, 2, 5, SMALLEST[MODELS[name].kind], generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", MODELS)
def test_gives_one_finite_logit_a_class(name):
    """And in training a finite gradient a weight."""
    built, x = network(name), torch.randn(3, 2, *SMALLEST[MODELS[name].kind])
    built(x).square().sum().backward()
    assert all(w.grad is None or w.grad.isfinite().all() for w in built.parameters())
    logits = built.eval()(x)
    assert logits.shape == (3, 5) and logits.isfinite().all()
    assert MODELS[name].summary.endswith(".")


@pytest.mark.parametrize("name", IMAGE)
@pytest.mark.parametrize("shape", [(1, 64, 108), (4, 67, 431)])
def test_image_models_take_any_grid_and_number_of_channels(name, shape):
    with torch.device("cpu" if name == "texture" else "meta"):  # its autocast knows no device without values
        assert build(name, shape[0], 3, shape[1:]).eval()(torch.zeros(1, *shape)).shape == (1, 3)


@pytest.mark.parametrize("name", ["resnet18", "aclnet", "linear"])
def test_weights_come_from_the_generator_alone(name):
    def total(seed):
        return sum(weight.double().sum().item() for weight in network(name, seed=seed).parameters())

    torch.manual_seed(1)
    first = total(0)
    torch.manual_seed(2)
    assert total(0) == first
    assert total(1) != first


def test_no_stride_of_cnn8_skips_more_than_there_is():
    wanted = {(64, 108): [(2, 1), (1, 1)], (64, 216): [(2, 2), (1, 1)], (128, 431): [(2, 2), (1, 2)]}
    for grid, last in wanted.items():
        layers = build("cnn8", 3, 10, grid).layers
        assert [layer[0].stride for layer in layers] == [(2, 2), (1, 2)] * 3 + last


def test_models_on_statistics_of_rows_read_how_long_a_clip_is():
    assert all(resolve(name).reads_padding for name in ("linear", "mlp@width=8", "texture"))
    assert not any(resolve(name).reads_padding for name in ("cnn4", "m11", "resnet18+texture"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("aclnet@dropout=1.5", r"aclnet@dropout='1.5': expected 0 to 0.9999"),
        ("linear@C=0", "expected a positive float"),
        ("texture@weight=0.5", "weight is an option of an ensemble's second member"),
        ("resnet18+cnn4+cnn8", "an ensemble has two members"),
    ],
)
def test_a_wrong_name_gets_the_nearest_one(text, message):
    with pytest.raises(RequestError, match=message):
        resolve(text)


@pytest.mark.parametrize(
    ("text", "name", "weight"),
    [
        ("cnn8@width=32", "cnn8", None),  # the default
        ("mlp@dropout=0", "mlp@dropout=0", None),
        ("resnet18+texture", "resnet18+texture", 0.67),
        ("resnet18+texture@weight=0.67", "resnet18+texture", 0.67),
        ("resnet18+cnn8", "resnet18+cnn8", 0.5),
        (
            "cnn8@width=16+texture@width=128,weight=0.6",
            "cnn8@width=16+texture@width=128,weight=0.6",
            0.6,
        ),
    ],
)
def test_an_ensembles_weight_stands_in_the_name_unless_it_is_the_default(text, name, weight):
    found = resolve(text)
    assert (found.name, found.weight) == (name, weight)
    assert resolve(found.name) == resolve(found.resolved)
    assert weight is None or found.resolved.endswith(f"weight={weight}")


def test_what_does_not_fit_says_what_does():
    assert resolve("resnet18").unfit(["mel", "rms"]) is None
    assert resolve("m11").unfit(["waveform"]) is None
    assert resolve("linear").unfit(["waveform", "mel"]) is None
    assert "aclnet" in resolve("resnet18").unfit(["mel", "waveform"])
    assert "resnet18" in resolve("aclnet").unfit(["mel"])
    assert resolve("mlp").unfit(["mel", "embedding"], ["embedding"]) is None
    assert "linear, mlp take mel+embedding" in resolve("cnn4").unfit(["mel", "embedding"], ["embedding"])


@pytest.mark.parametrize(
    ("name", "weight"), [("cnn4+texture", 0.67), ("cnn4+texture@weight=0.3", 0.3), ("texture+cnn4", 0.5)]
)
def test_members_answer_apart_in_training_and_together_in_evaluation(name, weight):
    network = build(name, 2, 5, (64, 108))
    x = torch.randn(4, 2, 64, 108)
    assert network(x).shape == (4, 2, 5)
    network.eval()
    wanted = (1 - weight) * network.first(x) + weight * network.second(x)
    torch.testing.assert_close(network(x), wanted)


def test_the_first_member_starts_from_the_weights_that_it_has_alone():
    alone, ensemble = (
        build(name, 1, 3, (64, 108), generator=torch.Generator().manual_seed(3))
        for name in ("cnn4", "cnn4+texture")
    )
    assert all(map(torch.equal, alone.state_dict().values(), ensemble.first.state_dict().values()))
