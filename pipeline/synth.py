"""A small synthetic dataset: ten classes of sound, in five pairs.

    pitch         chimes_in_c   chimes_in_f_sharp   scales that share no pitch class
    rhythm        steady_beat   galloping_beat      even or short-short-long
    timbre        hollow_drone  bright_drone        odd partials, or all and brighter
    noise colour  hiss          rumble              falling by about 2 or 5 dB an octave
    envelope      knocks        swells              bursts that fade, or run backwards

Each pair differs in one property, and one feature separates it: chroma the first, the
tempogram the second, MFCC the third, mel the fourth, onset strength the last, whose
classes have the same average spectrum. Everything else is drawn alike for all classes:
register, room and background once for each source recording, the level once for each
clip. A source gives several takes and is in one fold. `synth_mix` mixes sounds of the
first four pairs: one to three classes per clip, from different pairs.

Samples are (n,) float64 at SAMPLE_RATE. All randomness is drawn from generators.
"""

import io
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy
import soundfile
from numpy.typing import NDArray

from featurestack.base.files import making, staged
from featurestack.base.table_files import csv_text
from featurestack.base.terminal import progress
from featurestack.features_cache.clip_table import SEPARATOR
from featurestack.pipeline.datasets.esc50 import META_COLUMNS

Wave = NDArray[np.float64]
SAMPLE_RATE = 44_100  # Hz
CLIP_SECONDS = 5.0
# folds; source recordings of each class and fold; clips of each source
FOLDS, SOURCES, TAKES = 5, 2, 2
MIXTURES = 400  # clips of a mix, each of its own source
MOST_TOGETHER = 3  # classes in a clip of a mix
# without the last: texture statistics cannot distinguish the envelopes in a mix
MIXED_PAIRS = 4
SEED = 0
# mean rms, as a share of full scale: peaks of the sparsest clips stay below full scale
SOUND_LEVEL = 0.04
# the first source number, raised when the clips change, so that files get new names
FIRST_SOURCE = 2000
C_SCALE = (0, 2, 4, 7, 9)  # pentatonic, semitones above C
F_SHARP_SCALE = (6, 8, 10, 1, 3)
C4 = 261.63  # Hz


class _SourceRecording:
    """The properties that all takes of one source recording share."""

    def __init__(self, rng: np.random.Generator) -> None:
        reverberation = rng.uniform(0.05, 0.3)
        time = seconds(4 * reverberation)
        echoes = rng.standard_normal(len(time)) * np.exp(-time / reverberation)
        strength = rng.uniform(0.1, 0.7)
        self.room = echoes * (strength / np.linalg.norm(echoes))  # impulse response
        self.room[0] = 1  # the direct sound
        self.pitch = rng.uniform(80, 250)  # Hz, the middle of the drones' glide
        self.tilt = rng.uniform(-0.2, 0.2)  # added to the rolloff of tones
        self.beat = rng.uniform(0.29, 0.31)  # seconds between beats, on average
        # Hz, centre of bursts and resonance
        self.centre = np.exp(rng.uniform(np.log(300), np.log(5000)))
        self.resonance = rng.uniform(-8, 8)  # dB, gain of steady noise at the centre
        self.decay = rng.uniform(0.36, 0.4)  # seconds in which events fade to 1/e
        # dB an octave, slope of the background noise
        self.background = rng.uniform(-5, 0)
        self.snr = rng.uniform(10, 16)  # dB, sound over background noise
        self.tuning = rng.uniform(-0.4, 0.4)  # semitones, tuning of the bells


def seconds(duration: float) -> Wave:
    """Seconds from the beginning to each sample."""
    return np.arange(round(duration * SAMPLE_RATE)) / SAMPLE_RATE


def harmonic_tone(
    pitch: float, partials: Sequence[int], rolloff: float, time: Wave
) -> Wave:
    """Sines at multiples n of a pitch, with amplitudes n^-rolloff."""
    amplitudes = np.zeros(max(partials) + 1)
    for number in partials:
        if number * pitch < SAMPLE_RATE / 2.2:
            amplitudes[number] = number**-rolloff
    # powers of the fundamental are its harmonics
    fundamental = np.exp(2j * np.pi * pitch * time)
    tone = np.polynomial.polynomial.polyval(fundamental, amplitudes)
    return tone.imag


