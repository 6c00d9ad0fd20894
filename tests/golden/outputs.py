"""The outputs of the commands, in numbers and hashes small enough for git.

Each function fills one section of golden.json inside the current folder. Keys that
begin with `sha` are equal on the same processor and versions; all other numbers are
equal up to floating point everywhere.
"""

import hashlib
import json
import os
import zlib
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from featurestack.features_cache.clip_table import CLIP_COLUMNS
from featurestack.pipeline.features import FEATURES
from tests.cases import data
from tests.golden import sounds
from tests.golden.commands import done

VARIANTS = (
    "mel@n_mels=64 mel@win_length=1102,hop_length=441 mfcc@n_mfcc=13 chroma@n_fft=4096 "
    "contrast@n_bands=4 tempogram@win_length=192"
)


def sha(content):
    content = content.encode() if isinstance(content, str) else content
    return hashlib.sha256(content).hexdigest()[:16]


def short(values, digits=4):
    """Floats of so many significant digits."""
    return [float(f"{value:.{digits}g}") for value in values]


def table(file):
    texts = {"clip_id": str, "group": str}
    return pd.read_csv(file, keep_default_na=False, na_values=[""], dtype=texts)


# The cache


def cache(folder):
    """The clip table, and for each feature its shape and two numbers a clip."""
    with h5py.File(folder / "index.h5") as index:
        clips = pd.DataFrame()
        for name in CLIP_COLUMNS:
            stored = index["clips"][name]
            clips[name] = stored[:] if name == "fold" else stored.asstr()[:]
    clips["path"] = [os.path.relpath(path) if path else "" for path in clips["path"]]
    return {
        "clips": len(clips),
        "table": "exact " + sha(clips.to_csv(index=False)),
        "features": {
            file.stem: feature(file)
            for file in sorted(folder.glob("*.h5"))
            if file.stem != "index"
        },
    }


def feature(file):
    """Two means of each clip in a feature's file, and whether its state words hold its
    CRCs.
    """
    with h5py.File(file) as opened:
        values = opened["values"][:]
        state = opened["state"][:]
        # other parameters, such as new defaults, have other values in one version
        parameters = opened.attrs["parameters"].decode()
        version = f"{opened.attrs['code_version']}, {parameters}"
        axes = [short(opened[name][:][[0, -1]]) for name in ("row_axis", "frame_axis")]
    crc = np.array([zlib.crc32(clip.tobytes()) for clip in values])
    assert state.all() and np.isfinite(values).all()
    rows, frames = (np.cos(1 + np.arange(size)) for size in values.shape[1:])
    numbers = values.astype(np.float64)
    return {
        "shape": list(values.shape),
        "dtype": str(values.dtype),
        "version": version,
        "axes": axes,
        "crc_of_values": bool((crc == state & 0xFFFFFFFF).all()),
        "fingerprints": len(set((state >> 32).tolist())),
        "sha_values": sha(values.tobytes()),
        "plain": short(numbers.mean(axis=(1, 2))),
        "weighted": short(
            np.einsum("nrf,r,f->n", numbers, rows, frames) / numbers[0].size ** 0.5
        ),
    }


def easy():
    """The little cache that most runs train on."""
    sounds.easy_clips(Path("easy"))
    words = {"DATASET": "easy.csv", "AUDIO_DIR": "easy"}
    done("features", **words, JOBS=1, FEATURES="mel mfcc chroma waveform")
    return cache(Path("data/easy/features"))


def altered():
    """The easy clips, with an altered copy of each that is only trained on."""
    words = {"DATASET": "easy.csv", "AUDIO_DIR": "easy"}
    done("data", **words, ALTER="noise,gain", NAME="altered")
    done("features", DATASET="data/altered/altered.csv", FEATURES="mel", JOBS=1)
    return cache(Path("data/altered/features"))


def few():
    """A cache of every fourth easy clip with all features."""
    head, *rows = Path("easy.csv").read_text().splitlines()
    Path("few.csv").write_text("\n".join([head, *rows[::4]]))
    words = {"DATASET": "few.csv", "AUDIO_DIR": "easy", "JOBS": 1}
    every = " ".join(FEATURES.complete())
    done("features", **words, FEATURES=f"{every} {VARIANTS}")
    return cache(Path("data/few/features"))


def caches():
    """The caches of easy clips, and of few with all features."""
    return {"easy": easy(), "altered": altered(), "few": few()}


# Runs

BASE, RUNS = data(__file__).values()


def words_of(case):
    words = (word.partition("=") for word in f"{BASE} {RUNS[case]}".split())
    last = {name: value for name, _, value in words}
    return {name: value for name, value in last.items() if value}


def train(case, runs):
    """Train one of RUNS; the folder of its only run."""
    done("train", **words_of(case), RUNS=runs)
    (config,) = runs.glob("*/*/run.json")
    return config.parent


def history(file):
    return pd.read_csv(file).drop(columns="seconds")


def fold(folder, classes):
    """The tested clips of a fold, means of their probabilities, and the numbers of
    every epoch.
    """
    predictions = table(folder / "predictions.csv")
    epochs = history(folder / "history.csv")
    rows = predictions[["clip_id", "group", "split", "selection", "target"]]
    parts = {}
    for (split, selection), part in predictions.groupby(["split", "selection"]):
        probabilities = part[classes].to_numpy()
        true = np.array([classes.index(name) for name in part["target"]])
        own = probabilities[np.arange(len(part)), true]
        weighted = np.cos(1 + np.arange(len(part))) @ probabilities / len(part)
        parts[f"{split} {selection}"] = {
            "count_right": int((probabilities.argmax(axis=1) == true).sum()),
            "log_loss": short([-np.log(own.clip(1e-9)).mean()]),
            "means": short([*probabilities.mean(axis=0), *weighted]),
        }
    return {
        "rows": "exact " + sha(rows.to_csv(index=False)),
        "sha_predictions": sha((folder / "predictions.csv").read_bytes()),
        "sha_history": sha(epochs.to_csv(index=False)),
        "parts": parts,
        "epochs": {
            name: short(epochs[name].dropna())
            for name in ("lr", "train_loss", "val_loss", "test_loss")
            if epochs[name].notna().any()
        },
    }


def run(folder):
    config = json.loads((folder / "run.json").read_text())
    classes = [entry["name"] for entry in config["classes"]]
    return {
        "label": folder.name,
        "parameters": config.get("parameters"),
        "folds": {
            path.parent.name: fold(path.parent, classes)
            for path in sorted(folder.glob("fold*/predictions.csv"))
        },
    }


def trained(*cases):
    """The outputs of these runs, or of all."""
    return {case: run(train(case, Path("runs") / case)) for case in cases or RUNS}


SECTIONS = {"caches": caches, "runs": trained}
