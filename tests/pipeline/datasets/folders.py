"""Small datasets as users have them."""

import numpy as np
import soundfile

from featurestack.pipeline.datasets.load import load
from featurestack.pipeline.options import FeaturesCommand


def dataset(where, data, **given):
    """Load DATASET=`where` with these options; DATA= is the folder `data`/data."""
    given = {"dataset": str(where), "data": data / "data", **given}
    return load(FeaturesCommand(**given))


def write(path, seconds=0.1, rate=8_000):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(round(seconds * rate), 0.1), rate)
    return path


def class_folders(folder, classes="dog cat", each=10, takes="A"):
    for label in classes.split():
        for number in range(each):
            for take in takes:
                write(folder / label / f"{label}{number}-{take}.wav")
    return folder


def csv(path, text):
    path.write_text(text)
    return str(path)


def esc_layout(folder, rows):
    """`rows` are `filename,fold,category,src_file`, separated by blanks."""
    for row in rows.split():
        write(folder / "audio" / row.split(",")[0])
    (folder / "meta").mkdir(exist_ok=True)
    text = "\n".join(["filename,fold,category,src_file", *rows.split()])
    csv(folder / "meta" / "any name.csv", text)
    return folder
