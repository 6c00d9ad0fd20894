"""Two networks side by side: the answer, the weights drawn, checkpoints of before."""

from pathlib import Path

import pytest
import torch

from train.checkpoint import load_weights
from train.models.registry import build


@pytest.mark.parametrize(
    ("name", "weight"), [("cnn4+texture", 0.75), ("cnn4+texture@weight=0.3", 0.3), ("texture+cnn4", 0.5)]
)
def test_members_answer_apart_in_training_and_together_in_evaluation(name: str, weight: float) -> None:
    network = build(name, 2, 5, (64, 108))
    x = torch.randn(4, 2, 64, 108)
    assert network(x).shape == (4, 2, 5)
    network.eval()
    wanted = (1 - weight) * network.first(x) + weight * network.second(x)
    torch.testing.assert_close(network(x), wanted)


def test_the_first_member_starts_from_the_weights_that_it_has_alone() -> None:
    alone, ensemble = (
        build(name, 1, 3, (64, 108), generator=torch.Generator().manual_seed(3))
        for name in ("cnn4", "cnn4+texture")
    )
    assert all(map(torch.equal, alone.state_dict().values(), ensemble.first.state_dict().values()))


def test_a_checkpoint_of_before_fits() -> None:
    """Its members were called network and texture."""
    network, other = build("cnn4+texture", 1, 3, (64, 108)), build("cnn4+texture", 1, 3, (64, 108))
    former = {
        name.replace("first.", "network.", 1).replace("second.", "texture.", 1): value
        for name, value in network.state_dict().items()
    }
    assert any(name.startswith("texture.norm") for name in former)
    load_weights(other, former, Path("last.pt"))
    assert all(map(torch.equal, network.state_dict().values(), other.state_dict().values()))
