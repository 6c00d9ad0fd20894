"""A dataset of noise whose clips, labels and audio change, for tests and benchmarks."""

import os

import numpy as np
import pandas as pd
import soundfile

from featurestack.pipeline import audio_headers

SAMPLE_RATE = 8000  # Hz; a clip is one second


class NoiseDataset:
    """A CSV and its audio, different noise in every clip."""

    def __init__(self, folder, rng, clips):
        self.folder, self.rng, self.clips, self._made = folder, rng, clips, 0
        folder.mkdir(exist_ok=True)
        self.rows = []
        self.add(clips)

    @property
    def csv(self):
        """The value of DATASET=."""
        return self.folder / "sounds.csv"

    @property
    def ids(self):
        """Clip ids in the order of the CSV."""
        return [row["filename"][:-4] for row in self.rows]

    def add(self, count=3):
        """Add clips."""
        for _ in range(count):
            self._made += 1
            name = f"clip{self._made:05d}"
            label = f"label{self._made % 4}"
            row = {
                "filename": f"{name}.wav",
                "label": label,
                "fold": self._made % 5 + 1,
            }
            self.rows.append(row)
            self.record(name)
        self.write()

    def remove(self, count=2):
        """Remove clips, but keep at least half as many as at first."""
        for _ in range(min(count, len(self.rows) - self.clips // 2)):
            self.rows.pop(self.rng.randrange(len(self.rows)))
        self.write()

    def shuffle(self):
        """Change the order."""
        self.rng.shuffle(self.rows)
        self.write()

    def edit(self):
        """Change the audio of one clip."""
        self.record(self.rng.choice(self.ids))

    def touch(self):
        """Give all files a new time and the same content."""
        for row in self.rows:
            os.utime(self.folder / row["filename"])

    def relabel(self):
        """Change the label and fold of one clip."""
        row = self.rng.choice(self.rows)
        row["label"] = f"label{(int(row['label'][-1]) + 1) % 4}"
        row["fold"] = row["fold"] % 5 + 1
        self.write()

    def record(self, name):
        """Write new audio to this clip's file; return its path."""
        seed = self.rng.randrange(1 << 30)
        noise = np.random.default_rng(seed).normal(0, 0.1, SAMPLE_RATE)
        path = self.folder / f"{name}.wav"
        soundfile.write(path, noise, SAMPLE_RATE)
        return path

    def write(self):
        """Write the CSV."""
        pd.DataFrame(self.rows).to_csv(self.csv, index=False)


def with_flac_length(path, frames):
    """Make the header of a FLAC file state this number of samples; return its path."""
    content = bytearray(path.read_bytes())
    content[21] = content[21] & 0xF0 | frames >> 32
    content[22:26] = (frames & 0xFFFFFFFF).to_bytes(4, "big")
    path.write_bytes(content)
    return path


def damage_frame(path, frame=20):
    """Overwrite numbers in a frame's side information, so that mpg123 prints errors and
    decodes the other frames.
    """
    content = bytearray(path.read_bytes())
    at, _ = list(audio_headers.frames_in(bytes(content)))[frame]
    content[at + 6 : at + 10] = b"\xff" * 4  # behind the header, of four bytes
    path.write_bytes(content)
    return path