def filtered(
    samples: Wave,
    gain: Callable[[Wave], Wave],
    centre: float,
    lowest: float = 1,
) -> Wave:
    """Filter with a gain that depends on octaves above a centre (Hz); it is constant
    below `lowest`.
    """
    frequency = scipy.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    octaves = np.log2(np.maximum(frequency, lowest) / centre)
    spectrum = scipy.fft.rfft(samples) * gain(octaves)
    return scipy.fft.irfft(spectrum, len(samples))


def coloured_noise(rng: np.random.Generator, samples: int, slope: float) -> Wave:
    """Noise of unit variance whose power changes by `slope` dB per octave."""
    white = rng.standard_normal(samples)
    noise = filtered(
        white, lambda octaves: 10 ** (slope * octaves / 20), 1000, lowest=30
    )
    return noise / noise.std()


def burst(source: _SourceRecording, rng: np.random.Generator, decay: float) -> Wave:
    """Noise around the source's centre that begins abruptly and fades."""
    size = scipy.fft.next_fast_len(round(5 * decay * SAMPLE_RATE), real=True)
    white = rng.standard_normal(size)
    noise = filtered(white, lambda octaves: np.exp(-(octaves**2)), source.centre)
    fade = np.exp(-np.arange(size) / (decay * SAMPLE_RATE))
    return noise * fade


def scene(events: Sequence[tuple[float, Wave]]) -> Wave:
    """A clip with each event at its time (s); events are cut at the clip's end."""
    clip = np.zeros(round(CLIP_SECONDS * SAMPLE_RATE))
    for time, event in events:
        start = round(time * SAMPLE_RATE)
        left = max(0, len(clip) - start)
        event = event[:left]
        clip[start : start + len(event)] += event
    return clip


# The ten classes: (source, rng, the property that differs in a pair) -> a dry take


def chimes(
    source: _SourceRecording, rng: np.random.Generator, scale: Sequence[int]
) -> Wave:
    """Struck tones of a scale, each twice, in any of five octaves, at any time."""
    time = seconds(1.5)
    fade = np.exp(-time / source.decay)
    semitones = tuple(scale) * 2
    starts = rng.uniform(0, CLIP_SECONDS - 0.5, size=len(semitones))
    events = []
    for semitone, start in zip(semitones, starts):
        octave = rng.integers(0, 5)
        pitch = C4 * 2 ** ((semitone + source.tuning) / 12 + octave)
        struck = harmonic_tone(pitch, (1, 2), 1 + source.tilt, time)
        loudness = rng.uniform(0.4, 1)
        events.append((start, loudness * fade * struck))
    return scene(events)


def beat(
    source: _SourceRecording, rng: np.random.Generator, pattern: Sequence[float]
) -> Wave:
    """Short bursts at the intervals of a repeated pattern, slightly off the beat."""
    beats = np.cumsum(np.tile(pattern, 20))
    first = rng.uniform(-3, 0)
    times = source.beat * (beats + first)
    times += rng.normal(0, 0.004, size=len(times))
    events = []
    for time in times:
        if 0 <= time < CLIP_SECONDS:
            events.append((time, burst(source, rng, 0.03)))
    return scene(events)


def drone(
    source: _SourceRecording,
    rng: np.random.Generator,
    partials: Sequence[int],
    rolloff: float,
) -> Wave:
    """One long tone whose pitch glides up and down."""
    time = seconds(CLIP_SECONDS)
    rate = rng.uniform(0.2, 0.5)  # Hz
    phase = rng.uniform()
    octaves = 0.5 * np.sin(2 * np.pi * (rate * time + phase))
    cycles = source.pitch * np.cumsum(2**octaves) / SAMPLE_RATE
    return harmonic_tone(1.0, partials, rolloff + source.tilt, cycles)


def steady_noise(
    source: _SourceRecording, rng: np.random.Generator, slope: float
) -> Wave:
    """Steady noise with the source's resonance and a slope near that of its class."""

    def gain(octaves: Wave) -> Wave:
        decibels = source.resonance * np.exp(-(octaves**2))
        return 10 ** (decibels / 20)

    own_slope = slope + rng.uniform(-1, 1)
    noise = coloured_noise(rng, round(CLIP_SECONDS * SAMPLE_RATE), own_slope)
    return filtered(noise, gain, source.centre)


