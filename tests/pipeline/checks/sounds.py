"""Noises in two classes and two folds, without a fault, for tests."""

import numpy as np
import soundfile

RATE = 16_000
SECONDS = 2


def noise(seed, seconds=SECONDS):
    """Noise in bursts, different for every seed, well below full scale."""
    rng = np.random.default_rng(seed)
    envelope = np.repeat(rng.uniform(0.05, 1, size=40), round(seconds * RATE / 40))
    return (0.1 * envelope * rng.standard_normal(len(envelope))).clip(-0.9, 0.9)


CLEAN = {f"{number}.wav": noise(number) for number in range(8)}


def make(folder, sounds, rows=None):
    """A CSV of `filename,label,fold,group` rows; by default two classes, two folds,
    each clip a source.
    """
    for name, y in sounds.items():
        soundfile.write(folder / name, y, RATE)
    if rows is None:
        rows = [f"{n},{'ab'[i % 2]},{1 + i // 2 % 2},{n}" for i, n in enumerate(sounds)]
    (folder / "mine.csv").write_text("\n".join(["filename,label,fold,group", *rows]))
    return folder / "mine.csv"
