"""What names of files may tell about recordings, speakers, sites or devices."""

from featurestack.features_cache.table import originals
from featurestack.pipeline.checks.findings import NOTE, Finding
from featurestack.pipeline.datasets.folds import propose_group
from featurestack.pipeline.datasets.load import Dataset


def name_findings(dataset: Dataset) -> list[Finding]:
    """Findings about recordings, speakers, sites or devices that names may tell."""
    table = originals(dataset.table)
    alone = not table["group"].duplicated().any()
    pattern = propose_group(table) if alone and not dataset.fields else ""
    fields = [
        Finding("field", NOTE, field.sentence, ["GROUP"], of="option")
        for field in dataset.fields
    ]
    return [
        Finding(
            "group",
            NOTE,
            "every clip counts as a recording of its own; if the names say otherwise:"
            f" GROUP='{pattern}'",
            ["GROUP"] if pattern else [],
            of="option",
        ),
        *fields,
    ]
