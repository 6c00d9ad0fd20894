"""Altered clips: a function for each alteration, and a short text for each copy.

The text, such as `pitch(semitones=-1.73)` or `noise(snr_db=21.4,seed=90210)`, decides
the copy completely: the same text and samples give the same bytes. `make data ALTER=`
writes a table of a dataset's clips, and altered copies of them as audio files:

    DATA/NAME/NAME.csv       the clips where they are, then their copies
    DATA/NAME/audio/ID~1.wav the first copy of the clip ID, mono, 32-bit float

A copy has its original's label, group and fold, and a mark that keeps it out of every
test. Its alteration depends only on ALTER, SEED, the clip's id and the copy's number,
so that the same command writes the same bytes.
"""

import hashlib
import io
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
from joblib import Parallel, delayed
from numpy.typing import NDArray

from featurestack.base.decoder_messages import decoder_messages
from featurestack.base.errors import RequestError, nearest
from featurestack.base.files import making, staged
from featurestack.base.json_content import digest
from featurestack.base.quantities import counted, size
from featurestack.base.registry import Registry
from featurestack.base.shell import quoted
from featurestack.base.table_files import csv_text
from featurestack.base.terminal import progress
from featurestack.cli.audio import RATE
from featurestack.cli.commands import command
from featurestack.features_cache import clip_table
from featurestack.features_cache.datasets import new_name
from featurestack.pipeline import audio
from featurestack.pipeline.audio import Samples, resample
from featurestack.pipeline.clip_spectra import Clip, ClipLike, clip_of
from featurestack.pipeline.datasets.load import LONGEST_CLIP, Dataset, load
from featurestack.pipeline.options import AlterOptions

SoundFunction = Callable[..., Samples]

N_FFT = 2048  # samples of a frame of the phase vocoder; fewer if the clip is shorter
VOCODER_SAMPLES = 16  # samples that the phase vocoder needs
MP3_RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
# lowest sample rate -> the lowest and the highest kbit/s of an MP3
MP3_KBIT = {32_000: (32, 320), 16_000: (8, 160), 0: (8, 64)}


def pitch(y: Samples, sample_rate: int, semitones: float) -> Samples:
    """Change the pitch but not the length; up to two semitones keep the class."""
    import librosa

    rate = 2.0 ** (-semitones / 12)
    slower = stretch(y, sample_rate, rate)
    return librosa.resample(slower, orig_sr=sample_rate / rate, target_sr=sample_rate)


def stretch(y: Samples, sample_rate: int, rate: float) -> Samples:
    """Play faster (rate above 1) or slower at the same pitch, as
    `librosa.effects.time_stretch`; fewer than VOCODER_SAMPLES samples stay unchanged.
    """
    import librosa

    if len(y) < VOCODER_SAMPLES:
        return y
    n_fft = min(N_FFT, 1 << (len(y).bit_length() - 1))
    spectrum = phase_vocoder(librosa.stft(y, n_fft=n_fft), rate)
    length = round(len(y) / rate)
    return librosa.istft(spectrum, n_fft=n_fft, dtype=y.dtype, length=length)


def phase_vocoder(spectrum: NDArray[np.complex64], rate: float) -> NDArray:
    """(bins, frames / rate): `librosa.phase_vocoder`, with phases in float64. librosa
    adds them in float32, in an order that depends on its version: after some hundreds
    of frames the samples differ by up to a third of the peak.
    """
    frames = spectrum.shape[1]
    position = np.arange(0, frames, rate)
    before = position.astype(int)
    after = np.minimum(before + 1, frames - 1)
    share = position - before

    magnitude = np.abs(spectrum)
    interpolated = (1 - share) * magnitude[:, before] + share * magnitude[:, after]

    phase = np.angle(spectrum).astype(np.float64)
    advance = phase[:, after] - phase[:, before]
    advance = np.concatenate([phase[:, :1], advance[:, :-1]], axis=1)
    return interpolated * np.exp(1j * np.cumsum(advance, axis=1))


