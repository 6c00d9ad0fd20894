"""A trained model for a service: arrays of samples in, classes out.

Input from outside is checked where it enters. Samples of another rate, type or number
of channels are converted as the pipeline converts a file's; samples that cannot be a
clip of the model are refused in a sentence, because a network answers everything, noise
and overflown integers too, and most of it with confidence.

    model = Model("model.pt")
    model.warm()
    model.predict(y, 16_000).predicted    # dog
"""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted
from featurestack.pipeline import audio
from featurestack.predict.files import TOLERANCE
from featurestack.predict.predictor import Predictor, Samples
from featurestack.results.run_folder import RunFolder
from featurestack.train.options import TrainedOptions

# samples of an integer type -> their zero and their full scale, as in audio files
FULL_SCALE = {"uint8": (128, 128.0), "int16": (0, 2.0**15), "int32": (0, 2.0**31)}
LOUDEST = 4.0  # floating-point audio, such as decoded MP3, is rarely above it
MOST_CHANNELS = 32  # more are frames or features, no audio


class Prediction(NamedTuple):
    """The answer for one clip."""

    # the class; of several labels all that are predicted, joined by ; and "" if the
    # model withholds the answer
    predicted: str
    probabilities: dict[str, float]  # class -> probability


class Model:
    """A trained model that answers arrays. One object serves many threads.

    trained  the file of a bundle, an exported ONNX file, a run's folder, name or unique
             prefix, or `last`; or a run of `fs.fit` or `fs.run`
    folder   the runs that a name is looked for in
    device   as DEVICE=
    reject   as REJECT=: less probable answers are withheld
    gate     as GATE=: dB of full scale; clips that are never louder get no answer

    Attributes: `classes`; `features`, each stored feature of the feature set with its
    parameters; `versions`, those of the libraries that trained it; `sample_rate` in Hz,
    `seconds`, the longest clip, and `window`, the median of clips if many are shorter.

        fs.Model("model.pt").predict(y, 44_100)
        # Prediction(predicted='dog', probabilities={'cat': 0.02, 'dog': 0.98})
    """

    def __init__(
        self,
        trained: Path | str | RunFolder,
        folder: Path | str = "runs",
        device: str = "cpu",
        reject: float = 0.0,
        gate: float | None = None,
    ) -> None:
        self._model = Predictor.load(trained, Path(folder), device=device)
        self._model.withhold(TrainedOptions(reject=reject, gate=gate))
        config = self._model.config
        self.classes: tuple[str, ...] = tuple(self._model.classes)
        self.features: dict[str, Mapping[str, object]] = {
            channel.stored: dict(channel.parameters)
            for _, channel in self._model.channels
        }
        self.versions: dict[str, str] = dict(config.versions)
        self.sample_rate: int = self._model.sample_rate
        self.seconds: float = self._model.seconds
        self.window: float = config.clip_seconds or self.seconds

    def predict(self, y: ArrayLike, sample_rate: float) -> Prediction:
        """The answer for one clip.

        y            samples, (n,) or with an axis of channels, of which the model's or
                     else the mean counts;
                     floats of full scale 1, of at most LOUDEST; int16, int32 or uint8
        sample_rate  Hz; other rates than the model's are resampled

        A shorter clip than `seconds` is padded with zeros like a short training clip.
        RequestError for a longer one, an empty one, another type, NaN, and samples
        beyond full scale.
        """
        (answer,) = self.predict_many([y], sample_rate)
        return answer

    def predict_many(
        self, clips: Iterable[ArrayLike], sample_rate: float
    ) -> list[Prediction]:
        """As `predict`, many clips at once, up to rounding."""
        checked = ((n, self.clip(y, sample_rate)) for n, y in enumerate(clips))
        return [
            Prediction(predicted, dict(zip(self.classes, map(float, probabilities))))
            for _, probabilities, predicted in self._model.predict(checked)
        ]

    def warm(self) -> None:
        """Predict silence once: the first prediction takes seconds."""
        silence = np.zeros(self._model.samples, np.float32)
        self.predict(silence, self.sample_rate)

    def clip(self, y: ArrayLike, sample_rate: float) -> Samples:
        """The samples as the model's features take them: mono float32 of full scale 1
        at the model's rate, at most `seconds` long; RequestError as in `predict`.
        """
        least, most = audio.LEAST_RATE, audio.MOST_RATE
        if not (least <= sample_rate <= most and sample_rate == int(sample_rate)):
            raise RequestError(
                f"sample_rate={sample_rate!r}: expected a whole number of Hz from"
                f" {least:,} to {most:,}"
            )
        rate = int(sample_rate)
        samples = mono(scaled(y), self._model.audio_channel)
        seconds = len(samples) / rate
        if seconds > self.seconds + TOLERANCE:
            raise RequestError(
                f"{seconds:.2f} s of audio: the model takes clips of at most"
                f" {self.seconds:g} s; cut them, and predict_many answers all parts"
            )
        if rate < self.sample_rate:
            warnings.warn(
                f"audio of {rate:,} Hz has nothing above {rate / 2:,.0f} Hz; the model"
                f" was trained at {self.sample_rate:,} Hz",
                stacklevel=3,
            )
        samples = audio.resample(samples, rate, self.sample_rate)
        return samples[: self._model.samples]


def scaled(samples: ArrayLike) -> NDArray[np.float32]:
    """Samples as float32 of full scale 1; RequestError for what is no audio."""
    y = np.asarray(samples)
    if y.size == 0:
        raise RequestError("the clip is empty: expected at least one sample")
    if y.dtype.name in FULL_SCALE:  # in either order of bytes
        zero, full = FULL_SCALE[y.dtype.name]
        return ((y.astype(np.float64) - zero) / full).astype(np.float32)
    if y.dtype.kind != "f":
        raise RequestError(
            f"samples are {y.dtype}: expected floats of full scale 1, int16, int32 or"
            " uint8"
        )
    unfit = int((~np.isfinite(y)).sum())
    if unfit:
        are = "is" if unfit == 1 else "are"
        raise RequestError(
            f"{counted(unfit, 'sample')} of {y.size:,} {are} NaN or infinite"
        )
    peak = float(np.abs(y).max())
    # integers that were only cast to floats are whole, however quiet they are
    if peak > LOUDEST or (peak > 1 and (y == np.rint(y)).all()):
        raise RequestError(
            f"samples of up to {peak:,.0f}, and full scale is 1: divide 16-bit samples"
            " by 32768, or give them as int16"
        )
    return y.astype(np.float32)


def mono(y: NDArray[np.float32], channel: int) -> Samples:
    """(n,) a channel, counted from 1 in the shorter axis, or their mean (0)."""
    if y.ndim == 1:
        return y
    if y.ndim != 2 or min(y.shape) > MOST_CHANNELS or y.shape[0] == y.shape[1] > 1:
        raise RequestError(
            f"samples of shape {y.shape}: expected (samples,), (samples, channels) or"
            " (channels, samples)"
        )
    axis = int(y.shape[1] < y.shape[0])
    if channel > y.shape[axis]:
        raise RequestError(
            f"samples of shape {y.shape} have no channel {channel}, on which the model"
            " was trained"
        )
    if not channel:
        return y.mean(axis=axis)
    return np.moveaxis(y, axis, 0)[channel - 1]
