"""Hand-made features beside pretrained networks: the steps behind four files of
docs/tables/.

    pretrained        accuracy of mel, the features by hand, each network, both, all
    pretrained_gains  differences between these, tested as one family for each dataset
    pretrained_both   ways to use both on ESC-50, chosen on folds 1 to 3
    few_labels        the same with 4, 8, 16 and 32 clips of each class of ESC-50

SOUNDS holds the datasets esc50_16k, esc10, fsdd, commands and finch, and the file
yamnet/yamnet.tflite. BY_HAND is the best of six sets tried before on clips of ESC-50.
"""

import contextlib
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from docs.made_tables import HELD_OUT, MAKERS, TEXTURE, Folders, scores, scores_of_folds
from featurestack.analysis.ensemble import write_ensemble
from featurestack.analysis.ranking import Ranking, rank
from featurestack.analysis.runs import load_runs
from featurestack.analysis.significance import LEVEL
from featurestack.results.run_folder import find
from featurestack.rooms.embeddings.networks import fetch_network

# speakers apart; every digit whole, where the default cuts the longest twentieth
FSDD = ("FOLDS_BY=group", "DURATION=2.3")
BY_HAND = ("mel", "mfcc", "contrast", "modulation", "pcen", "gammatone")
SPEECH, YAMNET = "embedding@model=speech", "embedding@model=yamnet"
TITLES = {
    "esc50_16k": "environmental sounds, ESC-50 at 16 kHz",
    "esc10": "ten of its classes at 44.1 kHz, ESC-10",
    "fsdd": "spoken digits, a speaker left out",
    "commands": "spoken commands, by speaker",
    "finch": "syllables of a finch, by song",
}
CLASSES = 50  # classes of ESC-50
# way to use both -> feature set and model of the runs whose probabilities are averaged
WAYS = {
    "yamnet by linear": (("yamnet", "linear"),),
    "by hand + yamnet by linear": (("with_yamnet", "linear"),),
    "by hand by texturenet": (("by_hand", "texturenet"),),
    "mean of yamnet by linear and by hand by texturenet": (
        ("yamnet", "linear"),
        ("by_hand", "texturenet"),
    ),
    "mean of by hand + yamnet by linear and by hand by texturenet": (
        ("with_yamnet", "linear"),
        ("by_hand", "texturenet"),
    ),
}
CHOICE = "folds123"  # the dataset of CHOSEN_ON
CHOSEN_ON = (1, 2, 3)
# the first feature set less the second
GAINS = (
    ("with_yamnet", "yamnet"),
    ("with_yamnet", "by_hand"),
    ("with_speech", "speech"),
    ("with_speech", "by_hand"),
    ("yamnet", "by_hand"),
    ("speech", "by_hand"),
)


def syllables(sounds: Path, out: Path) -> Path:
    """A table with one clip for each marked syllable of the finch, as a dataset."""
    table = out / "finch.csv"
    with (sounds / "finch" / "events.csv").open(encoding="utf-8") as file:
        events = list(csv.DictReader(file))
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["filename", "label", "start", "end", "group"])
        for event in events:
            recording = Path(event["file"]).stem
            times = event["start"], event["end"]
            writer.writerow([event["file"], event["label"], *times, recording])
    return table


def feature_sets(dataset: str) -> dict[str, str]:
    """Column of the table -> feature set; `contrast` cannot exist at 8 kHz."""
    names = [name for name in BY_HAND if dataset != "fsdd" or name != "contrast"]
    by_hand = "+".join(names)
    return {
        "mel": "mel",
        "by_hand": by_hand,
        "speech": SPEECH,
        "yamnet": YAMNET,
        "with_speech": f"{by_hand}+{SPEECH}",
        "with_yamnet": f"{by_hand}+{YAMNET}",
        "all": f"{by_hand}+{SPEECH}+{YAMNET}",
    }


def trained(folders: Folders, name: str) -> Ranking:
    """The ranking of a dataset's runs, which are extracted and trained first."""
    sounds = folders.sounds.resolve()
    given = {
        "fsdd": (f"DATASET={sounds / 'fsdd' / 'fsdd.csv'}", *FSDD),
        "commands": (f"DATASET={sounds / 'commands' / 'commands.csv'}",),
    }.get(name, (f"DATASET={sounds / name}",))
    out = folders.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    if name == "finch":
        table = syllables(sounds, out)
        given = (f"DATASET={table}", f"AUDIO_DIR={sounds / 'finch'}")
    named = f"FEATURES={' '.join(feature_sets(name).values())}"
    run = replace(folders, out=out).run
    with contextlib.chdir(out):  # networks are looked for in the current folder
        fetch_network("yamnet", file=sounds / "yamnet" / "yamnet.tflite")
        run("pipeline features", *given, named)
        run("train sweep", f"DATASET={name}", named, "MODEL=linear")
    results = load_runs(find(out / "runs", name))
    sets = feature_sets(name).values()
    runs = [each for each in results.runs if each.model == "linear"]
    return rank([each for each in runs if each.features in sets], LEVEL)


def places(ranking: Ranking, dataset: str) -> dict[str, int]:
    """Column of the table -> place of its run."""
    by_features = {run.features: place for place, run in enumerate(ranking.runs)}
    return {
        column: by_features[features]
        for column, features in feature_sets(dataset).items()
    }


def write_clips(dataset: Path, file: Path) -> None:
    """Write the table of the clips of CHOSEN_ON, with absolute paths."""
    clips = pd.read_csv(dataset / "meta" / "esc50.csv")
    chosen = clips[clips["fold"].isin(CHOSEN_ON)]
    audio = dataset.resolve() / "audio"
    paths = [str(audio / name) for name in chosen["filename"]]
    file.parent.mkdir(parents=True, exist_ok=True)
    chosen.assign(filename=paths).to_csv(file, index=False)


