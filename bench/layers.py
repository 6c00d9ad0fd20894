"""Which layers and statistics of pretrained networks recognise speech by new speakers,
and whether they can be chosen inside the folds:

    python -m bench.layers

Ridge reads the mean, maximum and deviation of ranges of YAMNet's layers, also with the
deviation between the windows' means, and the mean, or mean and deviation, of `speech`.
YAMNet is read from models/ below the current folder. The last row of a dataset and a
network takes for each fold the variant with the highest score in the inner folds, as
`answer` chooses sets. The rows are stored in docs/tables/speech_layers.csv.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.answers import described, write_table
from bench.record import bench, percentages, record, spent
from featurestack import ridge
from featurestack.answers.choice import fits_that_choose
from featurestack.base.options import Options, option
from featurestack.embeddings.embedding import STATISTICS
from featurestack.embeddings.networks import KNOWN, front_end_of, in_package
from featurestack.train.fits import Fits, Part, read_features, tested_by
from featurestack.train.options import FitOptions

EVERY = (0, 1, 2)  # mean, maximum, deviation; the deviation between windows is 3
# variant -> YAMNet's first and last layer, and the statistics over time
VARIANTS = {
    "13 layers": (1, 13, EVERY),
    "13 layers, and deviation between windows": (1, 13, (*EVERY, 3)),
    "13 layers, mean": (1, 13, (0,)),
    "13 layers, mean and deviation": (1, 13, (0, 2)),
    "layers 1 to 6": (1, 6, EVERY),
    "layers 4 to 10": (4, 10, EVERY),
    "layers 7 to 12": (7, 12, EVERY),
    "layers 8 to 13": (8, 13, EVERY),
}
# the network `speech` with the statistics of its output, by name
DEVIATION, OUTPUT = "speechdeviation", "conv2d_19"
NETWORKS = f"embedding@model=yamnet embedding@model=speech embedding@model={DEVIATION}"


class LayersOptions(Options):
    """Datasets of bench.answers."""

    sounds: str = option("commands fsdd", "datasets, separated by spaces")
    folder: Path = option(Path(".."), "the folder of fsdd, commands")


@dataclass(frozen=True)
class Numbers:
    """Numbers of every clip, and the sizes of their blocks."""

    x: NDArray[np.float32]  # (N, D)
    blocks: Sequence[int]


def layers(options: LayersOptions) -> None:
    """Measure every row, and keep the table."""
    for name in options.sounds.split():
        used = spent()
        with tempfile.TemporaryDirectory() as scratch:
            fits = embedded(name, Path(scratch), options.folder.resolve())
        rows = [*rows_of(name, fits)]
        table = pd.DataFrame(rows)
        print(table.to_string(), flush=True)
        command = f"python -m bench.layers SOUNDS={name}"
        record("speech_layers", table, command, spent() - used)


def embedded(name: str, scratch: Path, folder: Path) -> Fits:
    """The networks' features of a dataset."""
    models = scratch / "models"
    shutil.copytree("models", models)
    network = in_package(KNOWN["speech"])
    assert network, "the extra embeddings is not installed"
    card = KNOWN["speech"].card
    shutil.copy(network, models / f"{DEVIATION}.onnx")
    shutil.copy(str(front_end_of(network, card)), models)
    described_card = asdict(card) | {"layers": OUTPUT}
    (models / f"{DEVIATION}.json").write_text(json.dumps(described_card))
    dataset, data = write_table(name, scratch, folder), scratch / "data"
    words = [f"DATASET={dataset}", f"NAME={name}", f"DATA={data}"]
    command = [sys.executable, "-m", "featurestack", "features", *words]
    command.append(f"FEATURES={NETWORKS}")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=scratch)
    places: dict[str, Any] = {"data": data, "runs": scratch / "runs"}
    given = FitOptions(dataset=dataset, name=name, features=NETWORKS, **places)
    return read_features(given, least=3)[1]


def rows_of(name: str, fits: Fits) -> Iterator[dict[str, object]]:
    """The rows of a dataset."""
    yamnet, speech, deviation = (
        Numbers(fits.numbers[each].astype(np.float32), fits.blocks[each])
        for each in NETWORKS.split()
    )
    variants = {
        f"yamnet, {variant}": part_of_layers(yamnet, *which)
        for variant, which in VARIANTS.items()
    }
    both = part_of_layers(deviation, 1, 1, (0, 2))
    spoken = {"speech, mean": speech, "speech, mean and deviation": both}
    for network, numbers in (("yamnet", variants), ("speech", spoken)):
        for variant, own in numbers.items():
            yield row(name, variant, fits, [own] * len(fits.parts))
        chosen = [*chosen_in_folds(fits, numbers)]
        title = f"{network}, chosen in the folds"
        yield row(name, title, fits, [numbers[each] for each in chosen])
        print(title, chosen)


def part_of_layers(
    layers: Numbers, first: int, last: int, moments: Sequence[int]
) -> Numbers:
    """The numbers of layers `first` to `last`, which are blocks of four statistics."""
    ends = np.cumsum([0, *layers.blocks])
    columns, sizes = [], []
    for layer in range(first - 1, last):
        quarters = np.split(np.arange(ends[layer], ends[layer + 1]), STATISTICS)
        own = np.concatenate([quarters[moment] for moment in moments])
        columns.append(own)
        sizes.append(len(own))
    return Numbers(layers.x[:, np.concatenate(columns)], sizes)


def answer(fits: Fits, own: Numbers, part: Part) -> NDArray[np.floating]:
    """(n, K) logits of the clips of a part."""
    plan, train = fits.plan, part.train
    groups = plan.cache.clips["group"].to_numpy()[train]
    classes, targets = len(plan.names), plan.targets[train]
    weights = fits.class_weights(train)
    model = ridge.fit(
        own.x[train], targets, classes, own.blocks, groups, class_weights=weights
    )
    return model.logits(own.x[part.tested])


def chosen_in_folds(fits: Fits, variants: Mapping[str, Numbers]) -> Iterator[str]:
    """For each fold the variant with most correct predictions in the inner folds."""
    choosing = fits_that_choose(fits)
    right: dict[tuple[str, bytes], NDArray[np.bool_]] = {}
    for fold in fits.plan.config.folds:
        counts = dict.fromkeys(variants, 0)
        for part, tested in choosing[fold]:
            own = np.searchsorted(part.tested, tested)
            for variant, numbers in variants.items():
                key = variant, part.train.tobytes()
                if key not in right:
                    predicted = answer(fits, numbers, part).argmax(axis=1)
                    right[key] = predicted == fits.plan.targets[part.tested]
                counts[variant] += int(right[key][own].sum())
        yield max(counts, key=lambda variant: counts[variant])


def row(
    name: str, title: str, fits: Fits, numbers: Sequence[Numbers]
) -> dict[str, object]:
    """A row with the accuracy of these numbers; each fold is tested by a model of the
    others.
    """
    answers = [answer(fits, own, part) for own, part in zip(numbers, fits.parts)]
    logits = np.concatenate(answers).astype(np.float32)
    score = fits.predictions(logits, tested_by(fits.parts)).score
    return {
        "numbers": f"{name}: {title}",
        "sounds": described(fits),
        **percentages(score),
    }


if __name__ == "__main__":
    bench(layers)
