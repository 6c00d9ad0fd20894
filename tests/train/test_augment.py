"""Invariants of every augmentation, its effect on a known clip, and the text of a list
of them.
"""

import pytest
import torch

from featurestack.train.augment import (
    AUGMENTS,
    Augmenter,
    ChannelProperties,
    parse_augment,
)

IMAGE_AXES = ("frequency", "none", "cyclic")
CASES = [(name, kind) for name, entry in AUGMENTS.items() for kind in entry.kinds]


def described(axes):
    """Channels of spectra (a decibel is 0.05) and waveforms (amplitudes)."""
    level = torch.tensor([[0.05 * (axis == "frequency")] for axis in axes])
    amplitude = torch.tensor([[float(axis == "wave")] for axis in axes])
    loudness = torch.stack([level, amplitude, torch.zeros(len(axes), 1)])
    return ChannelProperties(axes, loudness[:, None, :, :, None])


def clips(kind):
    shape = (3, 64, 108) if kind == "image" else (1, 1, 4000)
    return torch.randn(6, *shape, generator=torch.Generator().manual_seed(5))


def run(text, x, axes=IMAGE_AXES, kind="image", seed=0):
    generator = torch.Generator().manual_seed(seed)
    y = torch.eye(len(x))
    after = parse_augment(text, kind)(x, y, described(axes), generator)
    assert torch.equal(y, torch.eye(len(x)))
    return after


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_is_a_pure_function_of_batch_and_generator(name, kind):
    x = clips(kind)
    axes = IMAGE_AXES if kind == "image" else ("wave",)
    before = x.clone()
    torch.manual_seed(1)
    first = run(name, x, axes, kind)
    torch.manual_seed(2)
    assert all(map(torch.equal, first, run(name, x, axes, kind)))
    assert first[0].shape != x.shape or not torch.equal(first[0], x)
    assert not torch.equal(first[0], run(name, x, axes, kind, seed=1)[0])
    assert run(name, x.bfloat16(), axes, kind)[0].dtype == torch.bfloat16
    assert torch.equal(x, before)  # its input is unchanged
    after, targets = run(f"{name}=0", x, axes, kind)
    assert torch.allclose(after, x, atol=1e-6) and torch.equal(targets, torch.eye(6))
    after, targets = run(f"{name}={AUGMENTS[name].maximum}", x, axes, kind)
    assert after.isfinite().all() and targets.min() >= 0
    assert torch.allclose(targets.sum(1), torch.ones(6))


def test_a_list_is_applied_in_order_and_written_out_canonically():
    text = "shift=0.5,mask=0.1,mixup=0.4"
    augmenter = parse_augment(text)
    assert str(augmenter) == text
    assert parse_augment("") == parse_augment("none") == Augmenter()
    x = clips("image")
    y = torch.eye(6)
    generator = torch.Generator().manual_seed(3)
    at_once = run(text, x, seed=3)
    for step in augmenter.steps:
        x, y = Augmenter((step,))(x, y, described(IMAGE_AXES), generator)
    assert all(map(torch.equal, at_once, (x, y)))


def ramp(clips=4):
    """Each value is 1000 * row + frame, in three equal channels."""
    place = 1000.0 * torch.arange(64)[:, None] + torch.arange(108)
    return place.expand(clips, 3, 64, 108).clone()


def test_shift_rolls_all_channels_of_a_clip_alike():
    x = ramp()
    after = run("shift", x)[0]
    offsets = set()
    for before, clip in zip(x, after):
        offset = int(clip[0, 0, 0])
        offsets.add(offset)
        assert torch.equal(clip, before.roll(-offset, dims=2))
    assert len(offsets) > 1


def test_channels_whose_columns_are_not_time_stay_in_time():
    x = clips("image")
    channels = described(IMAGE_AXES)._replace(timed=(True, False, True))
    for name in ("shift", "timemask"):
        generator = torch.Generator().manual_seed(0)
        after, _ = parse_augment(name)(x, torch.eye(6), channels, generator)
        assert torch.equal(after[:, 1], x[:, 1]), name
        assert not torch.equal(after[:, 0], x[:, 0]), name


def test_masks_set_bands_to_the_mean_and_spare_rows_that_are_no_frequencies():
    gone = run("mask=0.3", torch.ones(50, 3, 64, 108))[0] == 0
    frames = gone.all(dim=2)
    rows = gone.all(dim=3)  # (B, C, W), (B, C, H)
    assert torch.equal(frames, frames[:, :1].expand_as(frames))
    assert not rows[:, 1].any() and torch.equal(rows[:, 0], rows[:, 2])
    assert 0 < rows[:, 0].sum(1).max() <= 2 * 0.3 * 64 + 2
    assert 0 < frames[:, 0].sum(1).max() <= 2 * 0.3 * 108 + 2


def test_mixup_weighs_targets_as_values():
    # clip i is 1 in channel i
    x = torch.eye(6)[:, :, None, None].expand(6, 6, 64, 100).clone()
    axes = ("none",) * 6
    after, targets = run("mixup=0.5", x, axes)
    assert torch.allclose(after.mean((2, 3)), targets, atol=1e-5)
    assert targets.diagonal().min() >= 0.5 - 1e-5
    assert targets.diagonal().max() > targets.diagonal().min()
