"""Words spoken by espeak-ng, for the benches that synthesise a dataset of speech."""

import io
import subprocess

import numpy as np
import soundfile
from numpy.typing import NDArray

from commandline.registry import RequestError


def spoken(word: str, voice: str, *, words_a_minute: int, pitch: int) -> tuple[NDArray[np.float32], int]:
    """A word as this voice speaks it (samples,), with the silence around it, and its rate in Hz.

    >>> spoken("zero", "en-gb+m1", words_a_minute=160, pitch=50)[1]
    22050
    """
    command = ["espeak-ng", "-v", voice, "-s", str(words_a_minute), "-p", str(pitch), "--stdout", word]
    try:
        written = subprocess.run(command, check=True, capture_output=True).stdout
    except FileNotFoundError:
        raise RequestError("espeak-ng is not there: apt-get install espeak-ng") from None
    return soundfile.read(io.BytesIO(written), dtype="float32")
