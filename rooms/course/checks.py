"""Checks of the course: `check("tone", answer)` passes, or says what to look at without
the answer.

A wrong or missing answer raises NotYet, which a notebook shows as one sentence.
`reveal(prediction, found)` prints a prediction beside the result.
"""

import re
from collections.abc import Callable
from itertools import pairwise
from math import comb
from typing import Any

import numpy as np
import pandas as pd
from scipy.fft import dct
from sklearn.metrics import f1_score

import featurestack as fs
from featurestack.commandline.registry import Registry
from featurestack.features_cache import Cache

CHECKS: Registry[Callable[..., str]] = Registry("check")
RATE = 22_050  # Hz, of `_noise`


class NotYet(AssertionError):
    """An answer that is missing or wrong; Jupyter shows the sentence without a
    traceback.
    """

    def _render_traceback_(self) -> list[str]:
        return [f"Not yet: {self}"]


def check(name: str, *answers: Any) -> None:
    """Check the answers to a question; NotYet says what to look at if they are wrong.

    check("frames", frames)
    """
    if any(map(_open, answers)):
        raise NotYet("there is no answer here: put one where ... stands")
    print(f"Right. {CHECKS[name](*answers)}")


def answered(name: str, *answers: Any) -> None:
    """Say nothing if the answers to an earlier question are right; else NotYet, so that
    a cell that uses them does not fail in another way.

    answered("fisher", fisher)
    """
    if any(map(_open, answers)):
        raise NotYet(f"this cell uses the answer to {name!r}: give it first")
    CHECKS[name](*answers)


def reveal(prediction: Any, found: Any, unit: str = "") -> None:
    """Print a prediction beside the result; NotYet if there is no prediction. A wrong
    one is no error.

    Lists and dictionaries are compared item by item. An item of `found` that is a list
    holds several results that are equally right.

    reveal(0.5, 0.82)    # you predicted 0.5, found: 0.82
    """
    if _open(prediction):
        raise NotYet(
            "write a prediction first; a wrong one costs nothing, and you will"
            " remember it"
        )
    if isinstance(prediction, dict):
        pairs = [
            (f"{key}: ", prediction.get(key, "nothing"), value)
            for key, value in found.items()
        ]
    elif isinstance(prediction, list):
        pairs = [
            (f"{number}: ", *pair)
            for number, pair in enumerate(zip(prediction, found), 1)
        ]
    else:
        pairs = [("", prediction, found)]
    for name, predicted, value in pairs:
        print(
            f"{name}you predicted {_shown(predicted)}{unit}, found:"
            f" {_shown(value)}{unit}"
        )
    if len(pairs) > 1 and not isinstance(pairs[0][-1], float):
        right = sum(
            predicted in value if isinstance(value, list) else predicted == value
            for _, predicted, value in pairs
        )
        print(f"{right} of {len(pairs)} as predicted")


