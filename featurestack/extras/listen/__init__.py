"""`make listen`: its options."""

from featurestack.base.options import option
from featurestack.predict.options import TrainedOptions


class ListenOptions(TrainedOptions):
    """Classes of live audio: the microphone's, or raw PCM of 16 bits, mono,
    little-endian, at the model's sample rate, on standard input.

    `arecord -f S16_LE -r 44100 -c 1 -t raw` writes such PCM.
    """

    example = "RUN=last HOP=0.25"

    hop: float = option(0.5, "seconds from one prediction to the next", least=0.001)