def noise(y: Samples, sample_rate: int, snr_db: float, seed: int) -> Samples:
    """Add white noise, `snr_db` below the clip's level; none to a silent clip."""
    power = np.mean(np.square(y, dtype=np.float64))
    level = np.sqrt(power) * 10 ** (-snr_db / 20)
    rng = np.random.default_rng(int(seed))
    return y + level * rng.standard_normal(len(y))


def gain(y: Samples, sample_rate: int, db: float) -> Samples:
    """Make the clip softer, or louder up to full scale, so that nothing more clips."""
    factor = 10 ** (db / 20)
    peak = float(np.abs(y).max(initial=0))
    loudest = max(1.0, 1 / peak) if peak else 1.0
    return y * min(factor, loudest)


def shift(y: Samples, sample_rate: int, share: float) -> Samples:
    """Shift circularly by a share of the clip, to later times if it is positive."""
    return np.roll(y, round(share * len(y)))


def lowpass(y: Samples, sample_rate: int, hertz: float) -> Samples:
    """Attenuate what is above a frequency by 48 dB per octave."""
    from scipy import signal

    if 2 * hertz >= sample_rate:
        return y
    sections = signal.butter(8, hertz, fs=sample_rate, output="sos")
    return signal.sosfilt(sections, y)


def room(y: Samples, sample_rate: int, seconds: float, seed: int) -> Samples:
    """Add the echoes of a room in which sound falls by 60 dB within `seconds`."""
    from scipy import signal

    length = max(1, round(seconds * sample_rate))
    decay = 10 ** (-3 * np.arange(length) / length)
    echoes = decay * np.random.default_rng(int(seed)).standard_normal(length)
    echoes /= np.linalg.norm(echoes)
    return (y + signal.fftconvolve(y, echoes)[: len(y)]) / np.sqrt(2)


def mp3(y: Samples, sample_rate: int, kbit: float) -> Samples:
    """Write an MP3 of `kbit` kbit/s, as far as the rate allows, and read it back."""
    if not writes_mp3():
        raise RequestError("this libsndfile cannot write MP3: leave mp3 out")
    rate = min((rate for rate in MP3_RATES if rate >= sample_rate), default=48_000)
    least, most = next(ends for low, ends in MP3_KBIT.items() if rate >= low)
    level = np.clip((most - kbit) / (most - least), 0, 0.999)  # 1 is refused
    file = io.BytesIO()
    how = {"bitrate_mode": "CONSTANT", "compression_level": float(level)}
    soundfile.write(file, resample(y, sample_rate, rate), rate, format="MP3", **how)
    file.seek(0)
    with decoder_messages.kept():
        decoded, _ = soundfile.read(file, dtype="float32")
    return resample(decoded, rate, sample_rate)


def writes_mp3() -> bool:
    return "MP3" in soundfile.available_formats()


def overload(y: Samples, sample_rate: int, db: float) -> Samples:
    """Raise the peak to `db` above full scale, and clip at full scale."""
    peak = float(np.abs(y).max(initial=0))
    return np.clip(y * (10 ** (db / 20) / peak), -1, 1) if peak else y


def delay(y: Samples, sample_rate: int, seconds: float) -> Samples:
    """Put silence before the clip."""
    return np.concatenate([np.zeros(round(seconds * sample_rate), np.float32), y])