def _open(answer: Any) -> bool:
    """Whether `...` still stands in an answer."""
    if isinstance(answer, dict):
        return any(map(_open, answer.values()))
    return answer is ... or (
        isinstance(answer, list | tuple | set) and any(one is ... for one in answer)
    )


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " or ".join(map(_shown, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _need(holds: Any, message: str) -> None:
    if not holds:
        raise NotYet(message)


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    """The function's return value; NotYet while it is `...`."""
    given = function(*arguments)
    _need(not _open(given), f"{function.__name__} still returns ...")
    return given


def _values(given: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
    """An answer as an array of the shape that it must have."""
    _need(
        np.shape(given) == shape,
        f"{what}: expected the shape {shape}, got {np.shape(given)}",
    )
    return np.asarray(given, dtype=float)


def _noise(seed: int, seconds: float = 1.0) -> fs.Clip:
    """Noise that comes and goes, so that its frames differ."""
    samples = np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE))
    swell = 1 + np.sin(np.linspace(0, 9, len(samples)))
    return fs.Clip((samples * swell).astype(np.float32), RATE)


# 1 Listen and look


@CHECKS.register("tone")
def check_tone(peak_hertz: Callable[..., float]) -> str:
    for pitch in (220, 1000, 5000):
        shown = fs.compute(fs.tone(pitch), "stft")
        found = _call(peak_hertz, shown.values, shown.rows)
        _need(np.ndim(found) == 0, "one number is expected, for the tone as a whole")
        _need(
            abs(found - pitch) < 22, f"a tone of {pitch} Hz was found at {found:.0f} Hz"
        )
    return (
        "It can be wrong by half a row at most: rows lie sample rate / n_fft = 21.5 Hz"
        " apart."
    )


@CHECKS.register("frames")
def check_frames(frames: Callable[[int, int], int]) -> str:
    for seconds, hop in ((1.0, 512), (0.5, 441), (0.01, 512)):
        clip = fs.tone(440, seconds)
        given = _call(frames, len(clip.y), hop)
        true = fs.compute(clip, f"rms@hop_length={hop}").values.shape[1]
        _need(
            given == true,
            f"{len(clip.y)} samples, hop {hop}: {given} is not librosa's number of"
            " frames",
        )
    return (
        "The window's length does not matter, because frames are centred and the ends"
        " are padded."
    )


@CHECKS.register("harmonic share")
def check_harmonic_share(share: Callable[..., float]) -> str:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=500), rng.normal(size=500)
    _need(
        abs(_call(share, a, 0 * b) - 1) < 1e-6,
        "without a percussive part the share is 1",
    )
    _need(abs(_call(share, 0 * a, b)) < 1e-6, "without a harmonic part the share is 0")
    halves = _call(share, 3 * a, a)
    _need(
        halves > 0.8,
        "energy is the sum of squares: 3 times the amplitude gave a share of"
        f" {halves:.2f}",
    )
    _need(
        abs(halves - 0.9) < 1e-6,
        f"compare with the sum of both energies: the share is not {halves:.3f}",
    )
    return (
        "The two parts add up to nearly the whole clip; their energies do so only"
        " roughly."
    )


# 2 Describe


@CHECKS.register("loudness")
def check_loudness(unchanged: set[str]) -> str:
    loud = fs.tone(440)
    softer = fs.alter(loud, "gain(db=-6.02)")
    _need(
        isinstance(unchanged, set), "a set of names is expected, such as {'rms', 'mel'}"
    )
    for name in ("rms", "zcr", "centroid", "mel", "chroma"):
        before, after = (fs.compute(clip, name).values for clip in (loud, softer))
        same = bool(np.abs(before - after).max() <= 0.01 * np.abs(before).max())
        _need((name in unchanged) == same, f"look at {name} again, before and after")
    return (
        "What does not change with loudness does not change with the distance of a"
        " microphone either."
    )


@CHECKS.register("centroid")
def check_centroid(centroid: Callable[..., np.ndarray]) -> str:
    for seed in (1, 2):
        clip = _noise(seed)
        shown = fs.compute(clip, "stft")
        magnitude = 10 ** (shown.values / 20)
        true = fs.compute(clip, "centroid").values[0]
        mine = _values(
            _call(centroid, magnitude, shown.rows),
            true.shape,
            "centroid, one value a frame",
        )
        _need(
            np.allclose(mine, true, rtol=0.02),
            "the weights are the magnitudes of the same frame",
        )
    return (
        "It is the balance point of the spectrum, the number closest to what people"
        " call brightness."
    )


@CHECKS.register("mfcc")
def check_mfcc(mfcc: Callable[[np.ndarray], np.ndarray]) -> str:
    mel = fs.compute(_noise(3), "mel").values
    true = fs.compute(_noise(3), "mfcc").values
    mine = _values(_call(mfcc, mel), true.shape, "mfcc (coefficients, frames)")
    if np.allclose(mine, dct(mel, type=2, axis=0)[: len(true)]):
        raise NotYet(
            "the transform is to be orthonormal: see the option norm of scipy.fft.dct"
        )
    _need(
        np.allclose(mine, true, atol=1e-3 * np.abs(true).max()),
        "transform the rows of each frame",
    )
    return (
        "An MFCC matrix holds nothing that the mel spectrogram does not: it is a linear"
        " transform of it."
    )


