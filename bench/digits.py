"""Spoken digits, synthesised: `python -m bench.digits --out digits`, a folder of ten classes at 8 kHz.

Short words at a low rate, spoken by six voices of espeak-ng (a package of every Linux distribution), each a
group. Speed, pitch, loudness and background noise are drawn anew for each clip; one in a hundred is spoken
slowly after a pause and is longer than two seconds. docs/howto/short-clips.md works through it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from bench.speech import spoken
from commandline.commands import main
from commandline.options import Options, option
from commandline.registry import RequestError
from commandline.terminal import progress
from pipeline import audio

RATE = 8000  # Hz
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
VOICES = {
    "andy": "en-gb+Andy",
    "annie": "en-us+Annie",
    "belinda": "en-gb-scotland+belinda",
    "gene": "en-us+gene",
    "linda": "en-029+linda",
    "mike": "en-gb-x-rp+Mike",
}
QUIET = 1e-3  # of full scale: softer samples at the ends are cut


@dataclass(frozen=True, kw_only=True)
class DigitsOptions(Options):
    """What to synthesise."""

    out: Path = option(Path("digits"), "a new folder")
    takes: int = option(8, "clips of each digit and voice")
    seed: int = option(0, "of speed, pitch, loudness and noise")


def digits(options: DigitsOptions) -> None:
    """Write <out>/<digit>/<voice>_<take>.wav."""
    if options.out.exists():
        raise RequestError(f"{options.out} is there already: give another folder")
    takes = [(w, v, t) for w in range(len(WORDS)) for v in range(len(VOICES)) for t in range(options.takes)]
    for word, voice, take in progress(takes, total=len(takes), label="digits", unit="clips"):
        rng = np.random.default_rng([options.seed, word, voice, take])
        folder = options.out / WORDS[word]
        folder.mkdir(parents=True, exist_ok=True)
        y = clip(WORDS[word], list(VOICES.values())[voice], rng)
        soundfile.write(folder / f"{list(VOICES)[voice]}_{take:03d}.wav", y, RATE, subtype="PCM_16")


def clip(word: str, voice: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """A word as this voice speaks it, (samples,) at RATE."""
    slow = rng.random() < 0.01
    words_a_minute, pitch = (60 if slow else rng.integers(140, 260)), rng.integers(20, 80)
    y = trimmed(*spoken(word, voice, words_a_minute=int(words_a_minute), pitch=int(pitch)))
    y = y / np.abs(y).max() * 10 ** rng.uniform(-1.2, -0.1)
    y = np.pad(y, (round(1.8 * RATE) if slow else 0, 0))
    level = np.sqrt(np.mean(y**2)) * 10 ** (-rng.uniform(-5, 15) / 20)  # from 5 dB above the word to 15 below
    return np.clip(y + rng.normal(0, level, len(y)), -1, 1).astype(np.float32)


def trimmed(y: NDArray[np.floating], rate: int) -> NDArray[np.floating]:
    """At RATE, without the silence around the word."""
    y = audio.resample(y, rate, RATE).astype(np.float64)
    loud = np.flatnonzero(np.abs(y) > QUIET)
    return y[loud[0] : loud[-1] + 1]


if __name__ == "__main__":
    main([digits])
