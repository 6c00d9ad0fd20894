"""A small dataset that changes as datasets do: for tests and for the benchmark of kills.

It remembers every content and label that a clip ever had, so that whatever lies in a cache can be told right
from wrong.
"""

import os
import shutil

import numpy as np
import pandas as pd
import soundfile

from pipeline.extract import read_source

SAMPLE_RATE = 8000  # Hz; a clip is one second
FEATURES = ("mel", "rms", "zcr", "waveform", "mfcc")
CLIPS = 16


class ChangingDataset:
    """A CSV and its audio, noise of its own for every clip."""

    def __init__(self, folder, rng, clips=CLIPS):
        self.folder, self.rng, self.clips, self._made = folder, rng, clips, 0
        (folder / "history").mkdir(parents=True)
        self.rows = []
        self.labels = {}  # clip id -> every label that it ever had
        self.contents = {}  # clip id -> hash of every content that it ever had
        self.features = set(FEATURES[:4])
        self.dtype = "float16"
        self.add(clips)

    @property
    def csv(self):
        """What DATASET= is."""
        return self.folder / "sounds.csv"

    @property
    def now(self):
        """Clip id -> hash of its content, in the order of the CSV."""
        return {row["filename"][:-4]: self.contents[row["filename"][:-4]][-1] for row in self.rows}

    def change(self):
        """Let one thing happen; its name."""
        what = self.rng.choice((self.add, self.remove, self.shuffle, self.edit, self.touch, self.relabel))
        if self.rng.random() < 0.5:
            what = self.rng.choice((self.toggle_feature, self.toggle_type, self.replace, self.replace))
        what()
        return what.__name__

    def add(self, count=3):
        """New clips."""
        for _ in range(count):
            self._made += 1
            name = f"clip{self._made:05d}"
            label = f"label{self._made % 4}"
            self.rows.append({"filename": f"{name}.wav", "label": label, "fold": self._made % 5 + 1})
            self.labels[name] = {label}
            self._record(name)
        self._write()

    def remove(self, count=2):
        """Some clips leave, down to half of those at the beginning."""
        for _ in range(min(count, len(self.rows) - self.clips // 2)):
            self.rows.pop(self.rng.randrange(len(self.rows)))
        self._write()

    def shuffle(self):
        """Another order."""
        self.rng.shuffle(self.rows)
        self._write()

    def edit(self):
        """Other audio in one clip."""
        self._record(self.rng.choice(self.rows)["filename"][:-4])

    def replace(self):
        """Other audio in every clip."""
        for row in self.rows:
            self._record(row["filename"][:-4])

    def touch(self):
        """All files anew with the same content."""
        for row in self.rows:
            os.utime(self.folder / row["filename"])

    def relabel(self):
        """Another label and fold for one clip."""
        row = self.rng.choice(self.rows)
        row["label"] = f"label{(int(row['label'][-1]) + 1) % 4}"
        row["fold"] = row["fold"] % 5 + 1
        self.labels[row["filename"][:-4]].add(row["label"])
        self._write()

    def toggle_feature(self):
        """One feature more or fewer is asked for."""
        self.features ^= {self.rng.choice(FEATURES[1:])}

    def toggle_type(self):
        """The other stored type."""
        self.dtype = "float32" if self.dtype == "float16" else "float16"

    def audio(self, content):
        """A file with this content."""
        return self.folder / "history" / f"{content}.wav"

    def _record(self, name):
        noise = np.random.default_rng(self.rng.randrange(1 << 30)).normal(0, 0.1, SAMPLE_RATE)
        path = self.folder / f"{name}.wav"
        soundfile.write(path, noise, SAMPLE_RATE)
        content = read_source(str(path))[0]
        shutil.copy(path, self.audio(content))
        self.contents.setdefault(name, []).append(content)

    def _write(self):
        pd.DataFrame(self.rows).to_csv(self.csv, index=False)


def with_flac_length(path, frames):
    """A FLAC file whose header says that it has so many samples."""
    content = bytearray(path.read_bytes())
    content[21] = content[21] & 0xF0 | frames >> 32
    content[22:26] = (frames & 0xFFFFFFFF).to_bytes(4, "big")
    path.write_bytes(content)
    return path