# name -> the function (y, sample_rate, …), and the range of each parameter, from which
# values are drawn uniformly: integers if the lower end is one, else three decimals
ALTERATIONS: Registry[tuple[SoundFunction, dict[str, tuple[float, float]]]] = Registry(
    "alteration",
    {
        "pitch": (pitch, {"semitones": (-2.0, 2.0)}),
        "stretch": (stretch, {"rate": (0.8, 1.25)}),
        "noise": (noise, {"snr_db": (10.0, 30.0), "seed": (0, 2**31)}),
        "gain": (gain, {"db": (-12.0, 12.0)}),
        "shift": (shift, {"share": (-0.5, 0.5)}),
        "lowpass": (lowpass, {"hertz": (1000.0, 8000.0)}),
        "room": (room, {"seconds": (0.2, 1.0), "seed": (0, 2**31)}),
        "mp3": (mp3, {"kbit": (32, 128)}),
        "overload": (overload, {"db": (0.0, 12.0)}),
        "delay": (delay, {"seconds": (0.0, 1.0)}),
    },
)


def draw_alteration(clip_id: str, number: int, chosen: Sequence[str], seed: int) -> str:
    """The text of the alteration for a clip's copy `number`, counted from 1: each clip
    cycles through the chosen alterations in its own order.
    """
    order = _generator(seed, clip_id).permutation(len(chosen))
    name = chosen[order[(number - 1) % len(chosen)]]
    rng = _generator(seed, clip_id, number)
    parameters = []
    _, ranges = ALTERATIONS[name]
    for key, (low, high) in ranges.items():
        if isinstance(low, int):
            value: object = rng.integers(low, int(high))
        else:
            value = round(rng.uniform(low, high), 3)
        parameters.append(f"{key}={value}")
    return f"{name}({','.join(parameters)})"


def altered(y: Samples, sample_rate: int, text: str) -> Samples:
    """The altered clip, float32, perhaps of another length; RequestError for an invalid
    text.
    """
    name, _, words = text.rstrip(")").partition("(")
    function, ranges = ALTERATIONS[name]
    values = dict(re.findall(r"(\w+)=([^,]+)", words))
    for key in values.keys() - ranges.keys():
        raise RequestError(nearest(f"parameter of {name}", key, ranges))
    try:
        parameters = {key: float(values[key]) for key in ranges}
    except (KeyError, ValueError):
        numbers = ",".join(f"{key}={high:g}" for key, (_, high) in ranges.items())
        raise RequestError(f"{text!r} lacks numbers, as in {name}({numbers})") from None
    return function(y, sample_rate, **parameters).astype(np.float32, copy=False)


def apply_alteration(y: Samples, sample_rate: int, text: str) -> Samples:
    """The altered clip, cut or padded with zeros to the length of `y`."""
    result = altered(y, sample_rate, text)[: len(y)]
    return np.pad(result, (0, len(y) - len(result)))


def _generator(*parts: object) -> np.random.Generator:
    """A generator seeded by the parts, the same in every process (`hash` is not)."""
    drawn = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return np.random.default_rng(int.from_bytes(drawn[:16], "little"))


@command
def alter(clip: ClipLike, how: str, sample_rate: float | None = None) -> Clip:
    """An altered copy, as long as the clip.

    Parameters
    ----------
    clip : path, Clip or array (samples,)
        An audio file, which is read as `fs.read` does, a clip, or samples.
    how : str
        An alteration with its parameters: `pitch(semitones=2)`, `stretch(rate=1.2)`,
        `noise(snr_db=20,seed=0)`, `gain(db=-6)`, `shift(share=0.25)`,
        `lowpass(hertz=3000)`, `room(seconds=0.5,seed=0)`, `mp3(kbit=32)`,
        `overload(db=12)`, `delay(seconds=1)`.
    sample_rate : int, optional
        Hz of samples, to which a file is resampled.

    Returns
    -------
    Clip

    Examples
    --------
    >>> import featurestack as fs
    >>> quiet = fs.alter(fs.tone(440), "gain(db=-6)")
    >>> round(float(abs(quiet.y).max()), 2)
    0.25
    """
    clip = clip_of(clip, sample_rate, file_rate=RATE)
    y = apply_alteration(clip.y, clip.sample_rate, how)
    return Clip.decoded(y, clip.sample_rate)


WRITTEN = ("filename", "label", "category", "fold", "group", "train_only", "alteration")


