"""A way to compute is used only if it agrees with plain fp32: wrong kernels are
found.
"""

import pytest
import torch
from torch import nn

from featurestack.train import choose_compute
from featurestack.train.choose_compute import agreed, candidates, measure
from featurestack.train.compute import Compute
from featurestack.train.models.registry import MODELS, Model
from featurestack.train.options import RunOptions
from tests.train.little import build, change, execute

BF16 = Compute("cpu", "bf16", channels_last=True)
MAPS = (32, 3, 64, 216)
NUMBERS = (32, 9, 1, 1)


def batch(shape=(2, 16, 16), size=6):
    x = torch.randn(size, *shape, generator=torch.Generator().manual_seed(0))
    return x, nn.functional.one_hot(torch.arange(size) % 3, 3).float()


def test_a_network_on_numbers_is_computed_plainly_unless_told_otherwise(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    monkeypatch.setattr(
        choose_compute, "threads_of", lambda text: 4 if text == "auto" else int(text)
    )
    assert candidates(RunOptions(), "cpu", NUMBERS) == [Compute()]
    assert [
        way.precision
        for way in candidates(RunOptions(precision="bf16"), "cpu", NUMBERS)
    ] == ["bf16"]
    ways = [
        (way.precision, way.threads) for way in candidates(RunOptions(), "cpu", MAPS)
    ]
    assert ways == [("bf16", 1), ("bf16", 4), ("fp32", 1), ("fp32", 4)]


@pytest.mark.parametrize(
    ("seconds", "chosen", "steps"),
    [
        # one thread is nearly as fast
        ({"fp32 1": 1.1, "fp32 4": 1.0}, "fp32 1", 1 + 6),
        ({"fp32 1": 1.4, "fp32 4": 1.0}, "fp32 4", 1 + 6),
        # all threads are clearly ahead
        ({"fp32 1": 2.0, "fp32 4": 1.0}, "fp32 4", 1 + 2),
        ({"bf16 1": 1.2, "bf16 4": 1.0, "fp32 1": 0.5, "fp32 4": 4.0}, "bf16 4", 2 + 6),
    ],
)
def test_the_fastest_way_is_chosen_and_measuring_stops_if_it_is_clearly_ahead(
    monkeypatch, seconds, chosen, steps
):
    """Steps of a number format on some threads take these seconds."""
    timed = []

    def step(network, way, batch):
        timed.append(f"{way.precision} {way.threads}")
        return choose_compute.Step(0, {}, seconds[timed[-1]])

    monkeypatch.setattr(choose_compute, "step", step)
    ways = {
        name: Compute(precision=name.split()[0], threads=int(name.split()[1]))
        for name in seconds
    }
    assert (
        choose_compute.fastest([*ways.values()], nn.Identity(), batch()) == ways[chosen]
    )
    assert len(timed) == steps


def test_a_run_measures_its_way_unless_it_is_given_and_keeps_it(options, monkeypatch):
    monkeypatch.setattr(
        choose_compute, "threads_of", lambda text: 2 if text == "auto" else int(text)
    )
    brief = change(options, threads="auto", folds=(1,), epochs=1)
    first = execute(brief).config.computed
    monkeypatch.setattr(choose_compute, "fastest", None)
    further = execute(brief, folds=(1, 2)).config.computed
    given = execute(brief, seed=2, threads="1").config.computed
    assert (first.chosen, given.chosen) == ("measured", "given")
    assert further.way == first.way


class Wrong(nn.Module):
    """The identity in fp32; in a smaller format its output or its gradient is wrong."""

    def __init__(self, fault):
        super().__init__()
        self.fault = fault

    def forward(self, x):
        if x.dtype == torch.float32:
            return x
        if self.fault == "output":
            return x.flip(0)
        x = x.clone()
        # memory is poisoned
        x.register_hook({"sign": torch.neg, "unwritten": torch.empty_like}[self.fault])
        return x


def network(*faults, channels=2, classes=3):
    torch.manual_seed(0)
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1), *faults, nn.ReLU(), *head
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["cnn8", "resnet18", "texture", "aclnet"])
def test_sound_networks_agree(name, precision):
    shape = (1, 4000) if name == "aclnet" else (32, 32)
    built = build(name, 2, 3, shape, generator=torch.Generator().manual_seed(0))
    assert measure(built, change(BF16, precision=precision), batch((2, *shape))) == ""


@pytest.mark.parametrize("fault", ["sign", "unwritten", "output"])
def test_a_wrong_kernel_is_found(fault):
    assert measure(network(nn.Identity()), BF16, batch()) == ""
    assert measure(network(Wrong(fault)), BF16, batch())


@pytest.mark.skipif(
    not torch.cpu.get_capabilities().get("avx512_bf16")
    or torch.__version__ != "2.13.0+cpu",
    reason="the fault is known in torch 2.13.0 on processors with AVX-512",
)
def test_onednns_unwritten_gradients_are_found():
    """The fault is in 3x3 kernels over a single row and frame, see
    docs/explanation/reproducibility.md.
    """
    built = build(
        "resnet18", 2, 3, (16, 16), generator=torch.Generator().manual_seed(0)
    )
    assert measure(built, BF16, batch())


def test_a_wrong_way_is_refused_with_its_reason_and_plain_fp32_needs_no_check():
    chosen, checked = agreed(BF16, network(Wrong("sign")), batch())
    assert chosen == Compute() and checked[str(BF16)]
    assert agreed(Compute(), network(), batch()) == (Compute(), {})


def test_a_run_with_a_wrong_kernel_goes_on_in_fp32(options, monkeypatch, capsys):
    def faulty(channels, classes, shape):
        return network(Wrong("unwritten"), channels=channels, classes=classes)

    monkeypatch.setitem(MODELS, "faulty", Model("faulty", "image", faulty))
    config = execute(
        options, model="faulty", precision="bf16", folds=(1,), epochs=1
    ).config
    assert config.options.precision == "bf16"
    assert config.computed.way.precision == "fp32"
    ((way, why),) = config.computed.checked.items()
    assert way.startswith("bf16") and why
    assert capsys.readouterr().err.count("disagrees with plain fp32") == 1
