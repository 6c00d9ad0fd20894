"""Folders of noise and tones of one second at 8 kHz, which take no time to extract."""

import numpy as np
import soundfile

RATE = 8000


def write_clips(folder, *classes, clips=6, tone=0.0):
    """Class folders of noise, and of a tone of each class with this amplitude."""
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for take in range(clips):
            place = f"{folder.parent.name}/{folder.name}/{name}{take}"
            rng = np.random.default_rng([*place.encode()])
            seconds = np.arange(RATE) / RATE
            y = tone * np.sin(2 * np.pi * (400 + 250 * number) * seconds)
            y += 0.2 * rng.standard_normal(RATE)
            soundfile.write(folder / name / f"{name}_{take}.wav", y, RATE)
