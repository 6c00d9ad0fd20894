from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.preprocessing import StandardScaler

from featurestack import ridge

RNG = np.random.default_rng(0)
CLIPS, BLOCKS = 60, [2, 3]
X = RNG.normal(size=(CLIPS, 5)) * [1, 10, 0.1, 5, 1]
Y = RNG.integers(0, 3, CLIPS)
GROUPS = RNG.integers(0, 20, CLIPS)
COUNTS = np.array([1.0, 2.0, 0.5])[Y]
STRENGTH = 1e-3


def standardised():
    return ridge.standardisation(X, BLOCKS).of(X)


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
    (weighted,) = ridge.kernels_of([kernel], z, COUNTS)
    root = np.sqrt(COUNTS)[:, None]
    _, errors = weighted.solve(root * targets, CLIPS * STRENGTH, groups)
    answers = targets - errors / root
    single = len(set(groups)) == 1
    for group in range(CLIPS) if single else np.unique(groups):
        out = np.arange(CLIPS) == group if single else groups == group
        penalty = np.diag(CLIPS * STRENGTH / COUNTS[~out])
        kernel_of_rest = products[np.ix_(~out, ~out)] + 1
        dual = np.linalg.solve(kernel_of_rest + penalty, targets[~out])
        expected = (products[np.ix_(out, ~out)] + 1) @ dual
        np.testing.assert_allclose(answers[out], expected, atol=1e-9)


@pytest.mark.parametrize("name", [ridge.PLAIN, ridge.MIXED])
def test_answers_without_a_class_are_those_of_a_refit(name, monkeypatch):
    monkeypatch.setattr(ridge, "SURE", 0.6)
    z, targets = standardised(), np.eye(3)[Y]
    kernels = ridge.kernels_of([name], z, COUNTS)
    # loss, factor, offset, dual and answers; only the factor counts
    choice = ridge._Solution(name, STRENGTH, 0.0, 4.0, 0.0, None, None)
    kept = np.arange(CLIPS) % 5 > 0  # the others are altered copies
    foreign = ridge.sure_without_class(kernels, choice, targets, COUNTS, kept)
    products = kernels[0].products
    if kernels[0].inputs is not None:
        products = kernels[0].inputs @ kernels[0].inputs.T
    root = np.sqrt(COUNTS)
    expected = np.zeros((3, 3))
    for left_out in range(3):
        out = left_out == Y
        rest = products[np.ix_(~out, ~out)] + CLIPS * STRENGTH * np.eye(sum(~out))
        dual = np.linalg.solve(rest, root[~out, None] * targets[~out])
        answers = products[np.ix_(out, ~out)] @ dual / root[out, None]
        for clip in np.flatnonzero(kept[out]):
            others = np.delete(np.arange(3), left_out)
            probability = softmax(4 * answers[clip, others])
            sure = probability.max() >= 0.6
            answered = others[probability.argmax()] if sure else left_out
            expected[left_out, answered] += 1
    np.testing.assert_array_equal(foreign, expected)
    assert 0 < np.trace(foreign) < foreign.sum() == sum(kept)


def test_a_copy_of_another_class_is_answered_as_that_class():
    centres = 8 * np.eye(4)[[0, 1, 2, 2]]
    x = RNG.normal(size=(80, 4)) + centres[np.arange(80) % 4]
    fit = partial(ridge.fit, blocks=[4], groups=np.arange(80), foreign=True)
    foreign = fit(x, np.arange(80) % 4, 5).foreign  # one class has no clips
    assert foreign[2, 3] > 15 < foreign[3, 2] and foreign.sum() == 80
    assert foreign[4].sum() == foreign[:, 4].sum() == 0
    assert fit(x, np.arange(80) % 2, 2).foreign.shape == (0, 0)
    assert fit(x, np.eye(4, dtype=bool)[np.arange(80) % 4], 4).foreign.shape == (0, 0)


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