@CHECKS.register("fisher")
def check_fisher(fisher: Callable[..., np.ndarray]) -> str:
    labels = np.array(["a", "a", "b", "b"])
    x = np.array([[0.0, 5.0], [2.0, 1.0], [10.0, 3.0], [12.0, 3.0]])
    mine = _values(_call(fisher, x, labels), (2,), "fisher, one ratio a column")
    _need(
        mine[1] == 0,
        "the second column has the same mean in both classes: nothing lies between"
        " them",
    )
    _need(mine[0] > 20, "divide by the mean of the variances within the classes")
    _need(
        np.allclose(mine, [25.0, 0.0]),
        "variances here are divided by n, as np.var does",
    )
    more = (
        np.random.default_rng(0).normal(size=(30, 4)) + 2 * (np.arange(30) % 3)[:, None]
    )
    once, twice = (_call(fisher, factor * more, np.arange(30) % 3) for factor in (1, 2))
    _need(
        np.allclose(once, twice),
        "a ratio of variances does not change with the unit of the values",
    )
    return (
        "It judges one row at a time, and means only: keep in mind what that leaves"
        " out."
    )


# 3 Cache and train


@CHECKS.register("variant")
def check_variant(name: str) -> str:
    clip = _noise(4)
    shown = fs.compute(clip, name)
    bands, frames = shown.values.shape
    _need(
        frames == 1 + len(clip.y) // 441,
        f"{name} has {frames} frames a second: the hop is 441 samples",
    )
    _need(bands == 32, f"{name} has {bands} rows")
    _need(
        np.allclose(shown.rows, fs.compute(clip, "mel@n_mels=64").rows[:32]),
        "the lowest 32 of 64 bands",
    )
    return (
        "A variant is cached beside the plain feature, and neither replaces the other."
    )


@CHECKS.register("bytes")
def check_bytes(size: Callable[[int, int, int], int]) -> str:
    given = _call(size, 2000, 128, 431)
    _need(given != 2000 * 128 * 431 * 4, "values are stored as float16")
    _need(
        given == 2000 * 128 * 431 * 2, f"2,000 clips of 128 x 431 are not {given} bytes"
    )
    _need(_call(size, 3, 5, 7) == 210, "the function has to use all three numbers")
    return "That is mel of all of ESC-50, in one file of about 220 MB."


@CHECKS.register("row means")
def check_row_means(row_means: Callable[[str], np.ndarray], cache: Cache) -> str:
    for feature in ("mel", "chroma"):
        mine = _values(
            _call(row_means, feature),
            (len(cache.clips), cache[feature].rows),
            f"means of {feature}",
        )
        for place in (0, len(cache.clips) - 1):
            row = cache.clips.iloc[place]
            clip = fs.read(row["path"], cache.sample_rate, cache.duration)
            true = fs.compute(clip, feature).values.mean(axis=1)
            close = np.allclose(mine[place], true, atol=0.02 * np.abs(true).max())
            _need(
                close,
                f"{feature} of {row['clip_id']}: mean over frames? order of"
                " cache.clips?",
            )
    return "No audio was decoded for it: the values came from the files in the cache."


