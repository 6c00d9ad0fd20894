"""`make check`: find faults of a dataset.

Every clip is decoded, and possible duplicates again. A leak between folds gives
exit status 1; the user judges all other findings. check.json in the cache keeps the
findings for the report.
"""

from dataclasses import asdict, replace

import pandas as pd

from featurestack.base import NAMED
from featurestack.base.errors import NOT_WRITABLE, RequestError
from featurestack.base.quantities import spelt_alike
from featurestack.base.terminal import tell
from featurestack.checks import (
    LEAK,
    NOTE,
    SEVERITIES,
    WARNING,
    Finding,
    clips,
    findings_text,
)
from featurestack.checks.ridge_findings import artefact_findings, price_findings
from featurestack.features_cache.clip_table import classes_in, originals
from featurestack.features_cache.index_file import write_check
from featurestack.pipeline.datasets.load import Dataset, counts, load
from featurestack.pipeline.datasets.name_fields import RECORDING, name_field
from featurestack.pipeline.options import SourceOptions

WHERE = "AUDIO_DIR= names the folder where a table's files are"


def findings_in(dataset: Dataset) -> tuple[pd.DataFrame, list[Finding]]:
    """The readable originals with ARTEFACTS, and every finding, leaks first."""
    table = dataset.table.reset_index(drop=True)
    if (table["path"] == "").any():
        raise RequestError(
            f"{dataset.name} is a cache of external features and has no audio to check"
        )
    measures, fingerprints = clips.measure_clips(table, dataset.sample_rate)
    table = table.join(measures)
    unreadable = table[table["reason"] != ""]
    tested = originals(table)
    measured = tested[tested["reason"] == ""].reset_index(drop=True)
    if len(unreadable) and dataset.source not in NAMED and not dataset.groups:
        dataset = replace(dataset, field=name_field(measured))
    what = "cannot be read; every command leaves them out"
    remedy = f"convert or replace the files, extract again; if they moved, {WHERE}"
    findings = [
        clips.source_finding(tested),
        *clips.duplicate_findings(table, fingerprints, dataset),
        Finding(
            "unreadable",
            WARNING,
            what,
            unreadable["clip_id"].tolist(),
            remedy,
            reasons=unreadable["reason"].tolist(),
        ),
        *clips.clip_findings(measured, dataset),
        same_classes(tested),
        *name_findings(dataset),
        *price_findings(measured, dataset),
        *artefact_findings(measured),
    ]
    reported = [finding for finding in findings if finding.names]
    reported.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    if not dataset.read_only:
        try:
            write_check(dataset.folder, dataset.table, [*map(asdict, reported)])
        except OSError as error:
            if error.errno not in NOT_WRITABLE:
                raise
            why = f"{dataset.folder} may not be written ({error.strerror})"
            tell(f"the findings are not kept: {why}")
    return measured, reported


def name_findings(dataset: Dataset) -> list[Finding]:
    """Findings about recordings, speakers, sites or devices that names may contain."""
    field = dataset.field
    if not field:
        return []
    kind = "group" if field.where == RECORDING else "field"
    names = [f"GROUP={field.group}"]
    return [Finding(kind, NOTE, field.sentence, names, about="file names")]


def same_classes(table: pd.DataFrame) -> Finding:
    """Classes whose names differ only in case, blanks or Unicode."""
    same = [" = ".join(names) for names in spelt_alike(classes_in(table))]
    what = "names of classes differ only in case, spaces or the form of Unicode"
    remedy = "give them one name if they are one class"
    return Finding("same_classes", WARNING, what, same, remedy, "name")


def check_dataset(options: SourceOptions) -> int:
    """The command `check`: print and keep the findings; 1 if there is a leak."""
    dataset = load(options)
    measured, findings = findings_in(dataset)
    print(counts(dataset, measured))
    print(findings_text(findings))
    if measured.empty:
        raise RequestError(f"no clip of {dataset.name} can be read: {WHERE}")
    return int(any(finding.severity == LEAK for finding in findings))
