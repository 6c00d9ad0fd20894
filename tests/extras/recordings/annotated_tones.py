"""Recordings with annotated tones that are easy to find."""

import numpy as np
import pandas as pd
import soundfile

RATE, SECONDS, RECORDINGS = 8_000, 7.0, 8
PITCHES = {"high": 2_000, "low": 500}


def write_recordings(folder, recordings=RECORDINGS, seconds=SECONDS):
    """Tones in noise, audio/r0.wav, …, and marks.csv beside."""
    (folder / "audio").mkdir(parents=True)
    rows = []
    for number in range(recordings):
        rng = np.random.default_rng(number)
        time = np.arange(round(seconds * RATE)) / RATE
        y = rng.normal(0, 0.01, len(time))
        for place, start in enumerate(np.arange(0.5, seconds - 1.5, 1.2)):
            start += rng.uniform(0, 0.3)
            for name in PITCHES if place % 3 == 0 else [[*PITCHES][place % 2]]:
                end = start + rng.uniform(0.3, 0.6)
                tone = 0.3 * np.sin(2 * np.pi * PITCHES[name] * time)
                y += tone * ((time >= start) & (time < end))
                rows.append((f"r{number}.wav", round(start, 4), round(end, 4), name))
        soundfile.write(folder / "audio" / f"r{number}.wav", y, RATE, subtype="FLOAT")
    table = pd.DataFrame(rows, columns=["file", "start", "end", "label"])
    table.to_csv(folder / "marks.csv", index=False)
    return table
