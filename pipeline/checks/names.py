"""Hints of file names about recordings, speakers, sites or devices, and names of
classes that look the same.
"""

import unicodedata

import pandas as pd

from featurestack.features_cache.table import by_label, originals
from featurestack.pipeline.checks.findings import NOTE, WARNING, Finding
from featurestack.pipeline.datasets.folds import propose_group
from featurestack.pipeline.datasets.load import Dataset


def name_findings(dataset: Dataset) -> list[Finding]:
    """Findings about recordings, speakers, sites or devices that names may tell."""
    table = originals(dataset.table)
    alone = not table["group"].duplicated().any()
    pattern = propose_group(table) if alone and not dataset.fields else ""
    fields = [
        Finding("field", NOTE, field.sentence, ["GROUP"], about="file names")
        for field in dataset.fields
    ]
    return [
        Finding(
            "group",
            NOTE,
            "every clip counts as a recording of its own; if the names say otherwise:"
            f" GROUP='{pattern}'",
            ["GROUP"] if pattern else [],
            about="file names",
        ),
        *fields,
        same_classes(table),
    ]


def same_classes(table: pd.DataFrame) -> Finding:
    """Classes whose names are the same but for case, blanks or the form of Unicode:
    mostly one class.
    """
    alike: dict[str, list[str]] = {}
    for name in sorted({*by_label(table)["label"]} - {""}):
        plain = "".join(unicodedata.normalize("NFKC", name).casefold().split())
        alike.setdefault(plain, []).append(name)
    return Finding(
        "same_classes",
        WARNING,
        "classes whose names differ in case, blanks or the form of Unicode alone",
        [" = ".join(map(ascii, names)) for names in alike.values() if len(names) > 1],
        "give them one name if they are one class",
        "name",
    )
