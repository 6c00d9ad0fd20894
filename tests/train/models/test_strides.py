"""No registered model strides an axis down to one position, at any grid that it accepts."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from commandline.registry import RequestError
from train.compute import keep_freed_memory, poisoned_memory
from train.models.registry import Architecture, Model, all_models, build, resolve

MODELS = all_models()
GRIDS = [(64, 108), (64, 216), (128, 216), (128, 431), (16, 16), (8, 8)]
IMAGE = [name for name, entry in MODELS.items() if entry.kind == "image"]
WAVE = [name for name, entry in MODELS.items() if entry.kind == "wave"]
SMALL = 0.05  # of an output's size; 0.002 is what bf16 rounds away, 0.013 the most seen (sums in bf16, AVX2)


def network(name, shape):
    try:
        return build(name, 2, 3, shape, generator=torch.Generator().manual_seed(0))
    except RequestError as refused:
        assert "cannot take" in str(refused) and min(shape) < 64, "every model takes 64x108 and more"
        pytest.skip(str(refused))


def convolutions(built):
    return [layer for layer in built.modules() if isinstance(layer, nn.Conv1d | nn.Conv2d)]


def watch(built):
    """The convolutions' inputs and outputs of the next forward pass, and the gradients that come back."""
    seen = []

    def note(layer, inputs, output):
        record = {"layer": layer, "x": inputs[0].detach().clone(), "y": output.detach().clone()}
        seen.append(record)
        if output.requires_grad:
            output.register_hook(lambda gradient: record.update(gradient=gradient.detach().clone()))

    for layer in convolutions(built):
        layer.register_forward_hook(note)
    return seen


@pytest.mark.parametrize("shape", GRIDS)
@pytest.mark.parametrize("name", IMAGE)
def test_every_stride_has_more_positions_than_it_skips(name, shape):
    built = network(name, shape).eval()
    seen = watch(built)
    with torch.no_grad():
        built(torch.zeros(1, 2, *shape))
    for record in seen:
        sizes = record["x"].shape[2:]
        assert all(step == 1 or size > step for step, size in zip(record["layer"].stride, sizes))


@pytest.mark.parametrize("shape", [(64, 108), (16, 16), (8, 8)])
@pytest.mark.parametrize("name", [*IMAGE, *WAVE])
def test_every_convolution_is_right_in_bf16(name, shape):
    """Output and weight gradient of each against fp32 on the same input, freed memory poisoned."""
    if name in WAVE:
        shape = (1, 125 * shape[0])
    built = network(name, shape).train()
    seen = watch(built)
    x = torch.randn(2, 2, *shape, generator=torch.Generator().manual_seed(1))
    keep_freed_memory()
    with poisoned_memory():
        with torch.autocast("cpu", torch.bfloat16):
            loss = cross_entropy(built(x).float(), torch.arange(2))
        loss.backward()
    assert all(weight.grad.isfinite().all() for weight in built.parameters())
    for record in seen:
        layer, y, gradient = record["layer"], record["y"].float(), record["gradient"].float()
        weight = layer.weight.detach().clone().requires_grad_()
        call = nn.functional.conv1d if isinstance(layer, nn.Conv1d) else nn.functional.conv2d
        exact = call(record["x"].float(), weight, None, layer.stride, layer.padding)
        if layer.bias is not None:
            exact = exact + layer.bias.detach().view(-1, *[1] * (exact.ndim - 2))
        exact.backward(gradient)
        assert (y - exact).norm() <= SMALL * exact.norm()
        assert (layer.weight.grad - weight.grad).norm() <= SMALL * weight.grad.norm()


def test_strides_are_changed_where_an_axis_would_end_and_nowhere_else():
    at = {name: [resolve(name).changed_strides(3, 10, grid) for grid in GRIDS[:4]] for name in IMAGE}
    assert {name for name, found in at.items() if any(found)} == {"cnn8"}
    assert at["cnn8"] == [{"layers.6.0": [2, 1], "layers.7.0": [1, 1]}, *[{"layers.7.0": [1, 1]}] * 2, {}]


def own_network(*layers):
    """A user's own image model of these convolutions."""

    def own(channels, classes, shape):
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes))

    return Architecture(((Model("own", "image", own, 0.5, ""), {}),))


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "padding": "same"},
        {"kernel_size": (4, 3), "padding": "same", "dilation": (2, 3)},
        {"kernel_size": 3, "padding": "valid", "stride": 2},
        {"kernel_size": 3, "dilation": 20, "padding": 20},
        {
            "kernel_size": 5,
            "dilation": (2, 1),
            "stride": (2, 3),
            "padding": (1, 2),
            "padding_mode": "circular",
        },
        {"kernel_size": 1, "dilation": 7, "stride": 3},
    ],
)
def test_any_convolution_whose_axes_are_longer_keeps_its_stride(options):
    assert own_network(nn.Conv2d(2, 4, **options)).changed_strides(2, 10, (64, 108)) == {}


def test_a_kernel_larger_than_its_input_is_refused():
    for layer in (nn.Conv2d(2, 4, 65), nn.Conv2d(2, 4, 3, dilation=32)):
        with pytest.raises(RequestError, match=r"own cannot take 64x108 \(.*[Kk]ernel size.*GRID"):
            own_network(layer).changed_strides(2, 10, (64, 108))


def test_weights_trained_before_the_rule_keep_their_strides():
    old, new = (build("cnn8", 1, 3, (64, 216), changed_strides=changed) for changed in ({}, None))
    assert [layer.stride[1] for layer in convolutions(old)] == [2] * 8
    new.load_state_dict(old.state_dict())
    x = torch.randn(2, 1, 64, 216)
    assert not torch.equal(old.eval()(x), new.eval()(x))


def test_the_same_weights_are_drawn_whether_or_not_the_strides_were_looked_at():
    torch.manual_seed(3)
    first = build("cnn8", 1, 3, (64, 120)).state_dict()  # looked at here, known at the second call
    torch.manual_seed(3)
    assert all(
        torch.equal(value, first[key]) for key, value in build("cnn8", 1, 3, (64, 120)).state_dict().items()
    )


@pytest.mark.parametrize(("model", "least"), [("m11", 1020), ("m18", 1020), ("aclnet", 153)])
def test_a_waveform_that_is_too_short_asks_for_longer_clips_and_not_for_a_grid(model, least):
    assert resolve(model).changed_strides(1, 5, (1, least)) == {}
    with pytest.raises(RequestError, match=rf"{model} cannot take .*give longer clips \(DURATION"):
        resolve(model).changed_strides(1, 5, (1, least - 1))


def test_a_grid_of_16_is_taken_by_all_networks_of_the_project_but_densenet():
    """As docs/howto/short-clips.md says; a model of one's own has to take 64x108 and more."""
    for model in ("cnn4", "cnn8", "resnet18", "resnet34", "resnet50", "texture"):
        resolve(model).changed_strides(3, 5, (16, 16))
    with pytest.raises(RequestError, match="give a larger GRID"):
        resolve("densenet121").changed_strides(3, 5, (16, 16))
