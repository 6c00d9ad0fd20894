"""Checks of the course: `check("tone", answer)` passes, or says what to look at without
the answer.

A wrong or missing answer raises NotYet, which a notebook shows as one sentence.
`reveal(prediction, found)` prints a prediction beside the result. The docstring of a
check is what a right answer is told.
"""

import re
from collections.abc import Callable
from math import comb
from typing import Any

import numpy as np
import pandas as pd
from scipy.fft import dct
from sklearn.metrics import f1_score

import featurestack as fs
from featurestack.commandline.registry import Registry, first_sentence
from featurestack.features_cache import Cache

CHECKS: Registry[Callable[..., None]] = Registry("check")
RATE = 22_050  # Hz, of `_noise`


class NotYet(AssertionError):
    """An answer that is missing or wrong; Jupyter shows the sentence alone."""

    def _render_traceback_(self) -> list[str]:
        return [f"Not yet: {self}"]


def check(name: str, *answers: Any) -> None:
    """Check the answers to a question; NotYet says what to look at if one is wrong."""
    _need(not _open(answers), "there is no answer here: put one where ... stands")
    CHECKS[name](*answers)
    print("Right.", first_sentence(CHECKS[name]))


def answered(name: str, *answers: Any) -> None:
    """Say nothing if the answers to an earlier question are right; else NotYet, so that
    a cell that uses them does not fail in another way.
    """
    _need(not _open(answers), f"this cell uses the answer to {name!r}: give it first")
    CHECKS[name](*answers)


def reveal(prediction: Any, found: Any, unit: str = "") -> None:
    """Print a prediction beside the result; NotYet if there is no prediction. A wrong
    one is no error.

    Lists and dictionaries are compared item by item. An item of `found` that is a list
    holds several results that are equally right.

    reveal(0.5, 0.82)    # you predicted 0.5, found: 0.82
    """
    _need(
        not _open(prediction),
        "write a prediction first; a wrong one costs nothing, and you will remember it",
    )
    pairs = [("", prediction, found)]
    if isinstance(prediction, list):
        prediction, found = (dict(enumerate(x, 1)) for x in (prediction, found))
    if isinstance(prediction, dict):
        pairs = [
            (f"{key}: ", prediction.get(key, "nothing"), value)
            for key, value in found.items()
        ]
    for name, predicted, value in pairs:
        predicted_text = f"{_shown(predicted)}{unit}"
        print(f"{name}you predicted {predicted_text}, found: {_shown(value)}{unit}")
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
    if isinstance(answer, list | tuple | set):
        return any(map(_open, answer))
    return answer is ...


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


def _near(given: Any, right: Any, within: float = 1e-9) -> bool:
    """Whether an answer has the right shape and values."""
    same_shape = np.shape(given) == np.shape(right)
    return same_shape and np.allclose(np.float64(given), right, rtol=0, atol=within)


def _values(given: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
    """An answer as an array of the shape that it must have."""
    found = np.shape(given)
    _need(found == shape, f"{what}: expected the shape {shape}, got {found}")
    return np.asarray(given, dtype=float)


def _noise(seed: int, seconds: float = 1.0) -> fs.Clip:
    """Noise that comes and goes, so that its frames differ."""
    samples = np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE))
    swell = 1 + np.sin(np.linspace(0, 9, len(samples)))
    return fs.Clip((samples * swell).astype(np.float32), RATE)


# 1 Listen and look


@CHECKS.register("tone")
def check_tone(peak_hertz: Callable[..., float]) -> None:
    """It can be wrong by half a row at most: rows lie sample rate / n_fft = 21.5 Hz
    apart.
    """
    for pitch in (220, 1000, 5000):
        shown = fs.compute(fs.tone(pitch), "stft")
        found = _call(peak_hertz, shown.values, shown.rows)
        _need(np.ndim(found) == 0, "one number is expected, for the tone as a whole")
        hint = f"a tone of {pitch} Hz was found at {found:.0f} Hz"
        _need(abs(found - pitch) < 22, hint)


@CHECKS.register("frames")
def check_frames(frames: Callable[[int, int], int]) -> None:
    """The window's length does not matter, because frames are centred and the ends are
    padded.
    """
    for seconds, hop in ((1.0, 512), (0.5, 441), (0.01, 512)):
        clip = fs.tone(440, seconds)
        given = _call(frames, len(clip.y), hop)
        true = fs.compute(clip, f"rms@hop_length={hop}").values.shape[1]
        asked = f"{len(clip.y)} samples, hop {hop}"
        _need(given == true, f"{asked}: {given} is not librosa's number of frames")