@CHECKS.register("leaked")
def check_leaked(leaked: Callable[[pd.DataFrame, pd.DataFrame], set[str]]) -> str:
    table = pd.DataFrame(
        {"group": [str(number // 3) for number in range(30)]}, index=range(100, 130)
    )
    apart = _call(leaked, table[:15], table[15:])
    _need(apart == set(), f"here no recording is on both sides, but {apart} was found")
    mixed = _call(leaked, table[:10], table[10:])
    _need(
        mixed == {"3"},
        f"here one recording was cut in two, but {mixed or 'none'} was found",
    )
    _need(
        len(_call(leaked, table[::2], table[1::2])) == 10,
        "with every second clip on a side, not all were found",
    )
    return "Every training here leaves such clips out and says how many."


@CHECKS.register("accuracy")
def check_accuracy(accuracy: Callable[..., float], run: Any) -> str:
    rows = run.predictions(run.finished[0])
    target = rows.target.to_numpy()
    sure = pd.DataFrame(
        {name: (target == name).astype(float) for name in run.classes}
    ).assign(target=target)
    _need(
        abs(_call(accuracy, sure, run.classes) - 1) < 1e-9,
        "if every prediction is right, accuracy is 1",
    )
    wrong = sure.assign(target=np.roll(target, len(target) // 2))
    true = float(np.mean(np.roll(target, len(target) // 2) == target))
    _need(
        abs(_call(accuracy, wrong, run.classes) - true) < 1e-9,
        "compare the class of the highest probability with the target",
    )
    return (
        "Accuracy here is a number from 0 to 1, over clips that the network was not"
        " trained on."
    )


# 4 Stacks of three


@CHECKS.register("input shape")
def check_input_shape(shape: tuple[int, ...]) -> str:
    _need(
        len(shape) == 4,
        f"four numbers: batch, channels, rows, frames; here are {len(shape)}",
    )
    _need(shape[0] == 32, "the batch comes first")
    _need(shape[1] == 3, "a feature set of three features has as many channels")
    _need(
        tuple(shape[2:]) == (64, 108),
        "every channel is resized to GRID, whatever its rows",
    )
    return "mel has 128 rows and chroma 12; in the network both have 64."


@CHECKS.register("optimism")
def check_optimism(optimism: Callable[[pd.DataFrame], float]) -> str:
    history = pd.DataFrame(
        {"epoch": [1, 2, 3, 4, 5], "test_accuracy": [0.2, np.nan, 0.7, np.nan, 0.6]}
    )
    given = _call(optimism, history)
    _need(
        not np.isnan(given),
        "epochs in which the test fold was not scored are empty: leave them out",
    )
    _need(given >= 0, "it is never negative: the highest is at least the last")
    _need(abs(given - 0.1) < 1e-9, f"highest minus last, not {given:.2f}")
    steady = pd.DataFrame({"epoch": [1, 2], "test_accuracy": [0.3, 0.5]})
    _need(
        abs(_call(optimism, steady)) < 1e-9,
        "if the last is the highest, the difference is 0",
    )
    return "The highest one was selected on the test fold, so no report shows it."


# 4b What ResNet-18 does


@CHECKS.register("block")
def check_block(block: Callable[[int], Any]) -> str:
    import torch
    from torch import nn

    network = _call(block, 8)
    _need(isinstance(network, nn.Module), "block(channels) returns a torch module")
    x = torch.randn(2, 8, 10, 12, generator=torch.Generator().manual_seed(0))
    network.eval()
    _need(network(x).shape == x.shape, "pad the 3x3 convolutions: the shape stays")
    _need(bool((network(x) >= 0).all()), "a ReLU comes last, behind the sum")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    close = torch.allclose(network(x), torch.relu(x))
    _need(close, "with all weights 0, what is left is relu(x): add the input")
    return "Gradients reach the first block through the sum, however deep the network."


@CHECKS.register("block parameters")
def check_block_parameters(parameters: Callable[[int, int], int]) -> str:
    from featurestack.train.models.resnet import basic_block

    for inputs, width in ((64, 64), (64, 128), (3, 5)):
        stride = 1 if inputs == width else 2
        true = sum(
            each.numel() for each in basic_block(inputs, width, stride).parameters()
        )
        given = _call(parameters, inputs, width)
        without = true - inputs * width - 2 * width
        _need(inputs == width or given != without, "the 1x1 shortcut has weights too")
        _need(
            given == true,
            f"{inputs} to {width} channels: {given} is not right; a batch norm has two"
            " numbers per channel, a convolution here no bias",
        )
    return "The last two of the network's eight blocks have most of its weights."


@CHECKS.register("first convolution")
def check_first_convolution(weights: Callable[[int], int]) -> str:
    from torch import nn

    for channels in (1, 3, 5):
        true = nn.Conv2d(channels, 64, 7, bias=False).weight.numel()
        _need(
            _call(weights, channels) == true,
            f"{channels} channels: 64 kernels of 7x7 over each channel",
        )
    return "Three features cost 6,272 weights more than one, of 11 million."


@CHECKS.register("early stopping")
def check_early_stopping(stopping: Callable[..., tuple[int, int]]) -> str:
    losses = [2.0, 1.5, 1.6, 1.4, 1.45, 1.5, 1.7, 1.0]
    given = _call(stopping, losses, 3)
    _need(np.shape(given) == (2,), "two epochs: the last one trained, the best one")
    _need(tuple(given) != (8, 8), "after 3 epochs without a lower loss nothing follows")
    _need(given[0] == 7, f"with patience 3 it ends after epoch 7, not {given[0]}")
    _need(
        given[1] == 4, f"the lowest loss until then is that of epoch 4, not {given[1]}"
    )
    _need(tuple(_call(stopping, [3.0, 2.0], 3)) == (2, 2), "it may reach the end")
    return "Validation clips chose the epoch, so the test fold is still untouched."


@CHECKS.register("categories")
def check_categories(accuracy: Callable[..., float]) -> str:
    columns = {"target": ["dog", "hen"], "dog": [0.35, 0.4], "hen": [0.25, 0.3]}
    rows = pd.DataFrame(columns | {"rain": [0.4, 0.3]})
    category = {"dog": "animals", "hen": "animals", "rain": "nature"}
    given = _call(accuracy, rows, category)
    _need(given != 0.5, "add the probabilities of a category before you compare")
    _need(
        given == 1, f"here both clips get the right category, which is 1, not {given}"
    )
    return "A wrong class of the right category counts as right here."


# 5 Compare


@CHECKS.register("difference")
def check_difference(difference: Callable[..., tuple[float, float]]) -> str:
    one, other = (
        np.array([0.5, 0.6, 0.7, 0.5, 0.6]),
        np.array([0.6, 0.8, 0.7, 0.7, 0.6]),
    )
    given = _call(difference, one, other)
    _need(np.shape(given) == (2,), "two numbers: mean and standard deviation")
    mean, deviation = given
    _need(mean > 1e-9, "how much more does the second have than the first?")
    _need(abs(mean - 0.1) < 1e-9, "fold by fold first, then the mean")
    _need(
        abs(deviation - 0.08944) > 1e-4,
        "five folds are a sample: divide by n - 1 (ddof=1)",
    )
    _need(
        abs(deviation - 0.1) < 1e-9,
        "the deviation is that of the differences, not of either list",
    )
    return (
        "Folds that are hard for both runs do not count in it: that is why the"
        " comparison is paired."
    )


@CHECKS.register("discordant")
def check_discordant(only: Callable[..., tuple[int, int]]) -> str:
    one = pd.Series([True, True, False, False, True, True], index=list("abcdef"))
    other = pd.Series([False, True, True, True, False, False], index=list("bafcde"))
    given = _call(only, one, other)
    _need(np.shape(given) == (2,), "two counts")
    _need(
        tuple(given) != (3, 2),
        "match the clips by their name: the two tables are sorted differently",
    )
    _need(
        tuple(given) == (2, 1),
        f"{tuple(given)}: count the clips that just one has right",
    )
    return "All other clips say nothing about which of the two is better."


@CHECKS.register("mcnemar")
def check_mcnemar(p_value: Callable[[int, int], float]) -> str:
    for b, c in ((5, 5), (1, 9), (9, 1), (0, 6), (12, 20)):
        tail = sum(comb(b + c, k) for k in range(min(b, c) + 1)) / 2 ** (b + c)
        given, true = _call(p_value, b, c), min(1.0, 2 * tail)
        _need(given <= 1, f"a probability is at most 1: ({b}, {c}) gave {given:.3f}")
        _need(
            abs(given - tail) > 1e-9 or tail == true,
            "both directions count: the test has two sides",
        )
        _need(
            abs(given - true) < 1e-6,
            f"({b}, {c}) gave {given:.4f}: toss a fair coin {b + c} times",
        )
    return (
        "Twenty clips that differ can be convincing; a thousand that both have right"
        " cannot."
    )


@CHECKS.register("vectors")
def check_vectors(vectors: Callable[[int], int]) -> str:
    """512 samples a frame, one every 160; 76 frames a vector, one every 8."""
    for samples in (400, 12_512, 13_791, 13_792, 16_000, 80_000):
        frames = 1 + (samples - 512) // 160
        true = max(1, 1 + (frames - 76) // 8)
        given = _call(vectors, samples)
        _need(
            given >= 1,
            f"{samples} samples gave {given}: a short clip is padded to one window",
        )
        _need(
            given == true,
            f"{samples} samples gave {given}: count whole frames, then whole windows",
        )
    return "One vector up to 0.86 s: a spoken digit is often one vector."


# 6 Own sounds


@CHECKS.register("groups")
def check_groups(pattern: str) -> str:
    files = [
        "kettle-2024-05-01-a",
        "kettle-2024-05-01-b",
        "kettle-2024-06-11-a",
        "tap-2024-05-01-a",
    ]
    found = []
    for name in files:
        matched = re.search(pattern, name)
        if matched is None:
            raise NotYet(f"{name} does not match")
        _need(
            matched.groups(),
            "put parentheses around the part that names the source recording",
        )
        found.append(matched[1])
    _need(
        found[0] == found[1],
        f"{files[0]} and {files[1]} are one recording, here {found[:2]}",
    )
    _need(found[1] != found[2], "another day is another recording")
    _need(
        found[0] != found[3], "a kettle and a tap are two recordings, also on one day"
    )
    return "Clips of one source recording will now stay on one side of every split."


@CHECKS.register("half width")
def check_half_width(half_width: Callable[[float, int], float]) -> str:
    widths = [_call(half_width, 0.8, n) for n in (50, 100, 400)]
    _need(
        all(a > b for a, b in pairwise(widths)), "more clips give a narrower interval"
    )
    _need(
        abs(widths[1] / widths[2] - 2) < 0.01,
        "four times the clips give half the width",
    )
    _need(
        abs(widths[1] - 0.04) > 1e-3,
        "that is one standard error; 95 % lie within more of them",
    )
    _need(
        abs(widths[1] - 0.0784) < 1e-3, f"100 clips, 80 % right, gave ± {widths[1]:.3f}"
    )
    return (
        "Clips of one recording are alike, so with groups the true interval is wider"
        " still."
    )


# 7 Several labels


@CHECKS.register("average precision")
def check_average_precision(average_precision: Callable[..., float]) -> str:
    scores = np.array([0.7, 0.1, 0.8, 0.9])
    present = np.array([True, False, False, True])
    _need(
        _call(average_precision, scores, scores > 0.5) == 1,
        "clips with the label come first: it is 1",
    )
    mine = _call(average_precision, scores, present)
    order = present[np.argsort(-scores)]
    precision = np.cumsum(order) / np.arange(1, 5)
    _need(
        abs(mine - (np.cumsum(present) / np.arange(1, 5))[present].mean()) > 1e-9,
        "sort by score first",
    )
    _need(
        abs(mine - precision.mean()) > 1e-9,
        "only the places of clips with the label count",
    )
    _need(
        abs(mine - precision[order].mean()) < 1e-9,
        f"places 1 and 3 of 4 do not give {mine:.3f}",
    )
    return "It does not change if all scores are doubled: only the order counts."


@CHECKS.register("threshold")
def check_threshold(threshold: Callable[..., float]) -> str:
    rng = np.random.default_rng(0)
    for share in (0.1, 0.5):
        present = rng.random(200) < share
        scores = rng.normal(size=200) + present
        mine = f1_score(
            present, scores > _call(threshold, scores, present), zero_division=0
        )
        best = max(f1_score(present, scores > limit) for limit in np.sort(scores)[:-1])
        _need(
            mine > best - 1e-9,
            f"F1 is {mine:.3f}, and another threshold gives more: try them all",
        )
    return (
        "A rare class gets another threshold than a common one, so each class has its"
        " own."
    )
