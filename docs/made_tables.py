"""The steps behind each file of docs/tables/: `python -m docs.tables SOUNDS OUT NAME`.

A maker returns the rows. COMMANDS has the command that a reader types, where it is
another than that one.
"""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import featurestack as fs
from featurestack.analysis.ranking import Ranking, rank
from featurestack.analysis.runs import Run, load_runs
from featurestack.analysis.significance import LEVEL
from featurestack.commandline.registry import Registry
from featurestack.features_cache.names import parse_list
from featurestack.pipeline.features import FEATURES, resolve_feature
from featurestack.results.run_folder import find
from featurestack.scores.metrics import Floats

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
# features of RECIPE=accurate, and chroma for the default's ResNet-18
SHORT_FRAMES = ("FRAME=23", "FEATURES=mel mfcc gammatone contrast modulation chroma")
TEXTURE = ("MODEL=texturenet", "THREADS=1", "PRECISION=fp32", "CURVE=0")
RESNET = ("RECIPE=short", "THREADS=1", "PRECISION=bf16", "CURVE=0")
ACCURATE = ("RECIPE=accurate", "THREADS=1", "PRECISION=fp32", "CURVE=0")
SEEDS = "SEED=0 1 2"
DEFAULT = "FEATURES=mel+mfcc+chroma"
BASE = "mel"  # the other sets of RESNET_SETS are compared with it
RESNET_SETS = (
    BASE,
    "mfcc",
    "chroma",
    "mel+mfcc",
    DEFAULT.removeprefix("FEATURES="),
    "mel+mel+mel",
    "mel+mfcc+contrast+modulation+gammatone",
)
HELD_OUT = (4, 5)  # folds of ESC-50 that no choice has read


@dataclass(frozen=True)
class Folders:
    """Where datasets are, and where caches, runs and reports go."""

    sounds: Path
    out: Path

    def dataset(self, name: str) -> str:
        """The dataset as DATASET=: its folder in `sounds`, or its known name."""
        folder = self.sounds / name
        return f"DATASET={folder if folder.is_dir() else name}"

    def run(self, stage: str, *words: str) -> None:
        """Run a command."""
        folders = [f"{name.upper()}={self.out / name}" for name in ("data", "runs")]
        if any(word.startswith("RUNS=") for word in words):
            folders.pop()
        if stage == "analysis":
            folders.append(f"REPORTS={self.out / 'reports'}")
        module, *command = stage.split()
        subprocess.run(
            [
                sys.executable,
                "-m",
                f"featurestack.{module}",
                *command,
                *words,
                *folders,
            ],
            check=True,
        )

    def report(self, name: str) -> Path:
        """The folder of a dataset's report."""
        return self.out / "reports" / name / "tables"


MAKERS: Registry[Callable[[Folders], pd.DataFrame]] = Registry("table")
ESC50_SWEEP = "make sweep DATASET=../esc50_16k"
COMMANDS = {
    "speed": "python -m bench.features DATASET=esc10",
    "esc10": (
        'make sweep DATASET=esc10 MODEL=texturenet SEED="0 1 2" THREADS=1'
        " PRECISION=fp32 CURVE=0 FEATURES=…; make sweep DATASET=esc10 MODEL=linear"
        " FEATURES=…"
    ),
    "esc50": (
        f"{ESC50_SWEEP} MODEL=texturenet THREADS=1 PRECISION=fp32 CURVE=0 FEATURES=…;"
        f" {ESC50_SWEEP} MODEL=linear FEATURES=…"
    ),
    "esc50_single": f'{ESC50_SWEEP} MODEL="texturenet linear" FEATURES=…',
    "esc10_added": "make analysis DATASET=esc10",
    "esc10_kept": f'make importance DATASET=esc10 FEATURES="{FIVE.replace("+", " ")}"',
    "price": "python -m pipeline check DATASET=../fsdd/fsdd.csv FOLDS_BY=group",
    "demo": "make demo",
    "answer": "make answer DATASET=\"my sounds\" GROUP='(.*)-[A-Z]'",
    "synth": "make sweep DATASET=synth MODEL=linear FEATURES=…",
    "sizes": "python -m pipeline list",
    "checks": "python -m bench.checks",
}


def scores_of_folds(run: Run) -> Floats:
    """(F,) the accuracy of each fold in percent, by fold."""
    return 100 * run.task.fold_scores(run)[run.task.score].to_numpy()


