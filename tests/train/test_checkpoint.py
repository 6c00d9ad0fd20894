"""last.pt and best.pt: a flipped bit and weights that are not finite are refused."""

import io
import random

import pytest
import torch

from commandline.errors import RequestError
from tests.refusal import refused
from train import checkpoint


def saved(file):
    """The loaded content as bytes."""
    torch.save(checkpoint.load(file), buffer := io.BytesIO())
    return buffer.getvalue()


def state():
    network = {"scale": torch.linspace(1, 2, 8), "head.weight": torch.linspace(-1, 1, 24).reshape(3, 8)}
    statistics = [{"norm": "row", "centre": [0.0, 1.0], "scale": [1.0, 2.0]}]
    return {"fold": 1, "epoch": 1, "rows": ["1,0.1"], "network": network, "statistics": statistics}


def test_a_flipped_bit_anywhere_is_named_or_changes_nothing(tmp_path):
    file = tmp_path / "last.pt"
    rng = random.Random(0)
    checkpoint.save(file, state())
    whole = file.read_bytes()
    sound = saved(file)
    named = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        file.write_bytes(damaged)
        try:
            assert saved(file) == sound
        except RequestError as error:
            assert str(error).startswith(f"{file} cannot be read") and "train again" in str(error)
            named += 1
    assert named > 60  # a file this small is mostly padding


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path, number):
    broken = state()
    broken["network"]["head.weight"][1, 2] = number
    checkpoint.save(tmp_path / "last.pt", broken)
    with refused(r"'head.weight' holds numbers that are not finite"):
        checkpoint.load(tmp_path / "last.pt")


@pytest.mark.parametrize(
    "content",
    [
        *([], {"layer.weight": torch.zeros(1)}, {"network": {}, "statistics": [], "rows": []}),
        *(b"", b"# notes", b"PK\x03\x04 and no more"),
    ],
)
def test_a_file_of_something_else_is_refused_in_words_of_ours(tmp_path, content):
    file = tmp_path / "last.pt"
    if isinstance(content, bytes):
        file.write_bytes(content)
        reason = r"\(it is damaged, of another kind, or holds more than data\)"
    else:
        torch.save(content, file)
        reason = "no checkpoint of a fold"
    with refused(reason):
        checkpoint.load(file)


def test_weights_of_another_fold_are_refused(tmp_path):
    (tmp_path / "fold2").mkdir()
    checkpoint.save(tmp_path / "fold2" / "last.pt", state())
    with refused(r"fold2/last.pt cannot be read as weights \(it is of fold 1\)"):
        checkpoint.load(tmp_path / "fold2" / "last.pt")
