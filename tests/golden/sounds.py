"""Audio files from seeds: odd clips for the cache, and an easy dataset to train on."""

import numpy as np
import soundfile

LABELS = ("bell", "hiss", "knock", "siren")
FOLDS, TAKES, RATE = 3, 4, 16_000


def odd_clips(folder):
    """`clips.csv` with 24 clips: twelve sounds, seven odd ones that can be read, and
    five that fail.
    """
    folder.mkdir()
    rng = np.random.default_rng(31)
    t = np.arange(66_150) / 44_100  # 1.5 s
    rows = ["filename,label,fold,group,category"]

    def add(name, y, rate=44_100, **how):
        if y is not None:
            soundfile.write(folder / name, y, rate, **how)
        number = len(rows) - 1
        rows.append(
            f"{name},{'ab'[number % 2]},{number % 3 + 1},g{number // 2},"
            f"{'xy'[number % 2]}"
        )

    for number in range(12):
        pitch = 110 * 2 ** (number / 3)
        tones = sum(
            np.sin(2 * np.pi * pitch * k * t) / k
            for k in range(1, 6)
            if pitch * k < 20_000
        )
        beats = 0.55 + 0.45 * np.sign(np.sin(2 * np.pi * (2 + number / 2) * t))
        noise = rng.normal(size=len(t)) * 0.3 * (number % 4)
        add(
            f"sound{number:02}.wav",
            0.1 * (tones * beats + noise) * np.exp(-t * (number % 3)),
        )
    sweep = 0.5 * np.sin(2 * np.pi * (200 + 2000 * t) * t)
    add("silence.wav", np.zeros(len(t)))
    add("sample.wav", np.array([0.5]))
    add("stereo.wav", np.stack([sweep[::5], -0.3 * sweep[::5] ** 2], axis=1), 8000)
    add("deep.wav", sweep, subtype="PCM_24")
    add("lossless.flac", sweep[::-1] * 0.9)
    add("vorbis.ogg", sweep, format="OGG", subtype="VORBIS")
    add("clipped.wav", np.clip(20 * sweep, -1, 1))
    add("empty.wav", None)
    (folder / "empty.wav").touch()
    add("text.wav", None)
    (folder / "text.wav").write_text("no audio at all")
    add("nan.wav", np.full(1000, np.nan), subtype="FLOAT")
    add("short.flac", sweep)
    whole = (folder / "short.flac").read_bytes()
    (folder / "short.flac").write_bytes(whole[: len(whole) // 2])
    add("missing.wav", None)
    (folder / "clips.csv").write_text("\n".join(rows) + "\n")


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
                tone = np.sin(
                    2 * np.pi * pitch * t * (1 + 0.3 * t * (label == "siren"))
                )
                tone *= np.exp(-8 * t) if label in ("bell", "knock") else 1
                name = f"{label}/{label}{recording}-{take}.wav"
                soundfile.write(
                    folder / name,
                    0.09 * tone + 0.3 * loudness * rng.normal(size=len(t)),
                    RATE,
                )
                spans = label == "siren" and recording == 0 and take == "B"
                fold = (recording + spans) % FOLDS + 1
                rows.append(
                    f"{name},{label},{fold},{label}{recording},{'xy'[number % 2]}"
                )
    (folder.parent / f"{folder.name}.csv").write_text("\n".join(rows) + "\n")
