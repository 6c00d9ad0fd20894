"""`make analysis PREDICTIONS=`: each table becomes a run folder below RUNS."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from featurestack.analysis.options import AnalysisOptions
from featurestack.commandline.options import part_of
from featurestack.commandline.terminal import tell
from featurestack.features_cache.index import read_index
from featurestack.features_cache.names import cache_folder, dataset_name, is_cache
from featurestack.features_cache.table import originals
from featurestack.pipeline.datasets.load import load
from featurestack.pipeline.options import SourceOptions
from featurestack.results.imported import write_imported
from featurestack.rooms.predictions.read import predictions_in, read_tables


def write_runs(files: Sequence[Path], options: AnalysisOptions) -> str:
    """Write a run of each table; the dataset of the report on them is DATASET, else one
    that is called as the first table.
    """
    truth = labels_of(options) if options.dataset else None
    first = options.dataset or files[0].resolve().stem
    dataset = dataset_name(first, options.name)
    for path in files:
        predictions = predictions_in(read_tables(path), truth)
        place = options.runs / dataset / path.resolve().stem
        run = write_imported(predictions, place, source=str(path.resolve()))
        tell(f"{path}: {run.path}")
    return options.dataset or dataset


def labels_of(options: AnalysisOptions) -> pd.DataFrame:
    """The clips of DATASET with their labels: of its cache, else of its files."""
    cache = cache_folder(options.dataset, options.data, options.name)
    if is_cache(cache):
        table, _ = read_index(cache)
    else:
        # with a rate and a duration no audio is opened, which may be absent
        source = part_of(options, SourceOptions, sample_rate=8000, duration=1)
        table = load(source).table
    return originals(table).reset_index(drop=True)
