"""A button that records from the microphone of the browser, for Jupyter and Colab.

    microphone = Microphone(seconds=5)
    microphone            # the last line of a cell shows the button
    microphone.clip()     # in a later cell: the recording, or None

The recording goes from the browser to Python and nowhere else. If the page offers no
microphone, the button is grey and a sentence says what to do.
"""

from pathlib import Path

import anywidget
import numpy as np
import soxr
import traitlets

import featurestack as fs


class Microphone(anywidget.AnyWidget):
    """A recording of `seconds`; a new one replaces the last."""

    _esm = Path(__file__).with_name("microphone.js")
    seconds = traitlets.Float(5.0).tag(sync=True)
    sample_rate = traitlets.Int(0).tag(sync=True)
    samples = traitlets.Bytes(b"").tag(sync=True)

    def clip(self, sample_rate: int = fs.RATE) -> fs.Clip | None:
        """The recording, mono, resampled to `sample_rate` in Hz; None while nothing is
        recorded.
        """
        if not self.samples:
            return None
        recorded = np.frombuffer(self.samples, dtype="<f4")
        return fs.Clip(
            soxr.resample(recorded, self.sample_rate, sample_rate), sample_rate
        )
