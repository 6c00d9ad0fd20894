import numpy as np
import pytest

from featurestack.linear import ridge

RNG = np.random.default_rng(0)
CLIPS, BLOCKS = 60, [2, 3]
X = RNG.normal(size=(CLIPS, 5)) * [1, 10, 0.1, 5, 1]
Y = RNG.integers(0, 3, CLIPS)
GROUPS = RNG.integers(0, 20, CLIPS)
COUNTS = np.array([1.0, 2.0, 0.5])[Y]
STRENGTH = 1e-3


def standardised():
    mean, scale = ridge.standardisation(X, BLOCKS)
    return (X - mean) / scale


def test_blocks_weigh_alike():
    squares = (standardised() ** 2).mean(axis=0)
    np.testing.assert_allclose([squares[:2].sum(), squares[2:].sum()], 0.5)


@pytest.mark.parametrize("kernel", [ridge.PLAIN, ridge.MIXED])
@pytest.mark.parametrize("groups", [GROUPS, np.zeros(CLIPS)])
def test_answers_without_a_recording_are_those_of_a_refit(kernel, groups):
    z = standardised()
    targets = np.eye(3)[Y]
    products = z @ z.T
    if kernel == ridge.MIXED:
        distances = ((z[:, None] - z) ** 2).sum(axis=2)
        products = (products + np.exp(-distances)) / 2
    spectrum = ridge.spectra([kernel], z, COUNTS)[kernel]
    answers = ridge.left_out(spectrum, targets, COUNTS, STRENGTH, groups)
    single = len(set(groups)) == 1
    for group in range(CLIPS) if single else np.unique(groups):
        out = np.arange(CLIPS) == group if single else groups == group
        penalty = np.diag(CLIPS * STRENGTH / COUNTS[~out])
        kernel_of_rest = products[np.ix_(~out, ~out)] + 1
        dual = np.linalg.solve(kernel_of_rest + penalty, targets[~out])
        expected = (products[np.ix_(out, ~out)] + 1) @ dual
        np.testing.assert_allclose(answers[out], expected, atol=1e-9)


def test_classes_on_a_ring_need_the_mixed_kernel():
    angles = RNG.uniform(0, 2 * np.pi, 200)
    radii = np.repeat([1, 3], 100)
    x = np.column_stack([radii * np.cos(angles), radii * np.sin(angles)])
    inner = np.repeat([0, 1], 100)
    model = ridge.fit(x, inner, 2, [2], np.arange(200))
    assert len(model.support) == 200
    assert (model.logits(x).argmax(axis=1) == inner).all()


def test_a_class_without_clips_is_never_predicted():
    model = ridge.fit(X, Y, 4, BLOCKS, GROUPS)
    assert (model.logits(X)[:, 3] < -500).all()


def test_labels_that_every_clip_or_none_has_are_certain():
    labels = np.column_stack([X[:, 0] > 0, np.ones(CLIPS, bool), np.zeros(CLIPS, bool)])
    logits = ridge.fit(X, labels, 3, BLOCKS, GROUPS).logits(X)
    assert ((logits[:, 0] > 0) == labels[:, 0]).mean() > 0.8
    assert (logits[:, 1] > 500).all()
    assert (logits[:, 2] < -500).all()


def test_weights_raise_rare_classes():
    rare = (X[:, 0] > 10 * RNG.uniform(size=CLIPS)).astype(int)
    rare[:4] = 1
    plain = ridge.fit(X, rare, 2, BLOCKS, GROUPS)
    raised = ridge.fit(X, rare, 2, BLOCKS, GROUPS, class_weights=np.array([0.5, 5.0]))
    log_odds = [np.diff(model.logits(X)).mean() for model in (plain, raised)]
    assert log_odds[1] > log_odds[0]


def test_a_strength_at_the_end_of_the_grid_is_told(capsys):
    noise = RNG.normal(size=(CLIPS, 5))
    ridge.fit(noise, RNG.integers(0, 3, CLIPS), 3, [5], np.arange(CLIPS))
    assert "at the end of those that are tried" in capsys.readouterr().err


def test_few_clips_with_thousands_of_numbers_have_the_plain_kernel():
    assert ridge.kernels(np.zeros((2, ridge.MOST + 1))) == [ridge.PLAIN]