def training_seconds(ranking: Ranking) -> float:
    return sum(run.config.seconds for run in ranking.runs)


@MAKERS.register()
def pretrained(folders: Folders) -> pd.DataFrame:
    """A row for each dataset: accuracies in percent."""
    rows = []
    for dataset, title in TITLES.items():
        ranking = trained(folders, dataset)
        row: dict[str, str | float] = {"dataset": title}
        for column, place in places(ranking, dataset).items():
            found = scores(ranking, place).items()
            row |= {name.replace("accuracy", column): each for name, each in found}
        rows.append(row | {"seconds": training_seconds(ranking)})
    return pd.DataFrame(rows)


@MAKERS.register()
def pretrained_gains(folders: Folders) -> pd.DataFrame:
    """A row for each dataset and pair: differences in points."""
    rows = []
    for dataset in TITLES:
        ranking = trained(folders, dataset)
        place = places(ranking, dataset)
        pairs = [(place[second], place[first]) for first, second in GAINS]
        _, tests = ranking.compare(pairs)
        numbers = tests.numbers(ranking.unit)
        for (first, second), (points, low, high, p) in zip(GAINS, numbers):
            verdict = "clear" if p < LEVEL else "no clear difference"
            row: dict[str, str | float] = {
                "gain": f"{dataset} {first} {second}",
                "points": 100 * points,
                "low": 100 * low,
                "high": 100 * high,
                "p": p,
                "verdict": verdict if ranking.testable else "not tested",
                "seconds": training_seconds(ranking),
            }
            rows.append(row)
    return pd.DataFrame(rows)


@MAKERS.register()
def pretrained_both(folders: Folders) -> pd.DataFrame:
    """A row for each of WAYS: accuracies in percent.

    `chosen_on` is the mean over folds 1 to 3 after training on two of them. The way
    that has the highest there is the project's choice.
    """
    sounds, out = folders.sounds.resolve(), folders.out.resolve()
    clips = out / f"{CHOICE}.csv"
    write_clips(sounds / "esc50_16k", clips)
    choice, chosen_on = ranked_ways(folders, clips)
    five, places = ranked_ways(folders, sounds / "esc50_16k")
    held_out = np.isin(five.folds, HELD_OUT)
    rows = []
    for way, place in places.items():
        row = {
            "way": way,
            "chosen_on": scores_of_folds(choice.runs[chosen_on[way]]).mean(),
            **scores(five, place),
            "held_out": scores_of_folds(five.runs[place])[held_out].mean(),
            "seconds": five.runs[place].config.seconds,
        }
        rows.append(row)
    return pd.DataFrame(rows)


def ranked_ways(folders: Folders, dataset: Path) -> tuple[Ranking, dict[str, int]]:
    """The ranking of the runs of WAYS, trained first where they are not there, and
    each way's place in it.
    """
    out = folders.out.resolve()
    sets = feature_sets("esc50_16k")
    by_hand, yamnet = sets["by_hand"], sets["yamnet"]
    given = f"DATASET={dataset}"
    run = replace(folders, out=out).run
    with contextlib.chdir(out):  # networks are looked for in the current folder
        fetch_network("yamnet", file=folders.sounds / "yamnet" / "yamnet.tflite")
        names = f"FEATURES={by_hand.replace('+', ' ')} {yamnet}"
        run("pipeline features", given, names)
        linear = f"FEATURES={yamnet} {sets['with_yamnet']}"
        run("train sweep", given, linear, "MODEL=linear")
        run("train run", given, f"FEATURES={by_hand}", *TEXTURE)
    trained = load_runs(find(out / "runs", dataset.stem)).runs
    found = {(run.features, run.model): run.folders[0] for run in trained}
    ways = {}
    for way, members in WAYS.items():
        chosen = [found[sets[features], model] for features, model in members]
        single = len(chosen) == 1
        ways[way] = chosen[0] if single else write_ensemble(chosen, out / "runs")
    ranking = rank(load_runs(ways.values()).runs, LEVEL)
    names = [run.folders[0].path for run in ranking.runs]
    return ranking, {way: names.index(folder.path) for way, folder in ways.items()}


@MAKERS.register()
def few_labels(folders: Folders) -> pd.DataFrame:
    """A row for each part of ESC-50's recordings: accuracies in percent."""
    trained(folders, "esc50_16k")
    sets = feature_sets("esc50_16k")
    columns = {sets[name]: name for name in ("by_hand", "yamnet", "with_yamnet")}
    file = folders.out.resolve() / "few_labels.csv"
    words = f"FEATURES={' '.join(columns)}", f"OUT={file}"
    folders.run("train curve", "DATASET=esc50_16k", *words)
    return rows_by_part(pd.read_csv(file), columns)


def rows_by_part(curve: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    """A row for each part of the recordings, the smallest first, from the table of
    `train curve`. `columns` has the name of each feature set.
    """
    rows = []
    for _, part in curve.groupby("part", sort=False):
        first = part.iloc[0]
        row = {
            "clips of a class": round(first["clips"] / CLASSES),
            "recordings": first["recordings"],
        }
        for _, found in part.iterrows():
            column = columns[found["features"]]
            row[column] = 100 * found["accuracy"]
            row[f"{column}_low"] = 100 * found["low"]
            row[f"{column}_high"] = 100 * found["high"]
        rows.append(row)
    rows.sort(key=lambda row: row["recordings"])
    return pd.DataFrame(rows)
