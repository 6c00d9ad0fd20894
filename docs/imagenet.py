"""ResNet-18 as trained on ImageNet, frozen and fine-tuned: the steps behind
docs/tables/imagenet.csv, fine_tuned.csv and imagenet_sounds.csv.

Feature sets were named before the first measurement; how a map enters the network and
the settings of RECIPE=imagenet were chosen on folds 1 to 3. OUT/models has the weights,
resnet18-*.pth.
"""

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from docs.made_tables import (
    HELD_OUT,
    MAKERS,
    RESNET_SETS,
    Folders,
    feature_sets,
    scores,
    scores_of_folds,
    stacked,
)
from docs.pretrained import YAMNET, syllables
from featurestack.analysis.ranking import Ranking, rank
from featurestack.analysis.runs import load_runs
from featurestack.analysis.significance import LEVEL
from featurestack.features_cache import Cache, external
from featurestack.results.run_folder import find
from featurestack.rooms.embeddings.imagenet import open_stages, pooled, standardised
from featurestack.rooms.embeddings.networks import fetch_network

FRAME = "@hop_length=256,n_fft=1024"  # FRAME=64 at 16 kHz
BY_HAND = ("mel", "mfcc", "contrast", "modulation", "pcen", "gammatone")
FROZEN = (("mel",), ("mfcc",), ("chroma",), ("mel", "mfcc"), ("mel", "mfcc", "chroma"))
FIVE = ("mel", "mfcc", "contrast", "modulation", "gammatone")
# feature -> maps that are the channels of one image
JOINED = {
    f"joined_{'_'.join(names)}": names
    for names in (("mel", "mfcc"), ("mel", "mfcc", "chroma"), FIVE)
}
IMAGE = (128, 156)  # rows and columns that `imagenet` gives a map of 5 s
FROZEN_MEL = "mel, frozen"
# folder or table -> row of imagenet_sounds.csv
SOUNDS = {
    "esc10": "ten of its classes at 44.1 kHz, ESC-10",
    "fsdd/fsdd.csv": "spoken digits, a speaker left out",
    "commands/commands.csv": "spoken commands, by speaker",
    "finch": "syllables of a finch, by song",
}
FINE_TUNED = "ten of its classes at 44.1 kHz, ESC-10, fine-tuned"


def frozen(*names: str) -> str:
    return "+".join(f"imagenet{FRAME},of={name}" for name in names)


def by_hand(*names: str) -> str:
    return "+".join(f"{name}{FRAME}" for name in names)


def joined(cache: Cache, names: tuple[str, ...]) -> NDArray[np.float32]:
    """(N, 8192) of the maps as channels of one image, by the frozen stages."""
    network = open_stages(len(names))
    vectors = []
    for row in range(len(cache.clips)):
        image = []
        for name in names:
            stored = f"{name}{FRAME}"
            values = standardised(cache.read(stored, [row])[0], cache[stored].units)
            image.append(
                torch.nn.functional.interpolate(
                    torch.from_numpy(values)[None, None],
                    IMAGE,
                    mode="bilinear",
                    antialias=True,
                )
            )
        with torch.inference_mode():
            vectors.append(pooled(network, torch.cat(image, dim=1)).numpy())
    return np.stack(vectors)


def wanted() -> dict[str, tuple[str, str]]:
    """Name of the row -> feature set and model, of ESC-50 at 16 kHz."""
    six = by_hand(*BY_HAND)
    rows = {
        f"{'+'.join(names)}, frozen": (frozen(*names), "linear") for names in FROZEN
    }
    # the columns of modulation are not time: it enters by its own numbers
    maps = [name for name in FIVE if name != "modulation"]
    apart = f"{frozen(*maps)}+{by_hand('modulation')}"
    rows["five, frozen"] = (apart, "linear")
    for feature, names in JOINED.items():
        shown = "five" if names == FIVE else "+".join(names)
        rows[f"{shown}, frozen as one image"] = (feature, "linear")
    return rows | {
        "mel, fine-tuned": (by_hand("mel"), "resnet18"),
        "mel": (by_hand("mel"), "linear"),
        "six hand-crafted": (six, "linear"),
        "YAMNet": (YAMNET, "linear"),
        "six hand-crafted + mel, frozen": (f"{six}+{frozen('mel')}", "linear"),
        "YAMNet + mel, frozen": (f"{YAMNET}+{frozen('mel')}", "linear"),
        "all three": (f"{six}+{frozen('mel')}+{YAMNET}", "linear"),
    }


