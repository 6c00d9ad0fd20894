"""Invariants of every augmentation, and how a list of them is written."""

import pytest
import torch

from commandline import RequestError
from train.augment import AUGMENTS, Augmenter, augment, parse

IMAGE_AXES = ("frequency", "none", "cyclic")
CASES = [(name, kind) for name, entry in AUGMENTS.items() for kind in entry.kinds]


def batch(kind: str, clips: int = 6) -> tuple[torch.Tensor, torch.Tensor, tuple[str, ...]]:
    generator = torch.Generator().manual_seed(5)
    shape, axes = ((3, 64, 108), IMAGE_AXES) if kind == "image" else ((1, 1, 4000), ("wave",))
    return torch.randn(clips, *shape, generator=generator), torch.eye(clips), axes


def apply(text: str, kind: str, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    x, y, axes = batch(kind)
    return parse(text, kind)(x, y, axes, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_is_a_pure_function_of_batch_and_generator(name, kind):
    x, y, axes = batch(kind)
    kept = x.clone(), y.clone()
    torch.manual_seed(1)
    first = parse(name, kind)(x, y, axes, torch.Generator().manual_seed(0))
    torch.manual_seed(2)
    second = parse(name, kind)(x, y, axes, torch.Generator().manual_seed(0))
    assert torch.equal(x, kept[0]) and torch.equal(y, kept[1])
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_changes_clips_and_not_each_time_alike(name, kind):
    x, _, _ = batch(kind)
    one, two = apply(name, kind, seed=1), apply(name, kind, seed=2)
    assert one[0].shape != x.shape or not torch.equal(one[0], x)
    assert not torch.equal(one[0], two[0])


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_strength_nought_changes_nothing(name, kind):
    x, y, _ = batch(kind)
    after = apply(f"{name}=0", kind)
    assert torch.allclose(after[0], x, atol=1e-6) and torch.allclose(after[1], y)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_class_shares_stay_shares_and_values_finite(name, kind):
    x, y = apply(f"{name}={AUGMENTS[name].most}", kind)
    assert torch.allclose(y.sum(1), torch.ones(len(y)))
    assert y.min() >= 0
    assert x.isfinite().all()


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_keeps_half_precision(name, kind):
    x, y, axes = batch(kind)
    assert parse(name, kind)(x.bfloat16(), y, axes, torch.Generator())[0].dtype == torch.bfloat16


def test_a_list_is_applied_in_order_and_written_out_canonically():
    text = "crop=48x100,mask=0.1,mix=0.4"
    augmenter = parse(text)
    assert str(augmenter) == text
    assert parse(str(parse("mask, shift"))) == parse("mask,shift")
    x, y, axes = batch("image")
    generator = torch.Generator().manual_seed(3)
    step_by_step = x, y
    for step in augmenter.steps:
        step_by_step = Augmenter((step,))(*step_by_step, axes, generator)
    at_once = augmenter(x, y, axes, torch.Generator().manual_seed(3))
    assert torch.equal(at_once[0], step_by_step[0]) and torch.equal(at_once[1], step_by_step[1])


@pytest.mark.parametrize("text", ["", "none"])
def test_none_hands_the_batch_back(text):
    x, y, axes = batch("image")
    assert parse(text)(x, y, axes, torch.Generator()) == (x, y)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("maks", "image", "did you mean 'mask'"),
        ("mask=2", "image", "expected a strength from 0 to 1"),
        ("mask=often", "image", "expected a strength"),
        ("crop=0x5", "image", "or a size as 100x384"),
        ("polarity", "image", "no augmentation for this model"),
        ("pitch", "wave", "these are: .*polarity"),
        ("mix", "linear", "these are: none"),
    ],
)
def test_a_wrong_list_says_what_would_do(text, kind, message):
    with pytest.raises(RequestError, match=message):
        parse(text, kind)


def test_a_second_one_of_the_same_name_is_refused():
    def mask(batch, strength, generator):
        """Another."""

    with pytest.raises(ValueError, match="registered twice"):
        augment(default=1, most=1)(mask)
