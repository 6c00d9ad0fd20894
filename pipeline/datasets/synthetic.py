"""The synthetic dataset as files in ESC-50's layout."""

import io
from pathlib import Path

import soundfile

from commandline import progress
from pipeline import synth
from pipeline.datasets.staging import one_at_a_time, staged


def make(folder: Path) -> Path:
    """Write audio/ and meta/synth.csv into `folder` unless they are there; whole or not at all."""
    rows = synth.table()
    listed = rows.to_csv(index=False)
    with one_at_a_time(folder):
        if _is_complete(folder, listed, rows["filename"].tolist()):
            return folder
        with staged(folder, ("audio", "meta")) as stage:
            for part in ("audio", "meta"):
                (stage / part).mkdir()
            (stage / "meta" / "synth.csv").write_text(listed)
            for row in progress(rows.itertuples(), total=len(rows), label="synthesise", unit="clips"):
                (stage / "audio" / row.filename).write_bytes(wav(synth.clip(row)))
    return folder


def wav(samples: synth.Samples) -> bytes:
    """A file of 16 bits; written by the system in one piece, since libsndfile passes over a full disk."""
    file = io.BytesIO()
    soundfile.write(file, samples, synth.SAMPLE_RATE, subtype="PCM_16", format="WAV")
    return file.getvalue()


def _is_complete(folder: Path, listed: str, names: list[str]) -> bool:
    meta = folder / "meta" / "synth.csv"
    if not meta.exists() or meta.read_text() != listed:
        return False
    return all((folder / "audio" / name).exists() for name in names)