@MAKERS.register()
def imagenet(folders: Folders) -> pd.DataFrame:
    """A row for each of `wanted`: accuracies in percent, the gain over frozen mel in
    points.
    """
    out = folders.out.resolve()
    sounds = folders.sounds.resolve()
    run = replace(folders, out=out).run
    given = f"DATASET={sounds / 'esc50_16k'}"
    sets: dict[str, list[str]] = {"linear": [], "resnet18": []}
    for features, model in wanted().values():
        sets[model].append(features)
    names = " ".join(" ".join(each) for each in sets.values())
    with contextlib.chdir(out):  # networks are looked for in models/
        fetch_network("yamnet", file=sounds / "yamnet" / "yamnet.tflite")
        from_audio = {*names.split(), by_hand(*FIVE)} - JOINED.keys()
        run("pipeline features", given, f"FEATURES={' '.join(from_audio)}")
        cache = Cache(out / "data" / "esc50_16k" / "features")
        ids = cache.clips["clip_id"]
        for feature, maps in JOINED.items():
            external.write_feature(cache.folder, feature, joined(cache, maps), ids)
        run(
            "train sweep", given, f"FEATURES={' '.join(sets['linear'])}", "MODEL=linear"
        )
        fine_tuned = f"FEATURES={' '.join(sets['resnet18'])}"
        run("train sweep", given, fine_tuned, "RECIPE=imagenet", "THREADS=1")
    results = load_runs(find(out / "runs", "esc50_16k"))
    chosen = [each for each in results.runs if each.model in sets]
    return rows_of(rank(chosen, LEVEL))


def rows_of(ranking: Ranking) -> pd.DataFrame:
    """The rows of those runs of `wanted` that the ranking has."""
    found = {(run.features, run.model): at for at, run in enumerate(ranking.runs)}
    places = {name: found[key] for name, key in wanted().items() if key in found}
    others = [place for name, place in places.items() if name != FROZEN_MEL]
    _, tests = ranking.compare([(places[FROZEN_MEL], place) for place in others])
    gains = dict(zip(others, tests.numbers(ranking.unit)))
    held_out = np.isin(ranking.folds, HELD_OUT)
    rows = []
    for name, place in places.items():
        by_fold = scores_of_folds(ranking.runs[place])
        gain, gain_from, gain_to, p = gains.get(place, (np.nan,) * 4)
        row = {
            "features": name,
            **scores(ranking, place),
            "chosen_on": by_fold[~held_out].mean(),
            "held_out": by_fold[held_out].mean(),
            "gain": 100 * gain,
            "gain_from": 100 * gain_from,
            "gain_to": 100 * gain_to,
            "p": p,
            "seconds": ranking.runs[place].config.seconds,
        }
        rows.append(row)
    return pd.DataFrame(rows)


@MAKERS.register()
def fine_tuned(folders: Folders) -> pd.DataFrame:
    """Do stacked channels help ResNet-18 that begins with ImageNet's weights? Rows are
    as in `stacks`, with RECIPE=imagenet on ESC-50 at 16 kHz.
    """
    out = folders.out.resolve()
    run = replace(folders, out=out).run
    given = f"DATASET={folders.sounds.resolve() / 'esc50_16k'}"
    stacks = [stack.split("+") for stack in RESNET_SETS]
    sets = feature_sets(tuple(by_hand(*names) for names in stacks))
    with contextlib.chdir(out):
        run("pipeline features", given, sets)
        run("train sweep", given, sets, "RECIPE=imagenet", "THREADS=1")
    found = load_runs(find(out / "runs", "esc50_16k")).runs
    trained = [each for each in found if each.model == "resnet18"]
    return pd.DataFrame(stacked("esc50", rank(trained, LEVEL)))


@MAKERS.register()
def imagenet_sounds(folders: Folders) -> pd.DataFrame:
    """Frozen mel by `linear` on other sounds, and mel fine-tuned on ESC-10 with two
    seeds: accuracies in percent.
    """
    out = folders.out.resolve()
    run = replace(folders, out=out).run
    rows = []
    with contextlib.chdir(out):
        for place, name in SOUNDS.items():
            sounds = folders.sounds.resolve()
            given = [f"DATASET={sounds / place}"]
            if place == "finch":
                table = syllables(sounds, out)
                given = [f"DATASET={table}", f"AUDIO_DIR={sounds / place}"]
            run("pipeline features", *given, "FEATURES=imagenet@of=mel")
            run("train run", *given, "FEATURES=imagenet@of=mel", "MODEL=linear")
            found = load_runs(find(out / "runs", Path(place).stem)).runs
            of_mel = [run for run in found if run.features == "imagenet@of=mel"]
            rows.append({"dataset": name, **scores(rank(of_mel, LEVEL), 0)})
        given = folders.dataset("esc10")
        run("pipeline features", given, "FRAME=64", "FEATURES=mel")
        words = ("RECIPE=imagenet", "THREADS=1", "FEATURES=mel", "SEED=0 7")
        run("train sweep", given, *words)
        found = load_runs(find(out / "runs", "esc10")).runs
        tuned = [run for run in found if run.model == "resnet18"]
        rows.append({"dataset": FINE_TUNED, **scores(rank(tuned, LEVEL), 0)})
    return pd.DataFrame(rows)
