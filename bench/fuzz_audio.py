"""`python -m bench.fuzz_audio`: 2,000 damaged files among good ones, through the
command that users type.

Claim: no crash, no hang, no memory over 1 GB; every file that cannot be whole is named
with its reason; every good file is done. A flipped bit inside samples leaves a file
that is whole: it may be done or named.
"""

import contextlib
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import soundfile

from bench.fuzz import flip
from featurestack.commandline.commands import main
from featurestack.commandline.options import Options, option
from featurestack.commandline.quantities import size
from featurestack.commandline.tables import text_table

ROOT = Path(__file__).resolve().parent.parent
RATE, SECONDS = 22_050, 1.0
MOST_MEMORY = 1e9  # bytes, of all processes of the command together
MOST_SECONDS = 600  # a longer command counts as hung
GOOD, BAD, EITHER = "done", "named", "done or named"
FORMATS = (  # file formats, each with libsndfile's container and subtype
    "wav=WAV/PCM_16 float.wav=WAV/FLOAT 24.wav=WAV/PCM_24 flac=FLAC/PCM_16"
    " ogg=OGG/VORBIS mp3=MP3/MPEG_LAYER_III aiff=AIFF/PCM_16 au=AU/PCM_16"
    " w64=W64/PCM_16 caf=CAF/PCM_16"
)
# format -> place and layout of the number of samples in the header
SIZES = {"wav": (40, "<I"), "aiff": (42, ">I"), "au": (8, ">I"), "w64": (96, "<Q")}


class FuzzAudioOptions(Options):
    """Amount of damage."""

    files: int = option(
        2000, "damaged files; a tenth as many good ones lie between them"
    )
    seed: int = option(0, "seed of the damage")


# damage -> required outcome, and the formats that it applies to ('' for all)
DAMAGES = {
    "none": (GOOD, ""),
    "truncated": (BAD, ""),
    "flipped bits": (EITHER, ""),
    "flipped header": (EITHER, ""),
    "empty": (BAD, ""),
    "text": (BAD, ""),
    "zeros": (BAD, ""),
    "noise": (BAD, "wav flac ogg"),
    "noise behind its header": (EITHER, ""),
    "header lies": (BAD, " ".join(SIZES)),
    "wrong extension": (GOOD, ""),
}


def damaged(content: bytes, damage: str, kind: str, rng: random.Random) -> bytes:
    """A file's bytes after one of DAMAGES."""
    match damage:
        case "truncated":
            return content[: rng.randrange(1, len(content) - 700)]
        case "flipped bits":
            return flip(content, rng)
        case "flipped header":
            return flip(content[:100], rng) + content[100:]
        case "empty":
            return b""
        case "text":
            return b"This is no sound. " * rng.randrange(1, 99)
        case "zeros":
            return bytes(len(content))
        case "noise":
            return rng.randbytes(len(content))
        case "noise behind its header":
            return content[:64] + rng.randbytes(9000)
        # a promise of gigabytes of samples; all ones mean "unknown" in .au
        case "header lies":
            place, layout = SIZES[kind]
            promised = rng.choice([2**31 - 1, 3_000_000_000, 2**32 - 2, 2_200_000_000])
            return (
                content[:place]
                + struct.pack(layout, promised)
                + content[place + struct.calcsize(layout) :]
            )
    return content


def fuzz_audio(options: FuzzAudioOptions) -> int:
    """Make the files, extract a feature of each, compare done and named files with the
    damage.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        table = make_files(folder / "mine", options)
        status, seconds, memory = run(folder)
        failures = pd.read_csv(folder / "data" / "mine" / "features" / "failures.csv")
    reasons = dict(zip(failures["clip_id"], failures["reason"]))
    table["named"] = table.index.isin(list(reasons))
    wrong = table[
        (table["must be"] != EITHER) & (table["named"] != (table["must be"] == BAD))
    ]
    counts = (
        table.groupby(["damage", "must be"])["named"]
        .agg(files="size", named="sum")
        .reset_index()
    )
    print(text_table(counts.astype(str).to_numpy().tolist(), counts.columns.tolist()))
    print(
        f"{len(table)} files in {seconds:.0f} s; peak memory of all processes"
        f" {size(memory)}; exit status {status}; {len(wrong)} files not as expected"
    )
    print(
        "\n".join(f"{clip}: {reasons.get(clip, 'done')}" for clip in wrong.index[:20])
    )
    return 1 if len(wrong) or status != 1 or memory > MOST_MEMORY else 0


def make_files(folder: Path, options: FuzzAudioOptions) -> pd.DataFrame:
    """Write the files; clip id -> damage and required outcome."""
    rng, originals = random.Random(options.seed), {}
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, round(RATE * SECONDS))
    for kind, how in (one.split("=") for one in FORMATS.split()):
        path, (container, subtype) = folder.parent / f"original.{kind}", how.split("/")
        soundfile.write(path, noise, RATE, format=container, subtype=subtype)
        originals[kind] = path.read_bytes()
    rows = {}
    for number in range(options.files + options.files // 10):
        damage = rng.choice(list(DAMAGES)[1:]) if number < options.files else "none"
        outcome, formats = DAMAGES[damage]
        kind = rng.choice(formats.split() or list(originals))
        extension = "wav" if damage == "wrong extension" else kind.rsplit(".")[-1]
        path = (
            folder / f"class{number % 3}" / f"{number:04} {damage} {kind}.{extension}"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(damaged(originals[kind], damage, kind, rng))
        rows[path.relative_to(folder).with_suffix("").as_posix()] = (damage, outcome)
    return pd.DataFrame.from_dict(rows, orient="index", columns=["damage", "must be"])


def run(folder: Path) -> tuple[int, float, int]:
    """(exit status, seconds, peak bytes of all the command's processes); killed if it
    hangs.
    """
    words = [f"DATASET={folder / 'mine'}", f"DATA={folder / 'data'}", "FEATURES=rms"]
    words += [f"SAMPLE_RATE={RATE}", f"DURATION={SECONDS}"]
    command = [sys.executable, "-m", "pipeline", "features", *words]
    begun, peak, environment = (
        time.perf_counter(),
        0,
        os.environ | {"OMP_NUM_THREADS": "1"},
    )
    process = psutil.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    )
    while process.poll() is None and time.perf_counter() - begun < MOST_SECONDS:
        with contextlib.suppress(psutil.NoSuchProcess):  # a process has ended meanwhile
            family = [process, *process.children(recursive=True)]
            peak = max(peak, sum(one.memory_info().rss for one in family))
        time.sleep(0.05)
    if process.poll() is None:
        process.kill()
    return process.wait(), time.perf_counter() - begun, peak


if __name__ == "__main__":
    main([fuzz_audio])
