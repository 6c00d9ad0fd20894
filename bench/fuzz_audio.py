"""`python -m bench.fuzz_audio`: 2,000 damaged files among good ones, through the command that users type.

Claim: no crash, no hang, no memory over 1 GB; every file that cannot be whole is named with its reason;
every good file is done. A flipped bit inside samples leaves a file that is whole: it may be done or named.
"""

import os
import random
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import soundfile

from commandline.commands import Command, main
from commandline.options import Options, option
from commandline.terminal import size, text_table

ROOT = Path(__file__).resolve().parent.parent
KINDS = {
    "wav": ("WAV", "PCM_16"),
    "float.wav": ("WAV", "FLOAT"),
    "24.wav": ("WAV", "PCM_24"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
}
RATE, SECONDS = 22_050, 1.0
MOST_MEMORY = 1e9  # bytes, of all processes of the command together
GOOD, BAD, EITHER = "done", "named", "done or named"


@dataclass(frozen=True, kw_only=True)
class FuzzOptions(Options):
    """How much damage."""

    files: int = option(2000, "damaged files; a tenth as many good ones lie between them")
    seed: int = option(0, "of the damage")
    most_seconds: float = option(600, "after which the command hangs")


@dataclass(frozen=True)
class Damage:
    """What is done to a file's bytes, and what must become of it."""

    outcome: str
    apply: Callable[[bytes, str, random.Random], bytes]
    kinds: tuple[str, ...] = tuple(KINDS)


def flip(content: bytes, kind: str, rng: random.Random) -> bytes:
    """One to a hundred flipped bits anywhere."""
    flipped = bytearray(content)
    for _ in range(rng.choice([1, 3, 10, 100])):
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def flip_header(content: bytes, kind: str, rng: random.Random) -> bytes:
    """Flipped bits in the first hundred bytes, where sizes, rates and channels stand."""
    return flip(content[:100], kind, rng) + content[100:]


def lie(content: bytes, kind: str, rng: random.Random) -> bytes:
    """Gigabytes of samples in the header, and the samples as they were."""
    promised = rng.choice([2**31 - 1, 3_000_000_000, 2**32 - 1, 2**32 - 2, 2_200_000_000])
    place, layout = {"wav": (40, "<I"), "aiff": (42, ">I"), "au": (8, ">I"), "w64": (96, "<Q")}[kind]
    if kind == "au":
        promised = min(promised, 2**32 - 2)  # all ones mean "to the end of the file" there, which is no lie
    return content[:place] + struct.pack(layout, promised) + content[place + struct.calcsize(layout) :]


DAMAGES = {
    "truncated": Damage(BAD, lambda content, kind, rng: content[: rng.randrange(1, len(content) - 700)]),
    "flipped bits": Damage(EITHER, flip),
    "flipped header": Damage(EITHER, flip_header),
    "empty": Damage(BAD, lambda content, kind, rng: b""),
    "text": Damage(BAD, lambda content, kind, rng: b"This is no sound. " * rng.randrange(1, 99)),
    "zeros": Damage(BAD, lambda content, kind, rng: bytes(len(content))),
    "noise": Damage(BAD, lambda content, kind, rng: rng.randbytes(len(content)), ("wav", "flac", "ogg")),
    "noise behind its header": Damage(EITHER, lambda content, kind, rng: content[:64] + rng.randbytes(9000)),
    "header lies": Damage(BAD, lie, ("wav", "aiff", "au", "w64")),
    "wrong extension": Damage(GOOD, lambda content, kind, rng: content),
}


def fuzz_audio(options: FuzzOptions) -> int:
    """Make the files, extract a feature of each, compare what was done and named with what was damaged."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        expected = make_files(folder / "mine", options)
        status, seconds, memory = run(folder, options)
        failures = pd.read_csv(folder / "data" / "mine" / "features" / "failures.csv")
        reasons = dict(zip(failures["clip_id"], failures["reason"]))
    wrong = [
        f"{clip} ({damage}) was {'named: ' + reasons[clip] if clip in reasons else 'done'}"
        for clip, (damage, outcome) in expected.items()
        if outcome != EITHER and (clip in reasons) != (outcome == BAD)
    ]
    print(by_damage(expected, set(reasons)))
    print(f"\nreasons: {commonest(reasons.values())}")
    print(
        f"{len(expected)} files in {seconds:.0f} s; peak memory of all processes {size(memory)}; "
        f"exit status {status}; {len(wrong)} files not as expected"
    )
    print("\n".join(wrong[:20]))
    return 1 if wrong or status != 1 or memory > MOST_MEMORY else 0


def make_files(folder: Path, options: FuzzOptions) -> dict[str, tuple[str, str]]:
    """Clip id -> (damage, what must become of it)."""
    rng = random.Random(options.seed)
    originals = _originals(folder.parent)
    expected = {}
    for number in range(options.files + options.files // 10):
        damage = rng.choice(list(DAMAGES)) if number < options.files else "none"
        how = DAMAGES.get(damage, Damage(GOOD, lambda content, kind, rng: content))
        kind = rng.choice(how.kinds)
        extension = "wav" if damage == "wrong extension" else kind.rsplit(".")[-1]
        path = folder / f"class{number % 3}" / f"{number:04} {damage} {kind}.{extension}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(how.apply(originals[kind], kind, rng))
        expected[path.relative_to(folder).with_suffix("").as_posix()] = (damage, how.outcome)
    return expected


def run(folder: Path, options: FuzzOptions) -> tuple[int, float, int]:
    """(exit status, seconds, peak bytes of the command's processes together); killed when it hangs."""
    words = [f"DATASET={folder / 'mine'}", f"DATA={folder / 'data'}", "FEATURES=rms"]
    words += [f"SAMPLE_RATE={RATE}", f"DURATION={SECONDS}"]
    begun, peak = time.perf_counter(), 0
    with (folder / "log").open("w") as log:
        command = [sys.executable, "-m", "pipeline", "features", *words]
        process = psutil.Popen(
            command, cwd=ROOT, stdout=log, stderr=log, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        while process.poll() is None and time.perf_counter() - begun < options.most_seconds:
            peak = max(peak, _memory(process))
            time.sleep(0.05)
        if process.poll() is None:
            process.kill()
    print((folder / "log").read_text()[-1500:])
    return process.wait(), time.perf_counter() - begun, peak


def by_damage(expected: dict[str, tuple[str, str]], named: set[str]) -> str:
    """One row a damage: how many files, what must become of them, how many were named."""
    counts = Counter(damage for damage, _ in expected.values())
    named_of = Counter(expected[clip][0] for clip in named)
    must = dict(expected.values())
    rows = [
        (damage, count, must[damage], count - named_of[damage], named_of[damage])
        for damage, count in counts.items()
    ]
    return text_table(sorted(rows), ["damage", "files", "must be", "done", "named"])


def commonest(reasons: Iterable[str]) -> str:
    """The first words of the reasons, with how often they were given."""
    words = Counter(reason.split(":")[0] for reason in reasons)
    return ", ".join(f"{reason} ({count})" for reason, count in words.most_common(8))


def _originals(folder: Path) -> dict[str, bytes]:
    """A sound in every kind of file."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, round(RATE * SECONDS))
    originals = {}
    for kind, (container, subtype) in KINDS.items():
        path = folder / f"original.{kind}"
        soundfile.write(path, noise, RATE, format=container, subtype=subtype)
        originals[kind] = path.read_bytes()
    return originals


def _memory(process: psutil.Process) -> int:
    """Resident bytes of a process and its children."""
    total = 0
    try:
        for one in [process, *process.children(recursive=True)]:
            total += one.memory_info().rss
    except psutil.NoSuchProcess:
        pass  # one of them ended while we looked
    return total


COMMANDS: list[Command] = [fuzz_audio]

if __name__ == "__main__":
    main(COMMANDS)