@CHECKS.register("harmonic share")
def check_harmonic_share(share: Callable[..., float]) -> None:
    """The two parts add up to nearly the whole clip; their energies do so only
    roughly.
    """
    a, b = np.random.default_rng(0).normal(size=(2, 500))
    _need(_near(_call(share, a, 0 * b), 1), "without a percussive part the share is 1")
    _need(_near(_call(share, 0 * a, b), 0), "without a harmonic part the share is 0")
    given = _call(share, 3 * a, a)
    asked = "energy is the sum of squares: 3 times the amplitude gave a share of"
    _need(given > 0.8, f"{asked} {given:.2f}")
    hint = f"compare with the sum of both energies: the share is not {given:.3f}"
    _need(_near(given, 0.9, 1e-6), hint)


# 2 Describe


@CHECKS.register("loudness")
def check_loudness(unchanged: set[str]) -> None:
    """Features that do not change with loudness do not change with the distance of a
    microphone either.
    """
    loud = fs.tone(440)
    softer = fs.alter(loud, "gain(db=-6.02)")
    is_set = isinstance(unchanged, set)
    _need(is_set, "a set of names is expected, such as {'rms', 'mel'}")
    for name in ("rms", "zcr", "centroid", "mel", "chroma"):
        before, after = (fs.compute(clip, name).values for clip in (loud, softer))
        same = bool(np.abs(before - after).max() <= 0.01 * np.abs(before).max())
        _need((name in unchanged) == same, f"look at {name} again, before and after")


@CHECKS.register("centroid")
def check_centroid(centroid: Callable[..., np.ndarray]) -> None:
    """It is the balance point of the spectrum, the number closest to what people call
    brightness.
    """
    for seed in (1, 2):
        clip = _noise(seed)
        shown = fs.compute(clip, "stft")
        true = fs.compute(clip, "centroid").values[0]
        given = _call(centroid, 10 ** (shown.values / 20), shown.rows)
        mine = _values(given, true.shape, "centroid, one value a frame")
        close = np.allclose(mine, true, rtol=0.02)
        _need(close, "the weights are the magnitudes of the same frame")


@CHECKS.register("mfcc")
def check_mfcc(mfcc: Callable[[np.ndarray], np.ndarray]) -> None:
    """An MFCC matrix holds nothing that the mel spectrogram does not: it is a linear
    transform of it.
    """
    mel, true = (fs.compute(_noise(3), name).values for name in ("mel", "mfcc"))
    mine = _values(_call(mfcc, mel), true.shape, "mfcc (coefficients, frames)")
    plain = dct(mel, type=2, axis=0)[: len(true)]
    hint = "the transform is to be orthonormal: see the option norm of scipy.fft.dct"
    _need(not np.allclose(mine, plain), hint)
    close = _near(mine, true, 1e-3 * np.abs(true).max())
    _need(close, "transform the rows of each frame")


@CHECKS.register("fisher")
def check_fisher(fisher: Callable[..., np.ndarray]) -> None:
    """It judges one row at a time, and means only: keep in mind what that leaves
    out.
    """
    labels = np.array(["a", "a", "b", "b"])
    x = np.array([[0.0, 5.0], [2.0, 1.0], [10.0, 3.0], [12.0, 3.0]])
    mine = _values(_call(fisher, x, labels), (2,), "fisher, one ratio a column")
    hint = "the second column has the same mean in both classes"
    _need(mine[1] == 0, f"{hint}: nothing lies between them")
    _need(mine[0] > 20, "divide by the mean of the variances within the classes")
    _need(_near(mine, [25, 0]), "variances here are divided by n, as np.var does")
    classes = np.arange(30) % 3
    more = np.random.default_rng(0).normal(size=(30, 4)) + 2 * classes[:, None]
    once, twice = (_call(fisher, factor * more, classes) for factor in (1, 2))
    hint = "a ratio of variances does not change with the unit of the values"
    _need(np.allclose(once, twice), hint)


# 3 Cache and train


@CHECKS.register("variant")
def check_variant(name: str) -> None:
    """A variant is cached beside the plain feature, and neither replaces the other."""
    clip = _noise(4)
    shown = fs.compute(clip, name)
    bands, frames = shown.values.shape
    is_hop = frames == 1 + len(clip.y) // 441
    _need(is_hop, f"{name} has {frames} frames a second: the hop is 441 samples")
    _need(bands == 32, f"{name} has {bands} rows")
    lowest = fs.compute(clip, "mel@n_mels=64").rows[:32]
    _need(np.allclose(shown.rows, lowest), "the lowest 32 of 64 bands")


