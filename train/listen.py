"""`python -m train listen`: raw PCM on standard input, an answer on the last seconds of it again and again.

    sox -d -t raw -r 44100 -e signed -b 16 -c 1 - | python -m train listen RUN
    arecord -f S16_LE -r 44100 -c 1 -t raw | python -m train listen RUN

A thread reads what comes in, so that a slow answer loses nothing and never blocks the microphone: the next
answer is then on what is newest. A sound reaches the answer after HOP seconds and the computing at most.
"""

import json
import sys
import threading
import time
from typing import BinaryIO

import numpy as np
import pandas as pd

from commandline import RequestError, tell
from train.predict import Hearing
from train.trained import Trained, open_trained
from train.trained_options import ListenOptions
from train.windows import Samples, pcm_blocks, resampled

PIECE = 0.05  # seconds of sound read at once
WIDTH = 100  # columns of the live line


class Ear:
    """The newest `samples` of an endless sound, filled by a thread of its own."""

    def __init__(self, stream: BinaryIO, options: ListenOptions, sample_rate: int, samples: int) -> None:
        rate = options.rate or sample_rate
        pieces = pcm_blocks(stream, options.format, max(1, round(PIECE * rate)))
        self.blocks = resampled(pieces, rate, sample_rate)
        self.samples = samples
        self.newest = np.zeros(0, np.float32)
        self.heard = 0  # samples so far
        self.ended = False
        self.news = threading.Condition()
        threading.Thread(target=self._fill, daemon=True).start()

    def _fill(self) -> None:
        for block in self.blocks:
            with self.news:
                self.newest = np.concatenate([self.newest, block])[-self.samples :]
                self.heard += len(block)
                self.news.notify()
        with self.news:
            self.ended = True
            self.news.notify()

    def wait(self, heard: int) -> tuple[Samples, int, bool]:
        """The newest samples once `heard` have come in, or at the end: padded as a short clip is."""
        with self.news:
            self.news.wait_for(lambda: self.ended or self.heard >= heard)
            y = np.pad(self.newest, (0, self.samples - len(self.newest)))
            return y, self.heard, self.ended


def listen(options: ListenOptions) -> int:
    """Answer until standard input ends; 1 where nothing came."""
    if options.hop <= 0:
        raise RequestError(f"HOP={options.hop:g}: expected seconds from one answer to the next")
    if sys.stdin.isatty():
        raise RequestError("listen reads sound from standard input: pipe a microphone in, as --help shows")
    trained = open_trained(options)
    hearing = Hearing(trained.config)
    computing = _warm_up(trained, hearing)
    tell(
        f"each {options.hop:g} s an answer on the last {trained.config['duration']:g} s; "
        f"latency {options.hop + computing:.2f} s at most ({computing:.2f} s of it computing)"
    )
    ear = Ear(sys.stdin.buffer, options, hearing.sample_rate, hearing.samples)
    step, heard, ended = round(options.hop * hearing.sample_rate), 0, False
    while not ended:
        y, now, ended = ear.wait(heard + step)
        if now > heard:
            heard = now
            _tell(_answer(trained, hearing, y), heard / hearing.sample_rate, options)
    if sys.stdout.isatty() and not options.json:
        print()
    if not heard:
        tell("standard input ended before there was a sound")
    return 0 if heard else 1


def _answer(trained: Trained, hearing: Hearing, y: Samples) -> pd.Series:
    """Probabilities by class, the highest first."""
    values = [channel[None] for channel in hearing(y)]
    return pd.Series(trained.probabilities(values)[0].astype(float), trained.classes).nlargest(
        len(trained.classes)
    )


def _warm_up(trained: Trained, hearing: Hearing) -> float:
    """Seconds that an answer takes once everything is compiled."""
    silence = np.zeros(hearing.samples, np.float32)
    _answer(trained, hearing, silence)
    start = time.perf_counter()
    _answer(trained, hearing, silence)
    return time.perf_counter() - start


def _tell(answer: pd.Series, seconds: float, options: ListenOptions) -> None:
    best = answer.head(options.top)
    if options.json:
        print(json.dumps({"seconds": round(seconds, 3), "probabilities": best.to_dict()}), flush=True)
        return
    text = f"{seconds:8.1f} s  " + "  ".join(f"{name} {p:.2f}" for name, p in best.items())
    if sys.stdout.isatty():
        print(f"\r{text[:WIDTH]:{WIDTH}}", end="", flush=True)
    else:
        print(text, flush=True)
