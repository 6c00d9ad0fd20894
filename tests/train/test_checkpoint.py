"""last.pt and best.pt: a flipped bit and weights that are not finite are refused."""

import io
import random

import pytest
import torch

from featurestack.base.errors import RequestError
from featurestack.train import checkpoint
from tests.refusal import refused


def saved(file):
    """The loaded content as bytes."""
    torch.save(checkpoint.load_checkpoint(file), buffer := io.BytesIO())
    return buffer.getvalue()


def state(**changes):
    head = torch.linspace(-1, 1, 24).reshape(3, 8)
    network = {"scale": torch.linspace(1, 2, 8), "head.weight": head}
    statistics = [{"centre": [0.0, 1.0], "scale": [1.0, 2.0]}]
    known = {"fold": 1, "epoch": 1, "rows": ["1,0.1"]}
    return known | {"network": network, "statistics": statistics} | changes


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
            assert str(error).startswith(
                f"{file} cannot be read"
            ) and "train again" in str(error)
            named += 1
    assert named > 60  # a file this small is mostly padding


def of(tensor):
    return state(network={"head": tensor})


REFUSED = {
    "damaged, of another kind, or holds more than data": (
        b"",
        b"# notes",
        b"PK\x03\x04 and no more",
    ),
    "not a fold's checkpoint": (
        [],
        {"layer.weight": torch.zeros(1)},
        {"network": {}, "rows": []},
    ),
    "'head' holds numbers that are not finite": (
        *(of(torch.tensor([1, bad])) for bad in (float("nan"), float("inf"))),
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_no_sound_checkpoint_of_the_fold_is_refused(tmp_path, reason):
    file = tmp_path / "last.pt"
    for content in REFUSED[reason]:
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            checkpoint.save(file, content)
        with refused(reason):
            checkpoint.load_checkpoint(file)
