"""Bad input: the exit status, and words of the message.

A line is `command NAME=value … -> words that the message must hold`: the value given,
the nearest name, the way out.
"""

import json
import shutil
from pathlib import Path

from featurestack.features_cache import external
from tests.cases import data
from tests.golden.commands import command, flip_bit

# data/easy/features and runs/plain come from the golden outputs, damaged copies of both
# from `prepare`.
REQUESTS, DONE = data(__file__).values()


def requests(lines):
    pairs = [line.split(" -> ") for line in lines.strip().splitlines()]
    return [(words.strip(), named.split()) for words, named in pairs]


def prepare(run):
    """Make the files that the requests name in the current folder; `run` is a finished
    run in runs/plain.
    """
    Path("hollow").mkdir()
    Path("text.pt").write_text("no bundle")
    Path("no_label.csv").write_text("filename\nbell/bell0-A.wav\n")
    Path("no_rows.csv").write_text("filename,label\n")
    sound = "bell/bell0-A.wav,bell"
    Path("twice.csv").write_text(f"filename,label\n{sound}\n{sound}\n")
    Path("bad_fold.csv").write_text(f"filename,label,fold\n{sound},one\n")
    features = Path("data/easy/features")
    for name in ("cut", "flipped"):
        shutil.copytree(features, f"{name}/features")
    with Path("cut/features/mel.h5").open("r+b") as file:
        file.truncate(60_000)
    flip_bit(Path("flipped/features/mel.h5"), 100_000)
    clips = {"clip_id": ["1", "2"], "label": ["x", "y"], "fold": [1, 1]}
    one_fold = Path("one_fold/features")
    external.create_cache(one_fold, clips)
    external.write_feature(one_fold, "a", [[1.0], [2.0]], clips["clip_id"])
    for name in ("torn", "rewritten"):
        shutil.copytree(run.parent, Path(name) / run.parent.name)
    (torn,) = Path("torn").glob("*/*/run.json")
    torn.write_text(json.dumps(json.loads(torn.read_text()))[:200])
    for file in Path("rewritten").glob("*/*/fold*/last.pt"):
        flip_bit(file, file.stat().st_size // 2)


def wrong(lines, status):
    """A line for each request whose answer is wrong."""
    faults = []
    for words, named in requests(lines):
        answer = command(words)
        errors = [line for line in answer.err.splitlines() if line.startswith("error")]
        text = "".join(errors[:1]) if status == 2 else answer.err + answer.out
        missing = [name for name in named if name not in text]
        if answer.status != status or missing or "Traceback" in answer.err:
            end = answer.err[-300:].strip()
            faults.append(f"{words}: {answer.status}, without {missing}: {end}")
    return faults
