"""How the default was chosen: what two answers get side by side."""

import numpy as np

from bench.choosing import INGREDIENTS, PAIR, SHARES, shares, slug, summary


def test_no_share_is_the_network_and_the_whole_share_the_texture() -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 5, 200)
    network, texture = (rng.dirichlet(np.ones(5), 200).astype(np.float32) for _ in range(2))
    texture[np.arange(200), targets] += 1
    texture /= texture.sum(axis=1, keepdims=True)
    apart = {0.0: summary([(network, targets)]), 1.0: summary([(texture, targets)])}
    for share, accuracy, loss in shares([(network, targets)], [(texture, targets)]):
        if float(share) in apart:
            assert (accuracy, loss) == (apart[float(share)][0], apart[float(share)][2])
    assert {0, 1} < set(SHARES)


def test_ingredients_are_told_apart_by_their_words_on_the_command_line() -> None:
    assert set(PAIR) < set(INGREDIENTS)
    assert len({slug(label) for label in INGREDIENTS}) == len(INGREDIENTS)
