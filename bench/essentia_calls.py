"""essentia 2.1b6.dev1389 called as its tutorial does: made once, then given frame after frame.

Its values are not librosa's: other scales, and a frame more. Its streaming mode builds a network for each
clip, which took ten times as long. Features that it lacks, or that mean something else there (its chroma is
of peaks, its contrast of other bands), are not here.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

FRAME, HOP = 2048, 512
Call = Callable[[np.ndarray], Any]


def calls(sample_rate: int) -> dict[str, Call]:
    """Feature -> function of a clip; empty where essentia is not installed."""
    try:
        import essentia
    except ImportError:
        return {}
    essentia.log.infoActive = False
    import essentia.standard as es

    window, power, magnitude = es.Windowing(type="hann"), es.PowerSpectrum(), es.Spectrum()
    bands = {
        "inputSize": FRAME // 2 + 1,
        "numberBands": 128,
        "sampleRate": sample_rate,
        "highFrequencyBound": sample_rate / 2,
    }
    mel = es.MelBands(**bands)
    mfcc = es.MFCC(numberCoefficients=40, **bands)
    centroid = es.Centroid(range=sample_rate / 2)
    rolloff = es.RollOff(cutoff=0.85, sampleRate=sample_rate)
    flatness, rms, crossings = es.Flatness(), es.RMS(), es.ZeroCrossingRate()
    yin = es.PitchYin(frameSize=FRAME, sampleRate=sample_rate, minFrequency=65, maxFrequency=2093)

    def framed(of_frame: Call) -> Call:
        def call(y: np.ndarray) -> np.ndarray:
            frames = es.FrameGenerator(y, frameSize=FRAME, hopSize=HOP)
            return np.array([of_frame(frame) for frame in frames])

        return call

    return {
        "stft": framed(lambda frame: magnitude(window(frame))),
        "mel": framed(lambda frame: mel(magnitude(window(frame)))),
        "mfcc": framed(lambda frame: mfcc(magnitude(window(frame)))[1]),
        "centroid": framed(lambda frame: centroid(magnitude(window(frame)))),
        "rolloff": framed(lambda frame: rolloff(magnitude(window(frame)))),
        "flatness": framed(lambda frame: flatness(power(window(frame)))),
        "rms": framed(rms),
        "zcr": framed(crossings),
        "yin": framed(lambda frame: yin(frame)[0]),
    }
