"""One audio file and its features in `import featurestack as fs`, for notebooks.

A function loads its libraries when it is called.
"""

import io
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from featurestack.base.errors import Failed, RequestError, reason_of
from featurestack.cli.commands import command
from featurestack.cli.notebook import draw
from featurestack.pipeline.options import ShowOptions

if TYPE_CHECKING:
    from IPython.display import Audio
    from matplotlib.figure import Figure

    from featurestack.pipeline.clip_spectra import Clip, ClipLike, FeatureMap

RATE = 44_100  # samples a second, ESC-50's
DRAWN = "mel mfcc chroma"  # features in a clip's figure by default


@command
def read(
    path: Path | str,
    sample_rate: int | None = RATE,
    seconds: float | None = None,
) -> "Clip":
    """An audio file, mono, resampled.

    Parameters
    ----------
    path : path
        The file.
    sample_rate : int, optional
        Rate in Hz to which it is resampled; None keeps the file's.
    seconds : float, optional
        Cut or padded with zeros to this duration.

    Returns
    -------
    Clip
        `.y` (samples,) float32 and `.sample_rate`.

    Examples
    --------
    >>> fs.write(fs.tone(440), "tone.wav")
    >>> fs.read("tone.wav", seconds=5.0).y.shape
    (220500,)
    """
    from featurestack.pipeline.clip_spectra import clip_of

    return clip_of(path, sample_rate, seconds=seconds)


@command
def tone(
    hertz: float, seconds: float = 1.0, sample_rate: int = RATE, amplitude: float = 0.5
) -> "Clip":
    """A sine.

    Parameters
    ----------
    hertz, seconds, sample_rate, amplitude : float
        Frequency, duration, samples per second, peak (at most 1).

    Returns
    -------
    Clip
        `.y` (samples,) and `.sample_rate`.

    Examples
    --------
    >>> round(fs.compute(fs.tone(1000), "centroid").values[0, 20])
    1000
    """
    import numpy as np

    from featurestack.pipeline.clip_spectra import Clip

    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return Clip(
        (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32), sample_rate
    )


@command
def write(clip: "ClipLike", path: Path | str, sample_rate: float | None = None) -> None:
    """Write a clip as an audio file: .flac of 24 bits, .wav of float samples.

    Parameters
    ----------
    clip : path, Clip or array (samples,)
        An audio file, which is read as `read` does, a clip, or samples.
    path : path
        The file to write.
    sample_rate : int, optional
        Hz of samples, to which a file is resampled.

    Examples
    --------
    >>> fs.write(fs.tone(440), "tone.wav")
    """
    import soundfile

    from featurestack.base.files import refuse_special
    from featurestack.pipeline.clip_spectra import clip_of

    clip = clip_of(clip, sample_rate, file_rate=RATE)
    refuse_special(Path(path))
    subtype = {".flac": "PCM_24", ".wav": "FLOAT"}.get(Path(path).suffix.lower())
    if subtype is None:
        raise RequestError(f"{path}: expected a name that ends in .wav or .flac")
    soundfile.write(path, clip.y, clip.sample_rate, subtype=subtype)


@command
def play(clip: "ClipLike", sample_rate: float | None = None) -> "Audio":
    """A player of the clip, for the last line of a notebook's cell.

    Parameters
    ----------
    clip : path, Clip or array (samples,)
        An audio file, which is read as `read` does, a clip, or samples.
    sample_rate : int, optional
        Hz of samples, to which a file is resampled.

    Examples
    --------
    ::

        fs.play(fs.tone(440))
    """
    from IPython.display import Audio

    from featurestack.pipeline.clip_spectra import clip_of

    clip = clip_of(clip, sample_rate, file_rate=RATE)
    return Audio(clip.y, rate=clip.sample_rate, normalize=False)


@command
def compute(
    clip: "ClipLike",
    name: str,
    *,
    sample_rate: float | None = None,
    **parameters: object,
) -> "FeatureMap":
    """One feature of one clip.

    Parameters
    ----------
    clip : path, Clip or array (samples,)
        An audio file, which is read as `read` does, a clip, or samples.
    name : str
        A feature, with other parameters or with some of its rows: `mel`,
        `mel@n_mels=64`, `mfcc:1-19`.
    sample_rate : int, optional
        Hz of samples, to which a file is resampled.
    **parameters
        The same as after @: `n_mels=64`.

    Returns
    -------
    FeatureMap
        `.values` (rows, frames), `.rows` and `.seconds` of its axes, `.units`.

    Examples
    --------
    >>> fs.compute(fs.tone(440, seconds=5), "mel", n_mels=64).values.shape
    (64, 431)
    """
    from featurestack.features_cache.feature_names import parse_feature_name
    from featurestack.pipeline.clip_spectra import FeatureMap, clip_of
    from featurestack.pipeline.features import resolve_feature

    clip = clip_of(clip, sample_rate, file_rate=RATE)
    if parameters:
        name += "," if "@" in name else "@"
        name += ",".join(f"{key}={value}" for key, value in parameters.items())
    channel = parse_feature_name(name)
    feature = resolve_feature(channel, clip.sample_rate)
    try:
        values = feature.stored_values(clip, "float32")
    except RequestError:
        raise
    except ValueError as error:
        reason = reason_of(error).removeprefix(f"{channel.name} ")
        raise Failed(f"{channel.name}: {reason}") from error
    kept = channel.kept_rows(len(values))
    return FeatureMap(
        name=str(channel),
        values=values[kept],
        rows=feature.row_axis(clip.sample_rate)[kept],
        row_unit=feature.row_unit,
        seconds=feature.frame_axis(clip.sample_rate, len(clip.y)),
        units=feature.units,
        frame_unit=feature.frame_unit,
    )


@command
def show(
    clip: "ClipLike", features: str = DRAWN, sample_rate: float | None = None
) -> "Figure":
    """Features of a clip in one figure; `make show AUDIO=FILE` writes it as a PNG.

    Parameters
    ----------
    clip : path, Clip or array (samples,)
        An audio file, which is read as `read` does, a clip, or samples.
    features : str
        Features separated by spaces.
    sample_rate : int, optional
        Hz of samples, to which a file is resampled.

    Returns
    -------
    Figure
        A matplotlib figure.

    Examples
    --------
    >>> fs.show(fs.tone(440), "mel chroma").savefig("tone.png")
    """
    from featurestack.features_cache.feature_names import parse_list
    from featurestack.pipeline.clip_spectra import clip_of
    from featurestack.pipeline.features import FEATURES

    clip = clip_of(clip, sample_rate, file_rate=RATE)
    sets = parse_list(features, list(FEATURES.complete()))
    names = dict.fromkeys(map(str, itertools.chain(*sets)))
    return draw("gallery", features=[compute(clip, name) for name in names])


def show_command(options: ShowOptions) -> int:
    """The command `show`: draw a file's features to REPORTS/show/<its name>.png."""
    if options.audio is None:
        from featurestack.pipeline import show_features

        return show_features.show(options)
    from featurestack.base.own_files import OwnFiles

    path = options.reports / "show" / f"{options.audio.stem}.png"
    own_files = OwnFiles(path.parent, ".show.json")
    own_files.require(path.name, "REPORTS=")
    clip = read(options.audio, options.sample_rate)
    content = io.BytesIO()
    show(clip, options.features or DRAWN).savefig(content, format="png", dpi=150)
    own_files.write({path.name: content.getvalue()})
    print(path)
    return 0
