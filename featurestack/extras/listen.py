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

from featurestack.base.errors import RequestError
from featurestack.base.options import option
from featurestack.base.terminal import tell
from featurestack.predict.options import TrainedOptions

BLOCK_SECONDS = 0.05  # seconds of audio read at once
SHOWN_CLASSES = 3  # classes of a line
SAMPLE_BYTES = 2  # bytes


class ListenOptions(TrainedOptions):
    """Classes of live audio: the microphone's, or raw PCM of 16 bits, mono,
    little-endian, at the model's sample rate, on standard input.

    `arecord -f S16_LE -r 44100 -c 1 -t raw` writes such PCM.
    """

    example = "RUN=last HOP=0.25"

    hop: float = option(0.5, "seconds from one prediction to the next", least=0.001)


def newest(
    read: Callable[[int], bytes], rate: int, window: float, hop: float
) -> Iterator[tuple[bytes, float]]:
    """Yield the last `window` seconds of a stream of PCM, and how many seconds there
    were, whenever `hop` more have come and at the end.
    """
    queue: SimpleQueue[bytes] = SimpleQueue()  # b"" is the end
    size = SAMPLE_BYTES * max(1, round(BLOCK_SECONDS * rate))

    def fill() -> None:
        while block := read(size):
            queue.put(block)
        queue.put(b"")

    threading.Thread(target=fill, daemon=True).start()
    kept, received, yielded = b"", 0.0, 0.0
    longest = SAMPLE_BYTES * round(window * rate)
    while block := queue.get():
        whole = len(block) // SAMPLE_BYTES
        received += whole / rate
        kept = (kept + block[: whole * SAMPLE_BYTES])[-longest:]
        if received >= yielded + hop and queue.empty():
            yielded = received
            yield kept, received
    if received > yielded:
        yield kept, received


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
    return lambda size: bytes(stream.read(size // SAMPLE_BYTES)[0])


def listen_live(options: ListenOptions) -> int:
    import numpy as np

    from featurestack.predict.model import Model  # loads torch

    model = Model.open(options)
    rate = model.sample_rate
    read = microphone(rate) if sys.stdin.isatty() else sys.stdin.buffer.read
    model.warm()
    tell(f"predicting the last {model.window:g} s of audio at {rate:,} Hz")
    for pcm, received in newest(read, rate, model.window, options.hop):
        predicted, probabilities = model.predict(np.frombuffer(pcm, "<i2"), rate)
        best = sorted(probabilities.items(), key=lambda item: -item[1])[:SHOWN_CLASSES]
        named = "  ".join(f"{name} {p:.2f}" for name, p in best)
        print(f"{received:8.1f} s  {named if predicted else 'no answer'}", flush=True)
    return 0
