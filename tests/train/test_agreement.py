"""A way to compute is used only after it agreed with plain fp32: wrong kernels are found."""

import dataclasses
import json

import pytest
import torch
from torch import nn

from train import run
from train.agreement import measure_deviation, trusted
from train.compute import Compute, keep_freed_memory
from train.models.registry import MODELS, Model, build

BF16 = Compute("cpu", "bf16", channels_last=True)


def batches(shape=(2, 16, 16), sizes=(6, 5)):
    generator = torch.Generator().manual_seed(0)
    x = [torch.randn(size, *shape, generator=generator) for size in sizes]
    return [(one, nn.functional.one_hot(torch.arange(len(one)) % 3, 3).float()) for one in x]


class Bad(torch.autograd.Function):
    """The identity in fp32; in a smaller format as `fault` says."""

    @staticmethod
    def forward(context, x, fault):
        context.fault = fault if x.dtype != torch.float32 else ""
        return x.flip(0) if context.fault == "output" else x.clone()

    @staticmethod
    def backward(context, gradient):
        if context.fault == "sign":
            gradient = -gradient
        if context.fault == "unwritten":
            gradient = torch.full_like(gradient, torch.nan)
        return gradient, None


class Wrong(nn.Module):
    def __init__(self, fault):
        super().__init__()
        self.fault = fault

    def forward(self, x):
        return Bad.apply(x, self.fault)


@torch.library.custom_op("faulty::double", mutates_args=())
def double(x: torch.Tensor) -> torch.Tensor:
    """Twice x, but for the last row in a smaller format: an operation with a wrong kernel."""
    result = 2 * x
    if x.dtype != torch.float32:
        result[..., -1, :] = 0
    return result


double.register_autograd(lambda context, gradient: 2 * gradient)


class Double(nn.Module):
    def forward(self, x):
        return double(x)


def network(*faults, channels=2, classes=3):
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)
    return nn.Sequential(nn.Conv2d(channels, 8, 3, padding=1), *faults, nn.ReLU(), *head)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["cnn8", "resnet18", "texture"])
def test_sound_networks_agree(name, precision):
    built = build(name, 2, 3, (16, 16), generator=torch.Generator().manual_seed(0))
    assert measure_deviation(built, dataclasses.replace(BF16, precision=precision), batches()).why == ""


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Wrong("sign"), "another direction"),
        (Wrong("unwritten"), "not finite"),
        (Wrong("output"), "loss|direction|times as long"),
        (Double(), "faulty::double is off by"),
    ],
)
def test_a_wrong_kernel_is_found(fault, why):
    torch.manual_seed(0)
    assert measure_deviation(network(nn.Identity()), BF16, batches()).why == ""
    agreement = measure_deviation(network(fault), BF16, batches())
    assert agreement.why and any(one in agreement.why for one in why.split("|"))


def test_on_disagreement_plain_fp32_is_used_and_said(capsys):
    choice, found = trusted(BF16, network(Wrong("unwritten")), batches)
    assert choice == Compute("cpu", "fp32")
    assert "bf16, channels last" in capsys.readouterr().err
    assert [one["precision"] for one in found["checked"]] == ["bf16"]


def test_plain_fp32_is_not_checked():
    def never():
        raise AssertionError

    assert trusted(Compute("cpu"), network(), never)[0] == Compute("cpu")


def test_a_run_with_a_wrong_kernel_goes_on_in_fp32(options, monkeypatch, capsys):
    def faulty(channels, classes, shape):
        return network(Wrong("unwritten"), channels=channels, classes=classes)

    monkeypatch.setitem(MODELS, "faulty", Model("faulty", "image", faulty, 0.5))
    asked = dataclasses.replace(options, model="faulty", precision="bf16", folds=(1,), epochs=1)
    folder = run.execute(asked)
    config = json.loads((folder.path / "run.json").read_text())
    assert config["precision"] == "fp32" and config["options"]["precision"] == "bf16"
    assert config["checked"][0]["precision"] == "bf16" and "not finite" in config["checked"][0]["why"]
    assert capsys.readouterr().err.count("disagrees with plain fp32") == 1
    assert folder.predictions(1).notna().all().all()


class Narrow(nn.Module):
    """Strides over an axis of `width` frames, which no registered model does."""

    def __init__(self, width, channels=2, classes=3):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d((4, width))
        self.first = nn.Conv2d(channels, 256, 1)
        self.bad = nn.Conv2d(256, 512, 3, (1, 2), padding=1, bias=False)
        self.head = nn.Linear(512, classes)

    def forward(self, x):
        x = self.first(self.pool(x))
        return self.head(nn.functional.conv2d(x, self.bad.weight, None, (1, 2), 1).mean((2, 3)))


@pytest.mark.parametrize(("width", "flag"), [(2, "amx_bf16"), (1, "avx512_bf16")])
def test_a_run_falls_back_where_onednn_is_wrong(width, flag, options, monkeypatch, capsys):
    """A wrong output over two frames on AMX, unwritten gradients over one with AVX-512.

    docs/explanation/onednn-bf16.md has the figures. The stride stands in the call and not in the layer, where
    `build` would lower it.
    """
    if not torch.cpu.get_capabilities().get(flag) or torch.__version__ != "2.13.0+cpu":
        pytest.skip(f"the error is known of torch 2.13.0 on processors with {flag}")
    keep_freed_memory()
    torch.manual_seed(0)
    assert "convolution" in measure_deviation(Narrow(width), BF16, batches()).why
    assert measure_deviation(Narrow(4), BF16, batches()).why == ""
    entry = Model("narrow", "image", lambda channels, classes, shape: Narrow(width, channels, classes), 0.5)
    monkeypatch.setitem(MODELS, "narrow", entry)
    asked = dataclasses.replace(options, model="narrow", precision="bf16", folds=(1,), epochs=1)
    config = run.execute(asked).config
    assert config["precision"] == "fp32" and "convolution" in config["checked"][0]["why"]
    assert capsys.readouterr().err.count("disagrees with plain fp32") == 1