def events(source: _SourceRecording, rng: np.random.Generator, backwards: bool) -> Wave:
    """Eight long bursts at any time, forwards or backwards."""
    times = rng.uniform(0, CLIP_SECONDS - 0.5, size=8)
    bursts = [(time, burst(source, rng, source.decay)) for time in times]
    samples = scene(bursts)
    return samples[::-1] if backwards else samples


CLASS_SOUNDS: dict[str, Callable[[_SourceRecording, np.random.Generator], Wave]] = {
    "chimes_in_f_sharp": partial(chimes, scale=F_SHARP_SCALE),
    "chimes_in_c": partial(chimes, scale=C_SCALE),
    "galloping_beat": partial(beat, pattern=(0.6, 0.6, 1.8)),
    "steady_beat": partial(beat, pattern=(1, 1, 1)),
    "bright_drone": partial(drone, partials=range(1, 40), rolloff=0.7),
    "hollow_drone": partial(drone, partials=range(1, 40, 2), rolloff=1.3),
    "rumble": partial(steady_noise, slope=-5.0),
    "hiss": partial(steady_noise, slope=-2.0),
    "swells": partial(events, backwards=True),
    "knocks": partial(events, backwards=False),
}


def clip_rows(mix: bool = False) -> pd.DataFrame:
    """The clips in ESC-50's columns; in a `mix`, `target` is the number of labels."""
    rows = []
    of_class = FOLDS * SOURCES
    sources = len(CLASS_SOUNDS) * of_class
    takes = TAKES
    if mix:
        sources = MIXTURES
        takes = 1
    names = list(CLASS_SOUNDS)
    for number, letter in product(range(sources), "ABCDEFGH"[:takes]):
        target = number // of_class % len(CLASS_SOUNDS)
        label = names[target]
        fold = 1 + number % FOLDS
        source = FIRST_SOURCE + number
        if mix:
            rng = np.random.default_rng([SEED, source])
            target = int(rng.integers(1, MOST_TOGETHER + 1))
            pairs = rng.choice(MIXED_PAIRS, target, replace=False)
            labels = [names[2 * pair + rng.integers(2)] for pair in pairs]
            label = SEPARATOR.join(sorted(labels))
        name = f"{fold}-{source}-{letter}-{target}.wav"
        rows.append((name, fold, target, label, False, source, letter))
    table = pd.DataFrame(rows, columns=META_COLUMNS)
    return table.sort_values("filename", ignore_index=True)


def clip(row: Any) -> Wave:
    """One clip, decided by its row and SEED; its level says nothing of its class."""
    source = _SourceRecording(np.random.default_rng([SEED, row.src_file]))
    rng = np.random.default_rng([SEED, row.src_file, ord(row.take)])
    mixed = np.zeros(round(CLIP_SECONDS * SAMPLE_RATE))
    for label in row.category.split(SEPARATOR):
        dry = CLASS_SOUNDS[label](source, rng)
        wet = scipy.signal.fftconvolve(dry, source.room)
        wet = wet[: len(mixed)]
        mixed += wet / wet.std()
    background = coloured_noise(rng, len(mixed), source.background)
    mixed += 10 ** (-source.snr / 20) * background
    loudness = rng.uniform(0.7, 1.4)
    scaled = mixed * SOUND_LEVEL * loudness / mixed.std()
    return np.clip(scaled, -0.99, 0.99)


def write_dataset(folder: Path, mix: bool = False) -> Path:
    """Write audio/ and meta/synth.csv, or synth_mix.csv, unless they exist."""
    rows = clip_rows(mix)
    listed = csv_text(rows)
    name = "synth_mix.csv" if mix else "synth.csv"
    meta = folder / "meta" / name
    there = all((folder / "audio" / name).exists() for name in rows["filename"])
    # without the lock, since the folder may be another user's
    if there and meta.exists() and meta.read_text() == listed:
        return folder
    with making(folder), staged(folder, ("audio", "meta")) as stage:
        for part in ("audio", "meta"):
            (stage / part).mkdir()
        (stage / "meta" / name).write_text(listed)
        clips = rows.itertuples()
        for row in progress(clips, total=len(rows), label="synthesise", unit="clips"):
            # written via memory, because libsndfile does not notice a full disk
            wav = io.BytesIO()
            how = {"subtype": "PCM_16", "format": "WAV"}
            soundfile.write(wav, clip(row), SAMPLE_RATE, **how)
            (stage / "audio" / row.filename).write_bytes(wav.getvalue())
    return folder