def scores(ranking: Ranking, place: int) -> dict[str, float]:
    """Accuracy of a run in percent, with its deviation over folds and interval."""
    low, high = 100 * ranking.interval[place]
    return {
        "accuracy": 100 * ranking.accuracy[place],
        "accuracy_sd": scores_of_folds(ranking.runs[place]).std(ddof=1),
        "accuracy_low": low,
        "accuracy_high": high,
    }


def feature_sets(sets: tuple[str, ...]) -> str:
    """The sets as FEATURES=."""
    return f"FEATURES={' '.join(sets)}"


@MAKERS.register()
def speed(folders: Folders) -> pd.DataFrame:
    """Extraction against librosa and audioFlux."""
    from bench.features import compare

    word = folders.dataset("esc10").removeprefix("DATASET=")
    rows, _ = compare(word, folders.out / "data", "", clips=20, features="all")
    return rows


@MAKERS.register()
def service(folders: Folders) -> pd.DataFrame:
    """One prediction of `fs.Model` from a clip of five seconds: processor time of one
    core, and memory of the process. What a network costs does not depend on its
    training, so that one epoch is trained.
    """
    dataset = folders.dataset("esc10")
    folders.run("pipeline features", dataset, "FEATURES=mel mfcc chroma")
    torch.set_num_threads(1)
    noise = np.random.default_rng(0).normal(0, 0.1, 5 * fs.RATE).astype(np.float32)
    rows = []
    for name in ("linear", "texturenet"):
        words = [dataset, "FEATURES=mel+mfcc+chroma", f"MODEL={name}", "EPOCHS=1"]
        folders.run("train run", *words, f"TAG=service-{name}", "THREADS=1", "CURVE=0")
        model = fs.Model(fs.run("last", folders.out / "runs"))
        model.warm()
        seconds = []
        for _ in range(50):
            begun = time.process_time()
            model.predict(noise, fs.RATE)
            seconds.append(time.process_time() - begun)
        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        row = {"model": name, "ms": 1000 * np.median(seconds), "GB": largest / 2**20}
        rows.append(row)
    return pd.DataFrame(rows)


@MAKERS.register()
def esc10(folders: Folders) -> pd.DataFrame:
    """Feature sets on ESC-10, by `linear`, which has no seed, and by `texturenet` with
    three seeds: means over the seeds, and their deviation.
    """
    report = esc10_report(folders)
    rows = compared_sets(folders, report, STACKS)
    compared = pd.read_csv(report / "comparison.csv")
    texture = compared[compared["model"] == "texturenet"].set_index("features")
    described = pd.read_csv(report / "runs.csv").set_index("run")
    named = texture.loc[rows["features"], "run"]
    rows["texture_seed_sd"] = 100 * described.loc[named, "seed_sd"].to_numpy()
    return rows


def compared_sets(
    folders: Folders, report: Path, sets: tuple[str, ...]
) -> pd.DataFrame:
    """Accuracies of feature sets in percent by `linear` and `texturenet`, the best by
    `texturenet` first, with the seconds of training.
    """
    compared = pd.read_csv(report / "comparison.csv")
    compared = compared[compared["reason"].isna()].set_index(["model", "features"])
    rows = []
    for features in sets:
        row: dict[str, object] = {"features": features}
        for model in ("linear", "texturenet"):
            if (model, features) not in compared.index:
                continue
            found = compared.loc[(model, features)]
            for column in ("accuracy", "accuracy_sd", "accuracy_low", "accuracy_high"):
                row[column.replace("accuracy", model)] = 100 * found[column]
            row[f"{model}_seeds"] = found["seeds"]
        runs = (folders.out / "runs" / report.parent.name).glob(
            f"{features}-*/run.json"
        )
        described = [json.loads(run.read_text(encoding="utf-8")) for run in runs]
        row["seconds"] = round(sum(run["seconds"] for run in described))
        rows.append(row)
    made = pd.DataFrame(rows)
    return made.sort_values("texturenet", ascending=False, kind="stable")


@MAKERS.register()
def esc50(folders: Folders) -> pd.DataFrame:
    """Feature sets on ESC-50 at 16 kHz, by `linear` and by `texturenet`, one seed."""
    return compared_sets(folders, esc50_report(folders), SETS)


