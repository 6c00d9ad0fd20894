"""What a card can change: `make test GPU=1`."""

import subprocess
import sys
import time

import pytest
import torch

from featurestack.base.errors import Failed
from featurestack.base.options import option_words
from featurestack.results.config import Compute
from featurestack.results.run_folder import RunFolder
from featurestack.train import fold_data
from featurestack.train.compute import device_of, disagreement, prepare
from featurestack.train.optimisation import Objective, cuda_graph
from featurestack.train.plan import make_plan
from tests.train.small_cache import build, change, load, run_with
from tests.train.test_graph import same_bits, trained

CARD = "cuda"
PRECISIONS = ("fp32", "bf16", "fp16")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(), reason="torch finds no CUDA card here"
    ),
]


@pytest.fixture
def on_card(options):
    """A run on the card whose passes are captured."""
    device_of(CARD)
    return change(options, device=CARD, model="resnet18", weights="none", grid="32x32")


def files(folder, fold=1):
    """What the same seed gives again: predictions, and history but for the clock."""
    history = folder.history(fold).drop(columns="seconds")
    return (folder.fold(fold) / "predictions.csv").read_bytes(), history.to_csv()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_same_seed_gives_the_same_bits(on_card, precision, capsys):
    chosen = change(on_card, precision=precision, folds=(1,), augment="shift,gain,mask")
    one, other = (run_with(chosen, tag=tag) for tag in ("one", "other"))
    assert files(one) == files(other)
    assert "kernel by kernel" not in capsys.readouterr().err


def test_a_run_that_is_killed_in_a_fold_goes_on_bit_by_bit(on_card):
    long = change(on_card, epochs=1500, folds=(1,), curve=0, tag="killed")
    history = make_plan(long).path / "fold1" / "history.csv"
    job = subprocess.Popen(
        [sys.executable, "-m", "featurestack", "train", *option_words(long)]
    )
    while not history.exists() or history.read_bytes().count(b"\n") < 2:
        assert job.poll() is None, "it ended before it was killed"
        time.sleep(0.01)
    job.kill()
    job.wait()
    assert not (history.parent / "predictions.csv").exists()
    continued = run_with(long)
    assert files(continued) == files(run_with(long, tag="straight"))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_captured_steps_give_the_bits_of_eager_ones(on_card, precision):
    compute = Compute(device=CARD, precision=precision, channels_last=True)
    prepare(compute)
    small = change(on_card, model="cnn4", grid="16x16", batch=7)
    data = load(small, 1, CARD)
    captured, losses = trained(data, cuda_graph, compute)
    eager, expected = trained(data, compute=compute)
    assert len(captured.gradients.captured) == 2  # batches of 6 and of 7 clips
    assert torch.equal(losses, expected) and same_bits(captured, eager)


@pytest.mark.parametrize("precision", PRECISIONS[1:])
@pytest.mark.parametrize("model", ["resnet18", "cnn4", "texturenet"])
def test_smaller_formats_are_near_fp32(on_card, model, precision):
    chance = torch.Generator().manual_seed(0)
    network = build(model, 3, 4, (64, 64), chance)
    x = torch.randn(8, 3, 64, 64, generator=chance).to(CARD)
    y = torch.eye(4, device=CARD).repeat(2, 1)
    compute = Compute(device=CARD, precision=precision, channels_last=True)
    assert not disagreement(network, compute, (x, y), Objective(False))


def test_a_step_does_not_wait_for_the_card(on_card):
    data = load(change(on_card, model="cnn4", grid="16x16"), 1, CARD)
    own, _ = trained(data, cuda_graph, Compute(device=CARD))
    generator = data.generator(1)
    batches = fold_data.draw_batches(data, 1)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for x, y in data.batches(batches):
            own.step(*data.plan.augmenter(x, y, data.channels, generator), 0.001)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_too_little_memory_is_one_sentence(on_card):
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-4)
    try:
        with pytest.raises(Failed, match=r"out of memory on cuda: BATCH=8, GRID=32x32"):
            run_with(on_card)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_folds_side_by_side_are_those_of_one_process(on_card):
    spread = run_with(on_card, device=f"{CARD} {CARD}", tag="spread")
    alone = run_with(on_card, tag="alone")
    for fold in (1, 2, 3):
        assert files(RunFolder(spread.path), fold) == files(alone, fold)


def test_clips_in_ram_and_from_the_disk_give_the_bits_of_those_on_the_card(
    on_card, monkeypatch
):
    chosen = change(on_card, folds=(1,))
    expected = files(run_with(chosen))
    for name in ("SHARE_OF_GPU", "SHARE_OF_RAM"):
        monkeypatch.setattr(fold_data, name, 0.0)
        values = load(chosen, 1, CARD).values
        in_ram = values is not None and values.device.type == "cpu"
        assert in_ram if name == "SHARE_OF_GPU" else values is None
        assert files(run_with(chosen, tag=name)) == expected