@CHECKS.register("bytes")
def check_bytes(size: Callable[[int, int, int], int]) -> None:
    """It is mel of all of ESC-50, in one file of about 220 MB."""
    given = _call(size, 2000, 128, 431)
    values = 2000 * 128 * 431
    _need(given != 4 * values, "values are stored as float16")
    _need(given == 2 * values, f"2,000 clips of 128 x 431 are not {given} bytes")
    _need(_call(size, 3, 5, 7) == 210, "the function has to use all three numbers")


@CHECKS.register("row means")
def check_row_means(row_means: Callable[[str], np.ndarray], cache: Cache) -> None:
    """No audio was decoded for it: the values came from the files in the cache."""
    for feature in ("mel", "chroma"):
        shape = len(cache.clips), cache[feature].rows
        mine = _values(_call(row_means, feature), shape, f"means of {feature}")
        for place in (0, len(cache.clips) - 1):
            row = cache.clips.iloc[place]
            settings = cache.sample_rate, cache.duration, cache.audio_channel
            clip = fs.read(row["path"], *settings)
            true = fs.compute(clip, feature).values.mean(axis=1)
            close = _near(mine[place], true, 0.02 * np.abs(true).max())
            named = f"{feature} of {row['clip_id']}"
            _need(close, f"{named}: mean over frames? order of cache.clips?")