@MAKERS.register()
def esc50_single(folders: Folders) -> pd.DataFrame:
    """Every feature alone on ESC-50 at 16 kHz, by `texturenet` and by `linear`."""
    esc50_report(folders)  # first: a set of the best features would count as composed
    given = folders.dataset("esc50_16k")
    names = tuple(FEATURES)
    maps = tuple(name for name in names if name != "waveform")
    folders.run("pipeline features", given, "FEATURES=all")
    folders.run("train sweep", given, "MODEL=linear", feature_sets(names))
    folders.run("train sweep", given, *TEXTURE, feature_sets(maps))
    folders.run("analysis", given)
    rows = compared_sets(folders, folders.report("esc50_16k"), names)
    rows = rows.rename(columns={"features": "feature"})
    columns = ["feature", "texturenet", "texture_sd", "linear", "linear_sd", "seconds"]
    return rows[columns]


# name -> model and features as the page has them, NAME= and the words of the sweep
ESC50_MODELS = {
    "accurate": (
        "`RECIPE=accurate`",
        "mel+mfcc+gammatone+contrast+modulation, frames of 23 ms",
        "short50",
        (*ACCURATE, SEEDS),
    ),
    "default": (
        "`resnet18+texturenet`, the default",
        "mel+mfcc+chroma",
        "esc50_16k",
        (DEFAULT, "THREADS=1"),
    ),
    "short": (
        "`RECIPE=short`, ResNet-18 alone",
        "mel+mfcc+chroma, frames of 23 ms",
        "short50",
        (*RESNET, DEFAULT),
    ),
}


@MAKERS.register()
def esc50_models(folders: Folders) -> pd.DataFrame:
    """Further models on ESC-50 at 16 kHz; the default takes an hour of one core."""
    rows = []
    given = folders.dataset("esc50_16k")
    for name, (model, features, cache, words) in ESC50_MODELS.items():
        frames = SHORT_FRAMES if cache == "short50" else ("FEATURES=small",)
        # a report of its own, in which the run is the only one
        places = (given, f"NAME={cache}", f"RUNS={folders.out / name}")
        folders.run("pipeline features", given, f"NAME={cache}", *frames)
        folders.run("train sweep", *places, *words)
        folders.run("analysis", *places)
        found = pd.read_csv(folders.report(cache) / "comparison.csv").iloc[0]
        row: dict[str, object] = {"name": name, "model": model, "features": features}
        row["seeds"] = found["seeds"]
        for column in ("accuracy", "accuracy_sd", "accuracy_low", "accuracy_high"):
            row[column] = 100 * found[column]
        runs = (folders.out / name / cache).glob("*/run.json")
        described = [json.loads(run.read_text(encoding="utf-8")) for run in runs]
        row["seconds"] = round(sum(run["seconds"] for run in described))
        row["minutes"] = row["seconds"] / 60 / found["seeds"]
        rows.append(row)
    return pd.DataFrame(rows)


@MAKERS.register()
def stacks(folders: Folders) -> pd.DataFrame:
    """Do stacked channels help ResNet-18? Sets of features by RECIPE=short on ESC-50
    at 16 kHz, and on spoken digits by speaker.

    The sets are those of RESNET_SETS and stay, so that no gain is picked because it is
    the largest; p and intervals are corrected for all sets of a dataset. mel+mel+mel is
    the control: three channels without anything new.
    """
    digits = folders.dataset("fsdd") + "/fsdd.csv"
    rows = []
    for name, given in {
        "esc50": (folders.dataset("esc50_16k"),),
        "fsdd": (digits, "FOLDS_BY=group"),
    }.items():
        place = f"NAME={name}-23"
        # at 8 kHz the bands of contrast end above half the rate
        lacking = "+contrast" if name == "fsdd" else "\0"
        sets = tuple(features.replace(lacking, "") for features in RESNET_SETS)
        singles = " ".join(dict.fromkeys("+".join(sets).split("+")))
        frames = ("FRAME=23", f"FEATURES={singles}")
        folders.run("pipeline features", *given, place, *frames)
        folders.run("train sweep", given[0], place, *RESNET, feature_sets(sets))
        runs = load_runs(find(folders.out / "runs", f"{name}-23")).runs
        rows += stacked(name, rank(runs, LEVEL))
    return pd.DataFrame(rows)


