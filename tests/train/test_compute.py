"""The computation of a run: number formats, and freed memory that is used
again. A way to compute is used only if it agrees with plain fp32: wrong kernels are
found.
"""

import os
from dataclasses import replace

import pytest
import torch
from torch import nn

from featurestack.results.config import Compute
from featurestack.train import compute
from featurestack.train.compute import agreed, disagreement, preferred, prepare
from featurestack.train.models import MODELS
from featurestack.train.optimisation import Objective
from featurestack.train.options import RunOptions
from tests.train.small_cache import build, run_with

CROSS_ENTROPY = Objective(multilabel=False)
BF16 = Compute(device="cpu", precision="bf16", channels_last=True)
MAPS = (32, 3, 64, 216)
NUMBERS = (32, 9, 1, 1)


@pytest.fixture
def flags():
    """The flags of CUDA and of deterministic kernels, set back afterwards."""
    matmul, own = torch.backends.cuda.matmul, torch.utils.deterministic
    before = matmul.allow_tf32, own.fill_uninitialized_memory
    with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False):
        yield torch.backends.cudnn
    matmul.allow_tf32, own.fill_uninitialized_memory = before
    torch.set_deterministic_debug_mode("default")


@pytest.mark.parametrize(
    ("precision", "rounded"), [("fp32", False), ("bf16", True), ("fp16", True)]
)
def test_a_card_uses_deterministic_kernels_and_rounds_beside_another_format_alone(
    precision, rounded, flags
):
    threads = torch.get_num_threads()
    matmul = torch.backends.cuda.matmul
    flags.allow_tf32 = matmul.allow_tf32 = not rounded
    prepare(Compute(device="cpu", threads=threads))  # changes nothing
    assert flags.benchmark and not torch.are_deterministic_algorithms_enabled()
    prepare(Compute(device="cuda", precision=precision, threads=threads))
    assert matmul.allow_tf32 == flags.allow_tf32 == rounded
    assert flags.deterministic and not flags.benchmark
    assert torch.is_deterministic_algorithms_warn_only_enabled()


def test_cublas_is_deterministic_before_cuda_starts(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    cuda = torch.device("cuda")
    monkeypatch.setattr(
        torch.accelerator, "current_accelerator", lambda check_available: cuda
    )
    assert compute.device_of("auto") == "cuda"
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_a_card_compares_a_step_of_few_clips(monkeypatch):
    compared = []
    monkeypatch.setattr(
        compute, "disagreement", lambda network, way, batch, _: compared.append(batch)
    )
    for device in ("cpu", "cuda"):
        way = Compute(device=device, precision="bf16")
        agreed(way, None, batch(size=32), CROSS_ENTROPY)
    assert [(len(x), len(y)) for x, y in compared] == [(32, 32), (8, 8)]


def batch(shape=(2, 16, 16), size=6):
    x = torch.randn(size, *shape, generator=torch.Generator().manual_seed(0))
    return x, nn.functional.one_hot(torch.arange(size) % 3, 3).float()


def test_the_way_follows_from_options_input_and_processor(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    monkeypatch.setattr(
        compute, "threads_of", lambda number: 4 if number == "auto" else number
    )
    for options, shape, way in (
        (RunOptions(), NUMBERS, ("fp32", 1)),
        (RunOptions(precision="bf16"), NUMBERS, ("bf16", 1)),
        (RunOptions(), MAPS, ("bf16", 4)),
        (RunOptions(precision="fp32", threads=2), MAPS, ("fp32", 2)),
    ):
        chosen = preferred(options, "cpu", shape)
        assert (chosen.precision, chosen.threads) == way


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
    body = nn.Conv2d(channels, 8, 3, padding=1), *faults, nn.ReLU()
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)
    return nn.Sequential(*body, *head)


@pytest.mark.parametrize("name", ["cnn4", "texturenet", "aclnet@width=0.25"])
def test_sound_networks_agree(name):
    shape = (1, 4000) if name.startswith("aclnet") else (32, 32)
    built = build(name, 2, 3, shape, generator=torch.Generator().manual_seed(0))
    assert disagreement(built, BF16, batch((2, *shape)), CROSS_ENTROPY) == ""


@pytest.mark.parametrize("fault", ["sign", "unwritten", "output"])
def test_a_wrong_kernel_is_found(fault):
    assert disagreement(network(nn.Identity()), BF16, batch(), CROSS_ENTROPY) == ""
    assert disagreement(network(Wrong(fault)), BF16, batch(), CROSS_ENTROPY)


def test_a_run_with_a_wrong_kernel_goes_on_in_fp32(options, monkeypatch, capsys):
    def faulty(channels, classes, shape):
        return network(Wrong("unwritten"), channels=channels, classes=classes)

    fault = replace(MODELS["cnn4"], base="faulty", builder=faulty)
    monkeypatch.setitem(MODELS, "faulty", fault)
    given = {"model": "faulty", "precision": "bf16", "folds": (1,), "epochs": 1}
    config = run_with(options, **given).config
    assert config.options.precision == "bf16"
    assert config.computed.precision == "fp32"
    assert capsys.readouterr().err.count("disagrees with plain fp32") == 1
