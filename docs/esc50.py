"""The runs behind the tables of ESC-50 and ESC-10 in docs/explanation/accuracy.md, and
the six features of experiments.md: `python -m docs.esc50 ESC50 ESC10 OUT`.

ESC50 and ESC10 are datasets in ESC-50's layout, or the names esc50 and esc10, which
are downloaded; OUT takes caches, runs and reports. A repeated command goes on where the
last one stopped. Everything but the default on ESC-50 takes some three hours of one
core; the default, in the last step, another hour and a half.
"""

import subprocess
import sys
from pathlib import Path

FIVE = "mel+mfcc+chroma+contrast+modulation"
# ESC-50: sets of features, from one to six
SETS = (
    "mel",
    "mel+mfcc",
    "mel+mfcc+modulation",
    FIVE,
    "mel+mfcc+contrast+modulation+pcen+gammatone",
)
# ESC-10: stacks of one to three, with controls
STACKS = (
    "mel",
    "mfcc",
    "chroma",
    "cqt",
    "mel+mfcc",
    "mel+mfcc+chroma",
    "mel+mel+mel",
    "mel+mel_delta",
    "mel+harmonic+percussive",
)
OTHERS = ("modulation", "gammatone", "gfcc", "shape", "ifd", "lfcc")
BESIDE = tuple(f"mel+mfcc+{feature}" for feature in OTHERS)
# features of RECIPE=accurate, and chroma for the default's ResNet-18
SHORT_FRAMES = ("FRAME=23", "FEATURES=mel mfcc gammatone contrast modulation chroma")
TEXTURE = ("MODEL=texture", "THREADS=1", "PRECISION=fp32", "CURVE=0")
RESNET = ("RECIPE=short", "THREADS=1", "PRECISION=bf16", "CURVE=0")
ACCURATE = ("RECIPE=accurate", "THREADS=1", "PRECISION=fp32", "CURVE=0")
SEEDS = "SEED=0 1 2"
DEFAULT = "FEATURES=mel+mfcc+chroma"


def feature_sets(sets: tuple[str, ...]) -> str:
    """The sets as FEATURES=."""
    return f"FEATURES={' '.join(sets)}"


def five_features() -> str:
    """The five features as FEATURES= of an extraction or of importance."""
    return f"FEATURES={FIVE.replace('+', ' ')}"


def esc50_steps(dataset: str) -> list[tuple[str, ...]]:
    """Each step as words of a command: the quick ones first."""
    given = f"DATASET={dataset}"
    short = (given, "NAME=short50")
    return [
        ("pipeline", "features", given, "FEATURES=small"),
        ("train", "sweep", given, "MODEL=linear", feature_sets(SETS)),
        ("train", "sweep", given, *TEXTURE, feature_sets(SETS)),
        ("train", "importance", given, five_features()),
        ("train", "sweep", given, "MODEL=linear", "FEATURES=small"),
        ("train", "sweep", given, *TEXTURE, "FEATURES=small"),
        ("pipeline", "features", *short, *SHORT_FRAMES),
        ("train", "sweep", *short, *ACCURATE, SEEDS),
        ("train", "run", *short, *RESNET, DEFAULT),
        ("analysis", given),
        ("analysis", *short),
    ]


def esc10_steps(dataset: str) -> list[tuple[str, ...]]:
    """Each step as words of a command."""
    given = f"DATASET={dataset}"
    short = (given, "NAME=short10")
    every = STACKS + OTHERS + BESIDE
    return [
        ("pipeline", "features", given, "FEATURES=small"),
        ("train", "sweep", given, "MODEL=linear", feature_sets(every)),
        ("train", "sweep", given, *TEXTURE, feature_sets(every), SEEDS),
        ("train", "importance", given, five_features()),
        ("pipeline", "features", *short, *SHORT_FRAMES),
        ("train", "sweep", *short, *ACCURATE, SEEDS),
        ("train", "sweep", given, *RESNET, feature_sets(STACKS), "SEED=0 1"),
        ("train", "run", given, DEFAULT),
        ("analysis", given),
        ("analysis", *short),
    ]


def default_steps(dataset: str) -> list[tuple[str, ...]]:
    """The default model on ESC-50, which takes the longest, and the report again."""
    given = f"DATASET={dataset}"
    return [
        ("train", "run", given, DEFAULT, "THREADS=1"),
        ("analysis", given),
    ]


def main(esc50: str, esc10: str, out: Path) -> None:
    """Extract, train and report; the default model on ESC-50 last."""
    folders = [f"{name.upper()}={out / name}" for name in ("data", "runs", "reports")]
    for step in (*esc50_steps(esc50), *esc10_steps(esc10), *default_steps(esc50)):
        module, *words = step
        command = [sys.executable, "-m", f"featurestack.{module}", *words]
        subprocess.run([*command, *folders], check=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
