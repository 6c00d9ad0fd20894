"""`python -m pipeline check`: find faults of a dataset.

Every original clip is decoded, and possible duplicates again. The exit status is 1 if
there is a leak between folds: a source recording, or the same audio, in two folds. The
recordings that ESC-50's own folds share are a note: nobody changes these folds. The
user judges all other findings. check.json in the cache keeps the findings for the
report and for the proposal of the next command.
"""

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.commandline.spelling import make_command
from featurestack.commandline.terminal import tell
from featurestack.features_cache.check_findings import write_check
from featurestack.features_cache.location import is_same
from featurestack.features_cache.own_features import join_cache
from featurestack.features_cache.table import originals
from featurestack.pipeline.checks.artefacts import artefact_findings
from featurestack.pipeline.checks.findings import (
    LEAK,
    SEVERITIES,
    WARNING,
    Finding,
    report,
)
from featurestack.pipeline.checks.leaks import duplicate_findings, source_findings
from featurestack.pipeline.checks.measures import clip_findings, measure_clips
from featurestack.pipeline.checks.names import name_findings
from featurestack.pipeline.checks.price import price_findings
from featurestack.pipeline.dataset_state import next_lines, state_of
from featurestack.pipeline.datasets.load import Dataset, load
from featurestack.pipeline.datasets.summary import counts
from featurestack.pipeline.options import SourceOptions


def run(options: SourceOptions) -> int:
    """The command `check`: print and keep the findings about a dataset; 1 if there is a
    leak.

    options  the dataset: see SourceOptions

        run(SourceOptions(dataset="data/my-clips", group="(.*)-[A-Z]"))
    """
    dataset = load(options)
    measured, findings = findings_in(dataset)
    print(counts(dataset, measured))
    print(report(findings))
    keep(dataset, findings)
    print(f"\n{next_lines(state_of(options, dataset), dataset)}")
    return int(any(finding.severity == LEAK for finding in findings))


def keep(dataset: Dataset, findings: Sequence[Finding]) -> None:
    """Write the findings to check.json, for the report and the next command; those in
    a cache that is only read to the folder of own features.
    """
    folder = dataset.folder
    if dataset.own and not is_same(dataset.own, folder):
        join_cache(dataset.own, folder)
        folder = dataset.own
    kept = [asdict(found) | {"count": len(found.names)} for found in findings]
    try:
        write_check(folder, dataset.table, kept)
    except PermissionError as error:
        tell(
            f"the findings are not kept: {folder} may not be written ({error.strerror})"
        )


def findings_in(dataset: Dataset) -> tuple[pd.DataFrame, list[Finding]]:
    """The originals that can be read, with their Measures, and every finding, leaks
    first.

    RequestError for a cache of external features.
    """
    table = originals(dataset.table).reset_index(drop=True)
    if (table["path"] == "").any():
        raise RequestError(
            f"{dataset.name} is a cache of external features and has no audio to check"
        )
    measures, fingerprints = measure_clips(table, dataset.sample_rate)
    table = table.join(measures)
    unreadable = table[table["reason"] != ""]
    measured = table[table["reason"] == ""].reset_index(drop=True)
    findings = [
        *source_findings(table),
        *duplicate_findings(table, fingerprints, dataset.sample_rate),
        Finding(
            "unreadable",
            WARNING,
            "cannot be read, every command leaves them out",
            unreadable["clip_id"].tolist(),
            f"convert or replace the files, then {make_command('features')}",
            reasons=unreadable["reason"].tolist(),
        ),
        *clip_findings(measured, dataset),
        *name_findings(dataset),
        *price_findings(measured, dataset),
        *artefact_findings(measured),
    ]
    there = [finding for finding in findings if finding.names]
    return measured, sorted(
        there, key=lambda finding: SEVERITIES.index(finding.severity)
    )
