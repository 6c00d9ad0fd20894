"""`make check`: find faults of a dataset.

Every clip is decoded, and possible duplicates again. A leak between folds is
exit status 1; the user judges all other findings. check.json in the cache keeps the
findings for the report and for the proposal of the next command.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, replace

import pandas as pd

from featurestack.checks import (
    LEAK,
    NOTE,
    SEVERITIES,
    WARNING,
    Finding,
    report,
)
from featurestack.checks.leaks import duplicate_findings, source_finding
from featurestack.checks.measures import (
    clip_notes,
    clip_warnings,
    measure_clips,
)
from featurestack.checks.probes import artefact_findings, price_findings
from featurestack.commandline.errors import NOT_WRITABLE, RequestError, make_command
from featurestack.commandline.terminal import tell
from featurestack.features_cache.index import write_check
from featurestack.features_cache.names import NAMED
from featurestack.features_cache.table import classes_in, originals
from featurestack.pipeline.datasets.load import Dataset, load
from featurestack.pipeline.datasets.name_fields import name_field, propose_group
from featurestack.pipeline.datasets.summary import counts, next_lines, state_of
from featurestack.pipeline.options import SourceOptions


def check_dataset(options: SourceOptions) -> int:
    """The command `check`: print and keep the findings; 1 if there is a leak."""
    dataset = load(options)
    measured, findings = findings_in(dataset)
    print(counts(dataset, measured))
    print(report(findings))
    print(f"\n{next_lines(state_of(options, dataset), dataset)}")
    return int(any(finding.severity == LEAK for finding in findings))


def keep(dataset: Dataset, findings: Sequence[Finding]) -> None:
    """Write the findings to check.json in a folder that may be written."""
    if dataset.read_only:
        return
    folder = dataset.folder
    kept = [asdict(found) | {"count": len(found.names)} for found in findings]
    try:
        write_check(folder, dataset.table, kept)
    except OSError as error:
        if error.errno not in NOT_WRITABLE:
            raise
        tell(
            f"the findings are not kept: {folder} may not be written ({error.strerror})"
        )


def findings_in(dataset: Dataset) -> tuple[pd.DataFrame, list[Finding]]:
    """The originals that can be read, with Measures, and every finding, leaks first,
    which are kept. Clips that are only trained on count as duplicates.
    """
    table = dataset.table.reset_index(drop=True)
    if (table["path"] == "").any():
        raise RequestError(
            f"{dataset.name} is a cache of external features and has no audio to check"
        )
    measures, fingerprints = measure_clips(
        table, dataset.sample_rate, dataset.audio_channel
    )
    table = table.join(measures)
    unreadable = table[table["reason"] != ""]
    tested = originals(table)
    measured = tested[tested["reason"] == ""].reset_index(drop=True)
    if len(unreadable) and dataset.source not in NAMED:
        dataset = replace(dataset, field=name_field(measured))
    findings = [
        source_finding(tested),
        *duplicate_findings(table, fingerprints, dataset),
        Finding(
            "unreadable",
            WARNING,
            "cannot be read, every command leaves them out",
            unreadable["clip_id"].tolist(),
            f"convert or replace the files, then {make_command('features')}",
            reasons=unreadable["reason"].tolist(),
        ),
        *clip_warnings(measured),
        *clip_notes(measured, dataset),
        *name_findings(dataset),
        *price_findings(measured, dataset),
        *artefact_findings(measured),
    ]
    there = [finding for finding in findings if finding.names]
    there.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    keep(dataset, there)
    return measured, there


def name_findings(dataset: Dataset) -> list[Finding]:
    """Findings about recordings, speakers, sites or devices that names may tell."""
    table = originals(dataset.table)
    findings = [same_classes(table)]
    kind = what = group = ""
    if dataset.field:
        kind, what = "field", dataset.field.sentence
        group = dataset.field.group
    elif table["group"].is_unique and (group := propose_group(table)):
        kind = "group"
        what = (
            "every clip counts as a recording of its own; if the names say otherwise:"
            f" GROUP='{group}'"
        )
    if kind:
        names = [f"GROUP={group}"]
        findings.append(Finding(kind, NOTE, what, names, about="file names"))
    return findings


def same_classes(table: pd.DataFrame) -> Finding:
    """Classes whose names differ only in case, blanks or Unicode."""
    alike: dict[str, list[str]] = {}
    for name in classes_in(table):
        plain = "".join(unicodedata.normalize("NFKC", name).casefold().split())
        alike.setdefault(plain, []).append(name)
    return Finding(
        "same_classes",
        WARNING,
        "classes whose names differ only in case, blanks or the form of Unicode",
        [" = ".join(map(ascii, names)) for names in alike.values() if len(names) > 1],
        "give them one name if they are one class",
        "name",
    )
