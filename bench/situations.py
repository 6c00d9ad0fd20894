"""Situations of several commands, and what must be true afterwards: two places of one
name, two commands at once, altered copies with groups, a full disk.
"""

import ctypes
import os
import random
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pandas as pd

from bench.calls import Outcome, answered, begun, run
from featurestack.features_cache.cache import Cache
from featurestack.results.run_folder import find

NEW_MOUNTS = 0x20000  # CLONE_NEWNS
ROOM = "256m"  # size of the disk when it has room again
SITES, NAME, MODELS = ("x", "y"), "birds", ("linear", "ridge")
CLASSES = {"ant": "bell", "bee": "siren"}  # class -> the folder of its sounds
LONGEST_LEAD = 0.3  # seconds between two commands at once
# commands that read a dataset by its name
READING = (
    "features FEATURES=zcr JOBS=1",
    "data",
    "show",
    "check",
    "train FEATURES=rms MODEL=linear RUNS={runs}",
    "importance FEATURES='rms zcr' RUNS={runs}",
    "curve FEATURES=rms RUNS={runs}",
    "stress RUN=rms-linear RUNS={runs}",
    "analysis RUNS={runs} REPORTS={runs}/reports",
    "answer FEATURES='rms zcr' RUNS={runs} REPORTS={runs}/reports",
    "remove RUN=rms-linear YES=1 RUNS={runs}",
)
GROUPS = r"""
(.*) (.)$ (.*)-[AB] ([AB]) ^(.) (\d) ([a-z]+)\d (.*)~ ~(.) group label filename nothing
"""
ALTERED = ("gain", "shift", "gain,shift")
# commands that write to a disk
WRITING = (
    "features DATASET={world}/tree DATA={disk}/data FEATURES='rms zcr' JOBS=1",
    "data DATASET={world}/tree DATA={disk}/data ALTER=gain NAME=altered",
    "train {birds} FEATURES=rms MODEL='linear ridge' RUNS={disk}/runs",
    "train {birds} FEATURES=rms {network} RUNS={disk}/runs",
    "analysis {birds} RUNS={site}/runs REPORTS={disk}/reports",
    "predict {of_run} AUDIO={site}/birds/ant OUT={disk}/answers.json",
    "predict {of_run} AUDIO={site}/birds/ant REPORTS={disk}/reports",
    "bundle {of_run} OUT={disk}/model.pt",
)
BIRDS = "DATASET={site}/birds DATA={site}/data"
NETWORK = "MODEL=texturenet GRID=64x108 EPOCHS=1 BATCH=8 THREADS=1 DEVICE=cpu FOLDS=1"
Told = tuple[Outcome, str]


def make_sites(world: Path) -> None:
    """Make two folders of the same name, whose files have the same names but other
    sounds, with a cache and two runs of each.
    """
    for take, site in zip("AB", SITES):
        folder = world / "sites" / site
        for label, sounds in CLASSES.items():
            (folder / NAME / label).mkdir(parents=True)
            takes = sorted((world / "tree" / sounds).glob(f"*-{take}.wav"))
            for number, file in enumerate(takes):
                shutil.copy(file, folder / NAME / label / f"{number}.wav")
        of_site = f"DATASET={folder / NAME} DATA={folder}/data"
        for words in (
            f"features {of_site} FEATURES=rms JOBS=1",
            f"train {of_site} FEATURES=rms MODEL='linear ridge' RUNS={folder}/runs",
        ):
            outcome = run(shlex.split(words))
            assert outcome.status == 0 and not outcome.finding, outcome