def stacked(dataset: str, ranking: Ranking) -> list[dict[str, object]]:
    """A row for each feature set: percent by fold, and the gain over BASE in points."""
    # FRAME=23 trains on variants of the features
    names = [re.sub(r"@[^+]*", "", run.features) for run in ranking.runs]
    base = names.index(BASE)
    others = [place for place in range(len(names)) if place != base]
    _, tests = ranking.compare([(base, place) for place in others])
    gains = dict(zip(others, tests.numbers(ranking.unit)))
    rows = []
    for place, run in enumerate(ranking.runs):
        accuracies = scores_of_folds(run)
        row: dict[str, object] = {"row": f"{dataset} {names[place]}"}
        row |= {"dataset": dataset, "features": names[place]}
        row |= dict.fromkeys((f"fold{fold}" for fold in range(1, 7)), np.nan)
        row |= dict(zip((f"fold{fold}" for fold in ranking.folds), accuracies))
        row["mean"] = 100 * ranking.accuracy[place]
        if dataset == "esc50":
            row["held_out"] = accuracies[np.isin(ranking.folds, HELD_OUT)].mean()
        if place in gains:
            points = dict(zip(("gain", "gain_from", "gain_to"), 100 * gains[place]))
            row |= points | {"p": gains[place][-1]}
        rows.append(row | {"seconds": run.config.seconds})
    return rows


@MAKERS.register()
def esc10_added(folders: Folders) -> pd.DataFrame:
    """Effects of one choice on ESC-10 by `texturenet`, in points, as in the report."""
    ablations = pd.read_csv(esc10_report(folders) / "ablations.csv")
    ablations = ablations[ablations["model"] == "texturenet"].set_index("name")
    asked = {
        "mel added to mfcc": "mel added to mfcc (texturenet)",
        "mfcc added to mel": "mfcc added to mel (texturenet)",
        "mel+mel+mel instead of mel": "mel+mel added to mel (texturenet)",
        "chroma added to mel+mfcc": "chroma added to mel+mfcc (texturenet)",
        "harmonic and percussive added to mel": (
            "harmonic+percussive added to mel (texturenet)"
        ),
    }
    rows = [
        {
            "question": question,
            **{
                column: 100 * ablations.loc[name, column]
                for column in ("difference", "low", "high")
            },
            "p": ablations.loc[name, "p"],
            "verdict": ablations.loc[name, "verdict"],
        }
        for question, name in asked.items()
        if name in ablations.index
    ]
    return pd.DataFrame(rows)


@MAKERS.register()
def esc10_kept(folders: Folders) -> pd.DataFrame:
    """The set to keep of five features on ESC-10, and what is lost without each of
    its features.
    """
    report = esc10_report(folders)
    kept = pd.read_csv(report / "importance_kept.csv")
    kept["without"] = kept["without"].fillna("none")
    points = 100 * kept[["accuracy", "of", "lost", "low", "high"]]
    return pd.concat([kept[["without", "features"]], points], axis=1)


def esc10_report(folders: Folders) -> Path:
    """The tables of a report on ESC-10, after its runs."""
    given = folders.dataset("esc10")
    folders.run("pipeline features", given, "FEATURES=small")
    sets = feature_sets(STACKS)
    folders.run("train sweep", given, "MODEL=linear", sets)
    folders.run("train sweep", given, *TEXTURE, sets, SEEDS)
    folders.run("train importance", given, f"FEATURES={FIVE.replace('+', ' ')}")
    folders.run("analysis", given)
    return folders.report("esc10")


def esc50_report(folders: Folders) -> Path:
    """The tables of a report on ESC-50 at 16 kHz, after its runs."""
    given = folders.dataset("esc50_16k")
    folders.run("pipeline features", given, "FEATURES=small")
    folders.run("train sweep", given, "MODEL=linear", feature_sets(SETS))
    folders.run("train sweep", given, *TEXTURE, feature_sets(SETS))
    folders.run("analysis", given)
    return folders.report("esc50_16k")


@MAKERS.register()
def price(folders: Folders) -> pd.DataFrame:
    """Accuracy on spoken digits if clips are split at random, and by speaker."""
    given = f"DATASET={folders.sounds / 'fsdd' / 'fsdd.csv'}"
    folders.run("pipeline check", given, "FOLDS_BY=group")
    file = folders.out / "data" / "fsdd" / "features" / "check.json"
    found = json.loads(file.read_text(encoding="utf-8"))["findings"]
    (text,) = [each["what"] for each in found if each["kind"] == "price"]
    by_clip, by_speaker, lost = map(float, re.findall(r"\d+\.\d", text))
    row = {"dataset": "fsdd", "by_clip": by_clip, "by_speaker": by_speaker}
    return pd.DataFrame([row | {"lost": lost}])


