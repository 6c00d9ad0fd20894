"""`make listen`: predict the last seconds of the microphone, or of 16-bit PCM on
standard input, again and again.

A thread reads the input, so a slow prediction never blocks the microphone; the next
prediction is for the newest audio. If a prediction takes less than HOP seconds, the
latency is at most HOP plus that time.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from featurestack.base.errors import RequestError
from featurestack.base.terminal import tell
from featurestack.extras.listen import ListenOptions
from featurestack.predict.model import Model

BLOCK = 0.05  # seconds of audio read at once
SHOWN = 3  # classes of a line
PCM = np.dtype("<i2")


def newest(
    read: Callable[[int], bytes], rate: int, window: float, hop: float
) -> Iterator[tuple[NDArray[np.int16], float]]:
    """Yield the last `window` seconds of a stream, and how many seconds there were,
    whenever `hop` more have come and at the end.
    """
    queue: SimpleQueue[bytes] = SimpleQueue()  # b"" is the end
    size = PCM.itemsize * max(1, round(BLOCK * rate))

    def fill() -> None:
        while block := read(size):
            queue.put(block)
        queue.put(b"")

    threading.Thread(target=fill, daemon=True).start()
    kept, received, yielded = b"", 0.0, 0.0
    longest = PCM.itemsize * round(window * rate)
    while block := queue.get():
        whole = len(block) // PCM.itemsize
        received += whole / rate
        kept = (kept + block[: whole * PCM.itemsize])[-longest:]
        if received >= yielded + hop and queue.empty():
            yielded = received
            yield np.frombuffer(kept, PCM), received
    if received > yielded:
        yield np.frombuffer(kept, PCM), received


def microphone(rate: int) -> Callable[[int], bytes]:
    """A function that waits for a number of bytes of the microphone."""
    try:
        import sounddevice

        stream = sounddevice.RawInputStream(samplerate=rate, channels=1, dtype="int16")
        stream.start()
    except Exception as error:  # no package, no PortAudio, no device, an unfit rate
        raise RequestError(
            f"no microphone ({error}): install the extra live, or pipe audio in"
        ) from None
    return lambda size: bytes(stream.read(size // PCM.itemsize)[0])


def listen_live(options: ListenOptions) -> int:
    model = Model.open(options)
    rate = model.sample_rate
    read = microphone(rate) if sys.stdin.isatty() else sys.stdin.buffer.read
    model.warm()
    tell(f"predicting the last {model.window:g} s of audio at {rate:,} Hz")
    for y, received in newest(read, rate, model.window, options.hop):
        predicted, probabilities = model.predict(y, rate)
        best = sorted(probabilities.items(), key=lambda item: -item[1])[:SHOWN]
        named = "  ".join(f"{name} {p:.2f}" for name, p in best)
        print(f"{received:8.1f} s  {named if predicted else 'no answer'}", flush=True)
    return 0