def contents(folder: Path) -> dict[Path, bytes]:
    """file -> its content, for every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {file.relative_to(folder): file.read_bytes() for file in files}


def expect(outcome: Outcome, status: int, finding: str, said: str = "") -> Outcome:
    """The outcome, with a finding if its exit status is not `status` or its output
    lacks the words `said`.
    """
    if outcome.finding or (outcome.status == status and said in outcome.output):
        return outcome
    return outcome._replace(finding=finding)


def two_places(rng: random.Random, world: Path) -> Told:
    """DATASET= names a folder, but the cache of this name was made from another folder:
    every command must refuse to read it.
    """
    finding = "the cache of another folder is read"
    first, second = rng.sample(SITES, 2)
    site, other = world / "sites" / first, world / "sites" / second
    before = contents(site)
    runs = f"{site}/runs"
    words = rng.choice(READING).format(runs=runs)
    word, *more = shlex.split(words)
    of_other = [f"DATASET={other / NAME}", f"DATA={site}/data"]
    outcome = expect(run([word, *of_other, *more]), 2, finding, "NAME=birds2")
    if not outcome.finding and contents(site) != before:
        outcome = outcome._replace(finding="a refused command changed a file")
    if not outcome.finding:
        named = ["features", *of_other, "FEATURES=rms", "JOBS=1", "NAME=birds2"]
        outcome = expect(run(named), 0, "the name that was proposed is refused")
    return outcome, f"two places: {words}"


def two_at_once(rng: random.Random, world: Path) -> Told:
    """Two commands for different datasets write to the same place at once: each must
    get a place of its own, or one must be refused.
    """
    both, runs = world / "both", rng.random() < 0.5
    places = {site: world / "sites" / site for site in SITES}
    model, lead = rng.choice(MODELS), rng.uniform(0, LONGEST_LEAD)
    started = {}
    for site, folder in places.items():
        of_site = f"DATASET={folder / NAME} FEATURES=rms"
        if runs:
            words = f"train {of_site} DATA={folder}/data MODEL={model} RUNS={both}"
        else:
            words = f"features {of_site} DATA={both} JOBS=1"
        started[site] = begun(shlex.split(words))
        time.sleep(lead)
    ends = {site: answered(*one) for site, one in started.items()}
    did = f"two at once: {words}, {lead:.2f} s later"
    for outcome in ends.values():
        if outcome.finding:
            return outcome, did
    statuses = sorted(outcome.status for outcome in ends.values())
    if runs:
        found = statuses == [0, 0] and predictions(both, model) == sorted(
            part
            for folder in places.values()
            for part in predictions(folder / "runs", model)
        )
    else:
        found = statuses == [0, 2]
        for site, outcome in ends.items():
            more = "" if outcome.status == 0 else " NAME=birds2"
            of_site = f"DATASET={places[site] / NAME} DATA={both}{more}"
            again = run(shlex.split(f"features {of_site} FEATURES=zcr JOBS=1"))
            found &= again.status == 0
    outcome = ends[rng.choice(SITES)]
    return outcome if found else outcome._replace(finding="two at once differ"), did


def predictions(runs: Path, model: str) -> list[list[bytes]]:
    """The tables of every run of a model, folds in order."""
    tables = [
        [file.read_bytes() for file in sorted(run.path.glob("fold*/predictions.csv"))]
        for run in find(runs)
        if run.path.name.startswith(f"rms-{model}")
    ]
    return sorted(tables)


def copies_with_groups(rng: random.Random, world: Path) -> Told:
    """Altered copies must have the group of their originals for every GROUP=."""
    group, alter = rng.choice(GROUPS.split()), rng.choice(ALTERED)
    first = rng.choice(["", rng.choice(GROUPS.split())])
    data = f"DATA={world}/copies"
    words = f"data DATASET={world}/tree {data} ALTER={alter} COPIES=2 NAME=altered"
    more = [f"GROUP={first}"] if first else []
    outcome = run([*shlex.split(words), *more])
    did = f"copies: GROUP={first}, then GROUP={group}"
    if outcome.finding or outcome.status:
        return outcome, did
    table = f"DATASET={world}/copies/altered/altered.csv"
    words = f"features {table} {data} FEATURES=rms JOBS=1"
    outcome = run([*shlex.split(words), f"GROUP={group}"])
    if outcome.finding or outcome.status:
        return outcome, did
    clips = Cache(world / "copies/altered/features").clips
    if strayed := strays(clips):
        outcome = outcome._replace(finding=f"copies left their originals: {strayed}")
    return outcome, did


def strays(clips: pd.DataFrame) -> list[str]:
    """The copies whose group differs from that of their original."""
    stems = clips["clip_id"].map(lambda clip: Path(clip).stem)
    copied = stems.str.contains("~")
    names = stems.str.partition("~")[0]
    names = names.where(copied, clips["label"] + "_" + stems)
    group_of = dict(zip(names[~copied], clips["group"][~copied]))
    strayed = clips["group"] != names.map(group_of)
    return [str(clip) for clip in clips["clip_id"][strayed]]


def full_disk(rng: random.Random, world: Path) -> Told:
    """A command fills a disk and must say so; when there is room again, the same
    command must succeed.
    """
    disk, site = world / "disk", world / "sites" / rng.choice(SITES)
    birds = BIRDS.format(site=site)
    of_run = f"{birds} RUN=rms-linear RUNS={site}/runs"
    places = {"world": world, "site": site, "disk": disk, "birds": birds}
    words = rng.choice(WRITING).format(**places, of_run=of_run, network=NETWORK)
    room = round(2 ** rng.uniform(2, 11))
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "tmpfs", str(disk), "-o"]
    subprocess.run([*mount, f"size={room}k"], check=True)
    did = f"full disk: {room} KiB, {words}"
    try:
        outcome = run(shlex.split(words))
        if outcome.status == 0 or outcome.finding:
            return outcome, did
        if not any(words in outcome.output for words in ("No space left", "are free")):
            outcome = expect(outcome, 0, "no message names the full disk")
        if outcome.finding:
            return outcome, did
        subprocess.run([*mount, f"remount,size={ROOM}"], check=True)
        again = expect(run(shlex.split(words)), 0, "the command still fails")
        return again, did
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def mounts_are_private() -> bool:
    """Separate the mounts of this process and its children from those of the system;
    False if the system refuses.
    """
    if ctypes.CDLL(None).unshare(NEW_MOUNTS):
        return False
    private = subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True)
    tried = [
        "mount",
        "-t",
        "tmpfs",
        "tmpfs",
        os.environ["FUZZ_FOLDER"],
        "-o",
        "size=1m",
    ]
    if private.returncode or subprocess.run(tried, capture_output=True).returncode:
        return False
    subprocess.run(["umount", os.environ["FUZZ_FOLDER"]], check=True)
    return True


SITUATIONS = [two_places, two_at_once, copies_with_groups, full_disk]