def write_altered(options: AlterOptions) -> AlterOptions:
    """Write the altered dataset of these options; return the options that name it."""
    chosen = sorted({*re.findall(r"[^,\s]+", options.alter)})
    for name in chosen:
        ALTERATIONS[name]  # RequestError for an unknown one
    dataset = load(replace(options, name=""))
    if not dataset.has_audio:
        raise RequestError(
            f"{dataset.name}: ALTER= takes audio files with labels, not a cache"
        )
    name = new_name(options.name or f"{dataset.name}-altered")
    if name == dataset.name:
        raise RequestError(
            f"NAME={name} is the name of the dataset itself: give the altered one"
            f" another name, such as {quoted(f'NAME={name}-altered')}"
        )
    copies = draw_copies(clip_table.originals(dataset.table), chosen, options)
    folder, file = options.data / name, f"{name}.csv"
    with making(folder), staged(folder, ("audio", file)) as stage:
        (stage / "audio").mkdir()
        stored = size(4 * dataset.samples * len(copies))
        altered_clips = counted(len(copies), "altered clip")
        print(f"{name}: {altered_clips}, about {stored}", flush=True)
        rows = copies.itertuples()
        jobs = (delayed(write_copy)(stage, copy, dataset) for copy in rows)
        threads = Parallel(os.cpu_count(), backend="threading", return_as="generator")
        bar = progress(threads(jobs), total=len(copies), label="alter", unit="clips")
        copies = copies[list(bar)]
        text = csv_text(copies_table(dataset, copies))
        (stage / file).write_text(text, "utf-8")
    return replace(
        options,
        dataset=str(folder / file),
        name="",
        alter="",
        archive="",
        audio_dir="",
        group=None,
        label=None,
    )


def draw_copies(
    clips: pd.DataFrame, chosen: Sequence[str], options: AlterOptions
) -> pd.DataFrame:
    """COPIES rows for each clip, with the file and the alteration of each copy."""
    ids = clips["clip_id"]
    names = ids.str.replace("/", "_")
    same = names.duplicated(keep=False)  # a/b_c and a_b/c
    names = names.where(~same, names + "-" + ids.map(digest).str[:6])
    rounds = []
    for number in range(1, options.copies + 1):
        files = "audio/" + names + f"~{number}.wav"
        texts = [draw_alteration(clip, number, chosen, options.seed) for clip in ids]
        rounds.append(clips.assign(filename=files, train_only="1", alteration=texts))
    return pd.concat(rounds, ignore_index=True)


def copies_table(dataset: Dataset, copies: pd.DataFrame) -> pd.DataFrame:
    """Return what the CSV holds: the clips with absolute paths, then the copies."""
    clips = dataset.table.assign(filename=dataset.table["path"], alteration="")
    table = pd.concat([clips, copies.assign(start=0.0, end=0.0)])
    columns = [*WRITTEN]
    if clip_table.has_windows(clips):
        columns += clip_table.WINDOW_COLUMNS
        places = table[[*clip_table.WINDOW_COLUMNS]].astype(object)
        table[places.columns] = places.where(table[["end"]].to_numpy() > 0, "")
    if not table["category"].all():
        columns.remove("category")
    return table[columns]


def write_copy(folder: Path, copy: Any, dataset: Dataset) -> bool:
    """Write one copy; return whether its original can be read."""
    from scipy.io import wavfile

    rate = dataset.sample_rate
    try:
        y = audio.decode(copy.path, rate, LONGEST_CLIP, (copy.start, copy.end))
    except audio.AudioError:
        return False
    altered = apply_alteration(y[: round(LONGEST_CLIP * rate)], rate, copy.alteration)
    content = io.BytesIO()  # by scipy: libsndfile adds a time to float samples
    wavfile.write(content, rate, altered)
    (folder / copy.filename).write_bytes(content.getvalue())
    return True