@pytest.mark.parametrize("numbers", [4, ridge.SINGLE + 1])
def test_a_channel_that_one_new_clip_wakes_moves_its_logits_little(numbers):
    x = RNG.normal(size=(CLIPS, numbers))
    x[:, 0] += 3 * Y
    x[:, 1] = 0
    x[0, 1] = 1e-3
    model = ridge.fit(x, Y, 3, [numbers], np.arange(CLIPS))
    woken = x[1:4].copy()
    woken[:, 1] = 1e6
    assert np.abs(model.logits(woken) - model.logits(x[1:4])).max() < 20


def test_single_precision_answers_as_double(monkeypatch):
    x = RNG.normal(size=(CLIPS, 300)) + np.eye(300)[Y]
    logits = [ridge.fit(x, Y, 3, [300], np.arange(CLIPS)).logits(x)]
    monkeypatch.setattr(ridge, "SINGLE", 100)
    logits.append(ridge.fit(x, Y, 3, [300], np.arange(CLIPS)).logits(x))
    assert np.abs(np.diff(softmax(logits, axis=2), axis=0)).max() < 3e-5


def test_a_class_with_one_recording_chooses_nothing():
    targets = np.eye(3)[[0, 0, 1, 1, 2]]
    others = ridge.has_others(targets, np.array(["a", "b", "c", "c", "d"]))
    assert others.tolist() == [True, True, False, False, False]


def test_of_many_clips_the_strength_is_found_without_trying_every_one(monkeypatch):
    """Twenty numbers want a strong penalty, four a weak one."""
    rng = np.random.default_rng(0)
    y = np.arange(CLIPS) % 3
    for numbers in (4, 20, 80):
        x = rng.normal(size=(CLIPS, numbers))
        x[:, :3] += np.eye(3)[y]
        fits = []
        for every in (CLIPS, 0):
            monkeypatch.setattr(ridge, "EVERY", every)
            fits.append(ridge.fit(x, y, 3, [numbers], np.arange(CLIPS)).logits(x))
        assert np.array_equal(*fits)


def test_one_clip_of_each_class_is_enough_for_a_model():
    means = 3 * RNG.normal(size=(8, 40))
    new = np.repeat(np.arange(8), 20)
    model = ridge.fit(means, np.arange(8), 8, [40], np.arange(8))
    answers = model.logits(means[new] + RNG.normal(size=(160, 40))).argmax(axis=1)
    assert (answers == new).mean() > 0.9


def test_few_clips_with_thousands_of_numbers_have_the_plain_kernel():
    assert ridge.names_of_kernels(np.zeros((2, ridge.MOST + 1))) == [ridge.PLAIN]


def test_more_clips_than_fit_into_half_of_the_memory_have_the_plain_kernel(
    monkeypatch, capsys
):
    x = np.zeros((60, 5))
    assert ridge.names_of_kernels(x) == [ridge.PLAIN, ridge.MIXED]
    memory = SimpleNamespace(total=2 * ridge.COPIES * 8 * 59**2)
    monkeypatch.setattr(ridge, "virtual_memory", lambda: memory)
    assert ridge.names_of_kernels(x) == [ridge.PLAIN]
    assert "60 training clips are too many for a kernel" in capsys.readouterr().err
    assert ridge.names_of_kernels(x[:59]) == [ridge.PLAIN, ridge.MIXED]


@pytest.mark.parametrize("clips", [2, 60, 333])
def test_means_and_deviations_are_scikit_learns_to_the_bit(clips):
    random = np.random.default_rng(0)
    x = random.normal(size=(clips, 40)) * 10 ** random.uniform(-3, 3, 40) + 50
    x[:, 0] = 7.3
    scaler = StandardScaler().fit(x)
    mean, scale = ridge.means_and_deviations(x)
    assert np.array_equal(mean, scaler.mean_) and np.array_equal(scale, scaler.scale_)
