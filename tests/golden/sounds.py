"""Audio files from seeds: an easy dataset to train on."""

import numpy as np
import soundfile

LABELS = ("bell", "hiss", "knock", "siren")
FOLDS, TAKES, RATE = 3, 4, 16_000


def easy_clips(folder):
    """Class folders, and beside them `easy.csv`: four classes that features separate in
    part, three folds.

    Two takes a recording, every second recording short; one recording spans two folds.
    """
    rng = np.random.default_rng(4)
    rows = ["filename,label,fold,group,category"]
    for number, label in enumerate(LABELS):
        (folder / label).mkdir(parents=True)
        for recording in range(FOLDS * TAKES // 2):
            pitch = 300 * 1.3**number * rng.uniform(0.7, 1.4)
            t = np.arange(int(RATE * (1 if recording % 2 else 0.6))) / RATE
            loudness = rng.uniform(0.05, 0.5) * (2 if label == "hiss" else 1)
            for take in "AB":
                rise = 1 + 0.3 * t * (label == "siren")
                tone = np.sin(2 * np.pi * pitch * t * rise)
                tone *= np.exp(-8 * t) if label in ("bell", "knock") else 1
                name = f"{label}/{label}{recording}-{take}.wav"
                y = 0.09 * tone + 0.3 * loudness * rng.normal(size=len(t))
                soundfile.write(folder / name, y, RATE)
                spans = label == "siren" and recording == 0 and take == "B"
                fold = (recording + spans) % FOLDS + 1
                own = f"{label}{recording},{'xy'[number % 2]}"
                rows.append(f"{name},{label},{fold},{own}")
    (folder.parent / f"{folder.name}.csv").write_text("\n".join(rows) + "\n")


def easy_tables(sounds, folder):
    """An annotation table for each of three recordings in the easy folder."""
    folder.mkdir()
    for recording in sorted(sounds.glob("bell/*.wav"))[:3]:
        events = "start,end,label\n0.05,0.1,bell\n0.2,0.3,click\n"
        (folder / f"{recording.stem}.csv").write_text(events)
