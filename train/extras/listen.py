"""`python -m train listen`: raw PCM on standard input, again and again a prediction for its last seconds.

    sox -d -t raw -r 44100 -e signed -b 16 -c 1 - | python -m train listen RUN
    arecord -f S16_LE -r 44100 -c 1 -t raw | python -m train listen RUN

A thread reads what comes in, so that a slow prediction loses nothing and never blocks the microphone: the
next one is then for what is newest. The delay is HOP seconds and the computing at most.
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from commandline.registry import RequestError
from commandline.terminal import tell
from train.bundle import open_model
from train.options import ListenOptions
from train.predict import FeatureExtractor
from train.rejection import NO_ANSWER, Rejection, Samples
from train.timeline import resampled

BLOCK = 0.05  # seconds of audio read at once
WIDTH = 100  # columns of the live line
PCM: dict[str, np.dtype[Any]] = {"s16": np.dtype("<i2"), "s32": np.dtype("<i4"), "f32": np.dtype("<f4")}


def pcm_blocks(stream: BinaryIO, form: str, samples: int) -> Iterator[Samples]:
    """Mono samples from raw PCM, `samples` at a time as they come; integers become -1 to 1."""
    kind = PCM[form]
    while raw := stream.read(samples * kind.itemsize):
        whole = raw[: len(raw) // kind.itemsize * kind.itemsize]
        values = np.frombuffer(whole, kind)
        scale = np.iinfo(kind).max + 1.0 if kind.kind == "i" else 1.0
        yield (values / scale).astype(np.float32)


class LiveAudio:
    """The newest `samples` of an endless stream, filled by a thread of its own."""

    def __init__(self, stream: BinaryIO, options: ListenOptions, sample_rate: int, samples: int) -> None:
        rate = options.rate or sample_rate
        blocks = pcm_blocks(stream, options.format, max(1, round(BLOCK * rate)))
        self.blocks = resampled(blocks, rate, sample_rate)
        self.samples = samples
        self.newest = np.zeros(0, np.float32)
        self.received = 0  # samples so far
        self.ended = False
        self.changed = threading.Condition()
        threading.Thread(target=self._fill, daemon=True).start()

    def _fill(self) -> None:
        for block in self.blocks:
            with self.changed:
                self.newest = np.concatenate([self.newest, block])[-self.samples :]
                self.received += len(block)
                self.changed.notify()
        with self.changed:
            self.ended = True
            self.changed.notify()

    def wait(self, received: int) -> tuple[Samples, int, bool]:
        """The newest samples once `received` have come in, or at the end; at first they are fewer."""
        with self.changed:
            self.changed.wait_for(lambda: self.ended or self.received >= received)
            return self.newest, self.received, self.ended


def listen_live(options: ListenOptions) -> int:
    """Predict until standard input ends; 1 if nothing came.

    listen_live(ListenOptions(run="last", hop=0.25))
    """
    if sys.stdin.isatty():
        raise RequestError("listen reads audio from standard input: pipe a microphone in, as --help shows")
    model = open_model(options)
    extractor = FeatureExtractor(model.config)
    rate, samples = extractor.sample_rate, extractor.window_samples(options.window)
    rejection = Rejection.of(options, model.config)

    def predict(y: Samples) -> pd.Series:
        """Probabilities by class, the highest first."""
        values = [channel[None] for channel in extractor(y)]
        answer = model.probabilities(values, filled=extractor.filled([y]))[0].astype(float)
        return pd.Series(answer, model.classes).nlargest(len(model.classes))

    silence = np.zeros(extractor.samples, np.float32)
    predict(silence)  # compiles
    start = time.perf_counter()
    predict(silence)
    computing = time.perf_counter() - start
    tell(
        f"each {options.hop:g} s a prediction for the last {samples / rate:g} s; "
        f"latency {options.hop + computing:.2f} s at most ({computing:.2f} s of it computing)"
    )
    live = LiveAudio(sys.stdin.buffer, options, rate, samples)
    step, received, ended, terminal = round(options.hop * rate), 0, False, sys.stdout.isatty()
    while not ended:
        y, now, ended = live.wait(received + step)
        if now > received:
            received, best = now, predict(y)
            answered = rejection.loud(y, rate) and best.iloc[0] >= rejection.probability
            best = best.head(options.top)
            if options.json:
                line = {"seconds": round(received / rate, 3), "predicted": best.index[0] if answered else ""}
                print(json.dumps({**line, "probabilities": best.to_dict()}), flush=True)
                continue
            answer = "  ".join(f"{name} {p:.2f}" for name, p in best.items()) if answered else NO_ANSWER
            text = f"{received / rate:8.1f} s  {answer}"
            live_line = f"\r{text[:WIDTH]:{WIDTH}}"  # over the one before
            print(live_line if terminal else text, end="" if terminal else "\n", flush=True)
    if terminal and not options.json:
        print()
    if not received:
        tell("standard input ended before there was any audio")
    return 0 if received else 1
