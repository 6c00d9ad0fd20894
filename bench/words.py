"""A second task for choices that must not rest on environmental sounds alone: words in many voices and noise.

    python -m bench.words FOLDER=../words
    make features DATASET=../words/clips.csv AUDIO_DIR=../words/audio

espeak-ng (a package of Debian, Fedora and Homebrew) speaks each word once in each voice, a second long, at
16 kHz; white or pink noise lies over it, -5 to 20 dB below the word. A voice is one group and stays within
one fold, so that a model is tested on voices that it was not trained on. The same seed gives the same files.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from numpy.typing import NDArray

from bench.speech import spoken
from commandline.commands import main
from commandline.options import Options, option
from commandline.terminal import progress

RATE = 16_000
FOLDS = 5
SNR = (-5.0, 20.0)  # dB, lowest and highest
PEAK = 0.5
WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"),
)
ACCENTS = ("en-gb", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan")
SPEAKERS = ("m1", "m3", "m5", "m7", "f1", "f2", "f3", "f4", "f5", "croak")

Samples = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class WordsOptions(Options):
    """Where, and how many voices."""

    folder: Path = option(Path("../words"), "is made, with audio/ and clips.csv")
    voices: int = option(50, "of the fifty pairs of an accent and a speaker, the first so many")
    seed: int = option(0, "draws noise, its level, pitch and speed of speaking")


def words(options: WordsOptions) -> None:
    """Speak every word in every voice, with noise, and write the dataset's table."""
    voices = [f"{accent}+{speaker}" for speaker in SPEAKERS for accent in ACCENTS][: options.voices]
    (options.folder / "audio").mkdir(parents=True, exist_ok=True)
    rows = []
    for number, voice in enumerate(progress(voices, label="speaking", unit="voices")):
        for place, word in enumerate(WORDS):
            rng = np.random.default_rng([options.seed, number, place])
            name = f"{word}-{voice}.wav"
            soundfile.write(options.folder / "audio" / name, noisy(speak(word, voice, rng), rng), RATE)
            rows.append({"filename": name, "label": word, "fold": 1 + number % FOLDS, "group": voice})
    file = options.folder / "clips.csv"
    pd.DataFrame(rows).to_csv(file, index=False)
    print(f"{len(rows)} clips: make features DATASET={file} AUDIO_DIR={options.folder / 'audio'}")


def speak(word: str, voice: str, rng: np.random.Generator) -> Samples:
    """(RATE,) one second with the word somewhere in it, at PEAK."""
    pitch, speed = rng.integers(30, 71), rng.integers(130, 191)
    y = _trimmed(*spoken(word, voice, words_a_minute=int(speed), pitch=int(pitch)))[:RATE]
    start = rng.integers(0, RATE - len(y) + 1)
    y = np.pad(y, (start, RATE - len(y) - start))
    return (PEAK * y / np.abs(y).max()).astype(np.float32)


def _trimmed(y: Samples, rate: int) -> Samples:
    """At RATE, without the silence around the word."""
    import librosa

    return librosa.effects.trim(librosa.resample(y, orig_sr=rate, target_sr=RATE), top_db=40)[0]


def noisy(y: Samples, rng: np.random.Generator) -> Samples:
    """With noise, white or pink, of a level drawn from SNR; never clipped."""
    noise = rng.normal(size=len(y))
    if rng.random() < 0.5:
        spectrum = np.fft.rfft(noise)
        noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), len(y))
    wanted = np.sqrt((y**2).mean()) * 10 ** (-rng.uniform(*SNR) / 20)
    mixed = y + noise * wanted / np.sqrt((noise**2).mean())
    return (mixed / max(1.0, np.abs(mixed).max())).astype(np.float32)


if __name__ == "__main__":
    main([words])