@MAKERS.register()
def demo(folders: Folders) -> pd.DataFrame:
    """The findings of the demo."""
    folders.run("demo", f"REPORTS={folders.out / 'reports'}")
    tables = folders.report("synth")
    compared = pd.read_csv(tables / "comparison.csv")
    ablations = pd.read_csv(tables / "ablations.csv")
    best = compared.iloc[0]
    added = ablations[ablations["base"] == "mel"].iloc[0]
    kept = pd.read_csv(tables / "importance_kept.csv").fillna("none")
    row = {"features": best["features"]}
    row |= {
        column: 100 * best[f"accuracy{column.replace('accuracy', '')}"]
        for column in ("accuracy", "accuracy_low", "accuracy_high", "accuracy_sd")
    }
    row |= {
        f"added_{name}": 100 * added[name] for name in ("difference", "low", "high")
    }
    row["kept_features"] = kept["features"].iloc[0]
    for place, without in enumerate(kept["without"]):
        name = "kept" if without == "none" else f"without_{without}"
        row |= {
            f"{name}_{column}": 100 * kept[column].iloc[place]
            for column in ("accuracy", "of", "lost", "low", "high")
        }
    return pd.DataFrame([row])


# line that docs/tutorials/own-sounds.md shows -> how it begins
TUTORIAL: dict[str, str | tuple[str, ...]] = {
    "measure": "warning  1 measure",
    "silent": "note     24 clips",
    "band": "note     58 clips",
    "folds": "note     the folds",
    "artefacts": "a linear classifier of artefacts",
    "trail": "  trail",
    "score": "my sounds: ",
    "chosen": "chosen: ",
    "later": ("for later use: ", "undecided: "),
    "alone": "alone, ",
    "report": "report: ",
    "next": "next: ",
}
WIDTH = 98  # characters of such a line


@MAKERS.register()
def answer(folders: Folders) -> pd.DataFrame:
    """What `make answer` prints for the tutorial's folder: three classes of ESC-10.
    Long lines are cut.
    """
    sounds = folders.out / "my sounds"
    table = pd.read_csv(folders.sounds / "esc10" / "meta" / "esc10.csv")
    for clip in table[table["category"].isin(["dog", "rain", "rooster"])].itertuples():
        _, source, take, _ = clip.filename.split("-")
        file = sounds / clip.category / f"{source}-{take}{Path(clip.filename).suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folders.sounds / "esc10" / "audio" / clip.filename, file)
    given = r"DATASET=my\ sounds GROUP=(.*)-[A-Z]"  # as make hands it on
    told = subprocess.run(
        [sys.executable, "-m", "answer", "--make", given],
        cwd=folders.out,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
        check=True,
        capture_output=True,
        text=True,
    )
    lines = told.stdout.replace(f"{folders.out.resolve()}/", "").splitlines()
    rows = []
    for name, beginning in TUTORIAL.items():
        (*_, line) = [line for line in lines if line.startswith(beginning)]
        if len(line) > WIDTH:
            line = line[: line.rindex(" ", 0, WIDTH)] + " …"
        rows.append({"line": name, "text": line})
    return pd.DataFrame(rows)


@MAKERS.register()
def synth(folders: Folders) -> pd.DataFrame:
    """Single features on the synthetic sounds by `linear`."""
    names = "mel mfcc chroma tempogram onset"
    sets = f"FEATURES={names}"
    given = "DATASET=synth"
    folders.run("pipeline features", given, sets)
    folders.run("train sweep", given, "MODEL=linear", sets)
    folders.run("analysis", given)
    compared = pd.read_csv(folders.report("synth") / "comparison.csv")
    single = compared[compared["model"] == "linear"].set_index("features")
    row = {name: 100 * single.loc[name, "accuracy"] for name in names.split()}
    return pd.DataFrame([{"classes": "all ten", **row}])


# published datasets: clips, seconds of a clip
SIZES = {
    "esc50": (2_000, 5),
    "urbansound8k": (8_732, 4),
    "fsd50k": (51_197, 10),
    "audioset": (2_084_320, 10),
}


@MAKERS.register()
def sizes(folders: Folders) -> pd.DataFrame:
    """Gigabytes of a cache in float16 at 44.1 kHz."""
    rows = []
    for word in ("mel", "mfcc", "small", "all"):
        row: dict[str, object] = {"features": word}
        for dataset, (clips, seconds) in SIZES.items():
            maps = [
                resolve_feature(channel).shape(44100, 44100 * seconds)
                for (channel,) in parse_list(word, list(FEATURES))
            ]
            values = sum(height * frames for height, frames in maps)
            row[dataset] = clips * values * 2 / 1e9
        rows.append(row)
    return pd.DataFrame(rows)
