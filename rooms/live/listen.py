"""`python -m train listen`: repeated predictions for the last seconds of the
microphone, or of raw PCM on standard input.

A thread reads the input, so a slow prediction never blocks the microphone; the next
prediction is for the newest audio. If a prediction takes less than HOP seconds, the
latency is at most HOP plus that time.
"""

import importlib.util
import json
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from queue import SimpleQueue
from typing import Any

import numpy as np
import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.commandline.terminal import tell
from featurestack.pipeline.audio import LARGEST_SAMPLE
from featurestack.predict.audio_model import NO_ANSWER, AudioModel, Samples
from featurestack.predict.recordings import resampled
from featurestack.rooms.live.options import ListenOptions
from featurestack.scores.tasks.registry import require_clips

BLOCK = 0.05  # seconds of audio read at once
PCM: dict[str, np.dtype[Any]] = {
    "s16": np.dtype("<i2"),
    "s32": np.dtype("<i4"),
    "f32": np.dtype("<f4"),
}


def newest(
    blocks: Iterator[Samples], samples: int, step: int
) -> Iterator[tuple[Samples, int]]:
    """Yield the last `samples` samples of a stream, and how many there were, whenever
    `step` more have come.

    Samples that arrive during a prediction count together. The end of the stream also
    yields, if samples have come since.
    """
    queue: SimpleQueue[Samples | None] = SimpleQueue()  # None at the end

    def read() -> None:
        for block in blocks:
            queue.put(block)
        queue.put(None)

    threading.Thread(target=read, daemon=True).start()
    y = np.zeros(0, np.float32)
    received = told = 0
    block: Samples | None = y
    while block is not None:
        block = queue.get()
        if block is not None:
            y = np.concatenate([y, block])[-samples:]
            received += len(block)
        due = block is None or (received >= told + step and queue.empty())
        if due and received > told:
            told = received
            yield y, received


def microphone(rate: int, kind: np.dtype[Any]) -> Callable[[int], bytes]:
    """A function that waits for a number of bytes of the microphone."""
    try:
        import sounddevice

        stream = sounddevice.RawInputStream(
            samplerate=rate, channels=1, dtype=kind.name
        )
        stream.start()
    except Exception as error:
        # errors of many classes: no PortAudio, no device, an unsupported rate
        raise RequestError(
            f"no microphone ({error}): pipe audio in, as --help shows"
        ) from None
    return lambda size: bytes(stream.read(size // kind.itemsize)[0])


def listen_live(options: ListenOptions) -> int:
    """Predict until the input ends; 1 if it held no audio."""
    terminal = sys.stdin is None or sys.stdin.isatty()
    if terminal and importlib.util.find_spec("sounddevice") is None:
        raise RequestError(
            "no audio comes in: pipe a microphone in, or install the extra live"
        )
    model = AudioModel.open(options)
    require_clips(model.task, f"{model.config.model} of {model.config.dataset}")
    rate = model.sample_rate
    samples = model.window_samples(options.window)
    hop = options.hop
    list(model.predict([(0, np.zeros(model.samples, np.float32))]))  # compiles too
    tell(f"one prediction every {hop:g} s for the last {samples / rate:g} s")
    incoming = options.rate or rate
    kind = PCM[options.format]
    # divided by it, integers are -1 to 1
    scale = np.iinfo(kind).max + 1.0 if kind.kind == "i" else 1.0
    read = microphone(incoming, kind) if terminal else sys.stdin.buffer.read
    block_bytes = max(1, round(BLOCK * incoming)) * kind.itemsize

    def blocks() -> Iterator[Samples]:
        for raw in iter(partial(read, block_bytes), b""):
            whole = len(raw) // kind.itemsize
            integers = np.frombuffer(raw, kind, whole)
            yield (integers / scale).astype(np.float32)

    live = newest(resampled(blocks(), incoming, rate), samples, round(hop * rate))
    received = 0
    for y, received in live:
        if not np.abs(y).max() <= LARGEST_SAMPLE:  # refuses NaN too
            raise RequestError(
                f"FORMAT={options.format}: standard input holds no audio in this format"
            )
        ((_, probabilities, predicted),) = model.predict([(0, y)])
        every = pd.Series(probabilities.astype(float), model.classes)
        best = every.nlargest(options.top).to_dict()
        if options.json:
            line = {"seconds": round(received / rate, 3), "predicted": predicted}
            print(json.dumps({**line, "probabilities": best}), flush=True)
            continue
        named = "  ".join(f"{name} {p:.2f}" for name, p in best.items())
        answer = named if predicted else NO_ANSWER
        print(f"{received / rate:8.1f} s  {answer}", flush=True)
    if not received:
        tell("standard input ended before there was any audio")
    return 0 if received else 1