@CHECKS.register("leaked")
def check_leaked(leaked: Callable[[pd.DataFrame, pd.DataFrame], set[str]]) -> None:
    """Every training here leaves such clips out and says how many."""
    groups = [str(number // 3) for number in range(30)]
    table = pd.DataFrame({"group": groups}, index=range(100, 130))
    apart = _call(leaked, table[:15], table[15:])
    _need(not apart, f"here no recording is on both sides, but {apart} was found")
    mixed = _call(leaked, table[:10], table[10:])
    hint = f"here one recording was cut in two, but {mixed or 'none'} was found"
    _need(mixed == {"3"}, hint)
    every = _call(leaked, table[::2], table[1::2])
    _need(len(every) == 10, "with every second clip on a side, not all were found")


@CHECKS.register("accuracy")
def check_accuracy(accuracy: Callable[..., float], run: Any) -> None:
    """Accuracy here is a number from 0 to 1, over clips that the network was not
    trained on.
    """
    target = run.predictions(run.finished[0]).target.to_numpy()
    sure = {name: (target == name).astype(float) for name in run.classes}
    turned = np.roll(target, len(target) // 2)
    for targets, hint in (
        (target, "if every prediction is right, accuracy is 1"),
        (turned, "compare the class of the highest probability with the target"),
    ):
        given = _call(accuracy, pd.DataFrame(sure).assign(target=targets), run.classes)
        _need(_near(given, np.mean(targets == target)), hint)


# 4 Stacks of three


@CHECKS.register("input shape")
def check_input_shape(shape: tuple[int, ...]) -> None:
    """mel has 128 rows and chroma 12; in the network both have 64."""
    wanted = "four numbers: batch, channels, rows, frames"
    _need(len(shape) == 4, f"{wanted}; here are {len(shape)}")
    batch, channels, *grid = shape
    _need(batch == 32, "the batch comes first")
    _need(channels == 3, "a feature set of three features has as many channels")
    _need(grid == [64, 108], "every channel is resized to GRID, whatever its rows")


@CHECKS.register("optimism")
def check_optimism(optimism: Callable[[pd.DataFrame], float]) -> None:
    """The highest one was selected on the test fold, so no report shows it."""
    scores = [0.2, np.nan, 0.7, np.nan, 0.6]
    history = pd.DataFrame({"epoch": [1, 2, 3, 4, 5], "test_accuracy": scores})
    given = _call(optimism, history)
    hint = "epochs in which the test fold was not scored are empty: leave them out"
    _need(not np.isnan(given), hint)
    _need(given >= 0, "it is never negative: the highest is at least the last")
    _need(_near(given, 0.1), f"highest minus last, not {given:.2f}")
    steady = pd.DataFrame({"epoch": [1, 2], "test_accuracy": [0.3, 0.5]})
    none = _near(_call(optimism, steady), 0)
    _need(none, "if the last is the highest, the difference is 0")


# 4b What ResNet-18 does


@CHECKS.register("block")
def check_block(block: Callable[[int], Any]) -> None:
    """Gradients reach the first block through the sum, however deep the network."""
    import torch

    network = _call(block, 8)
    is_module = isinstance(network, torch.nn.Module)
    _need(is_module, "block(channels) returns a torch module")
    x = torch.randn(2, 8, 10, 12, generator=torch.Generator().manual_seed(0))
    network.eval()
    _need(network(x).shape == x.shape, "pad the 3x3 convolutions: the shape stays")
    _need(bool((network(x) >= 0).all()), "a ReLU comes last, behind the sum")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    close = torch.allclose(network(x), torch.relu(x))
    _need(close, "with all weights 0, what is left is relu(x): add the input")


@CHECKS.register("block parameters")
def check_block_parameters(parameters: Callable[[int, int], int]) -> None:
    """The last two of the network's eight blocks have most of its weights."""
    from featurestack.train.models.resnet import basic_block

    hint = "a batch norm has two numbers per channel, a convolution here no bias"
    for inputs, width in ((64, 64), (64, 128), (3, 5)):
        block = basic_block(inputs, width, 1 if inputs == width else 2)
        true = sum(each.numel() for each in block.parameters())
        given = _call(parameters, inputs, width)
        shortcut = 0 if inputs == width else inputs * width + 2 * width
        has_shortcut = not shortcut or given != true - shortcut
        _need(has_shortcut, "the 1x1 shortcut has weights too")
        wrong = f"{inputs} to {width} channels: {given} is not right"
        _need(given == true, f"{wrong}; {hint}")


@CHECKS.register("first convolution")
def check_first_convolution(weights: Callable[[int], int]) -> None:
    """Three features cost 6,272 weights more than one, of 11 million."""
    for channels in (1, 3, 5):
        hint = f"{channels} channels: 64 kernels of 7x7 over each channel"
        _need(_call(weights, channels) == 64 * 7 * 7 * channels, hint)


@CHECKS.register("early stopping")
def check_early_stopping(stopping: Callable[..., tuple[int, int]]) -> None:
    """Validation clips chose the epoch, so the test fold is still untouched."""
    losses = [2.0, 1.5, 1.6, 1.4, 1.45, 1.5, 1.7, 1.0]
    given = _call(stopping, losses, 3)
    _need(np.shape(given) == (2,), "two epochs: the last one trained, the best one")
    last, best = given
    without = "after 3 epochs without a lower loss nothing follows"
    _need((last, best) != (8, 8), without)
    _need(last == 7, f"with patience 3 it ends after epoch 7, not {last}")
    _need(best == 4, f"the lowest loss until then is that of epoch 4, not {best}")
    _need(tuple(_call(stopping, [3.0, 2.0], 3)) == (2, 2), "it may reach the end")


@CHECKS.register("categories")
def check_categories(accuracy: Callable[..., float]) -> None:
    """A wrong class of the right category counts as right here."""
    columns = {"target": ["dog", "hen"], "dog": [0.35, 0.4], "hen": [0.25, 0.3]}
    rows = pd.DataFrame(columns | {"rain": [0.4, 0.3]})
    category = {"dog": "animals", "hen": "animals", "rain": "nature"}
    given = _call(accuracy, rows, category)
    _need(given != 0.5, "add the probabilities of a category before you compare")
    hint = f"here both clips get the right category, which is 1, not {given}"
    _need(given == 1, hint)


# 5 Compare


@CHECKS.register("difference")
def check_difference(difference: Callable[..., tuple[float, float]]) -> None:
    """Folds that are hard for both runs do not count in it: that is why the comparison
    is paired.
    """
    one = np.array([0.5, 0.6, 0.7, 0.5, 0.6])
    other = np.array([0.6, 0.8, 0.7, 0.7, 0.6])
    given = _call(difference, one, other)
    _need(np.shape(given) == (2,), "two numbers: mean and standard deviation")
    mean, deviation = given
    _need(mean > 1e-9, "how much more does the second have than the first?")
    _need(_near(mean, 0.1), "fold by fold first, then the mean")
    hint = "five folds are a sample: divide by n - 1 (ddof=1)"
    _need(not _near(deviation, 0.08944, 1e-4), hint)
    hint = "the deviation is that of the differences, not of either list"
    _need(_near(deviation, 0.1), hint)


@CHECKS.register("discordant")
def check_discordant(only: Callable[..., tuple[int, int]]) -> None:
    """All other clips say nothing about which of the two is better."""
    one = pd.Series([True, True, False, False, True, True], index=list("abcdef"))
    other = pd.Series([False, True, True, True, False, False], index=list("bafcde"))
    given = _call(only, one, other)
    _need(np.shape(given) == (2,), "two counts")
    hint = "match the clips by their name: the two tables are sorted differently"
    _need(tuple(given) != (3, 2), hint)
    hint = f"{tuple(given)}: count the clips that just one has right"
    _need(tuple(given) == (2, 1), hint)


@CHECKS.register("mcnemar")
def check_mcnemar(p_value: Callable[[int, int], float]) -> None:
    """Twenty clips that differ can be convincing; a thousand that both have right
    cannot.
    """
    for b, c in ((5, 5), (1, 9), (9, 1), (0, 6), (12, 20)):
        tail = sum(comb(b + c, k) for k in range(min(b, c) + 1)) / 2 ** (b + c)
        given, true = _call(p_value, b, c), min(1.0, 2 * tail)
        _need(given <= 1, f"a probability is at most 1: ({b}, {c}) gave {given:.3f}")
        one_side = _near(given, tail) and tail != true
        _need(not one_side, "both directions count: the test has two sides")
        hint = f"({b}, {c}) gave {given:.4f}: toss a fair coin {b + c} times"
        _need(_near(given, true, 1e-6), hint)


@CHECKS.register("vectors")
def check_vectors(vectors: Callable[[int], int]) -> None:
    """One vector up to 0.86 s: a spoken digit is often one vector."""
    for samples in (400, 12_512, 13_791, 13_792, 16_000, 80_000):
        frames = 1 + (samples - 512) // 160  # 512 samples, one every 160
        true = max(1, 1 + (frames - 76) // 8)  # 76 frames, one every 8
        given = _call(vectors, samples)
        gave = f"{samples} samples gave {given}"
        _need(given >= 1, f"{gave}: a short clip is padded to one window")
        _need(given == true, f"{gave}: count whole frames, then whole windows")


# 6 Own sounds


@CHECKS.register("groups")
def check_groups(pattern: str) -> None:
    """Clips of one source recording will now stay on one side of every split."""
    days = ("kettle-2024-05-01", "kettle-2024-06-11", "tap-2024-05-01")
    files = [f"{days[0]}-a", f"{days[0]}-b", f"{days[1]}-a", f"{days[2]}-a"]
    found = []
    for name in files:
        matched = re.search(pattern, name)
        if matched is None:
            raise NotYet(f"{name} does not match")
        hint = "put parentheses around the part that names the source recording"
        _need(matched.groups(), hint)
        found.append(matched[1])
    hint = f"{files[0]} and {files[1]} are one recording, here {found[:2]}"
    _need(found[0] == found[1], hint)
    _need(found[1] != found[2], "another day is another recording")
    hint = "a kettle and a tap are two recordings, also on one day"
    _need(found[0] != found[3], hint)


@CHECKS.register("half width")
def check_half_width(half_width: Callable[[float, int], float]) -> None:
    """Clips of one recording are alike, so with groups the true interval is wider
    still.
    """
    few, hundred, many = (_call(half_width, 0.8, n) for n in (50, 100, 400))
    _need(few > hundred > many, "more clips give a narrower interval")
    half = _near(hundred / many, 2, 0.01)
    _need(half, "four times the clips give half the width")
    hint = "that is one standard error; 95 % lie within more of them"
    _need(not _near(hundred, 0.04, 1e-3), hint)
    _need(_near(hundred, 0.0784, 1e-3), f"100 clips, 80 % right, gave ± {hundred:.3f}")


# 7 Several labels


@CHECKS.register("average precision")
def check_average_precision(average_precision: Callable[..., float]) -> None:
    """It does not change if all scores are doubled: only the order counts."""
    scores = np.array([0.7, 0.1, 0.8, 0.9])
    present = np.array([True, False, False, True])
    first = _call(average_precision, scores, scores > 0.5)
    _need(first == 1, "clips with the label come first: it is 1")
    mine = _call(average_precision, scores, present)
    ranks = np.arange(1, 5)
    order = present[np.argsort(-scores)]
    precision = np.cumsum(order) / ranks
    unsorted = (np.cumsum(present) / ranks)[present].mean()
    _need(not _near(mine, unsorted), "sort by score first")
    hint = "only the places of clips with the label count"
    _need(not _near(mine, precision.mean()), hint)
    hint = f"places 1 and 3 of 4 do not give {mine:.3f}"
    _need(_near(mine, precision[order].mean()), hint)


@CHECKS.register("threshold")
def check_threshold(threshold: Callable[..., float]) -> None:
    """A rare class gets another threshold than a common one, so each class has its
    own.
    """
    rng = np.random.default_rng(0)
    for share in (0.1, 0.5):
        present = rng.random(200) < share
        scores = rng.normal(size=200) + present
        found = scores > _call(threshold, scores, present)
        mine = f1_score(present, found, zero_division=0)
        best = max(f1_score(present, scores > limit) for limit in np.sort(scores)[:-1])
        hint = f"F1 is {mine:.3f}, and another threshold gives more: try them all"
        _need(mine > best - 1e-9, hint)
