"""`predict RUN=run DATASET=other`: a run scored on another labelled dataset.

Features are computed from the other dataset's audio at the run's own sample rate, and
clips count whose labels the run knows. The answers become a run folder of the other
dataset, as a table of PREDICTIONS= does, and are scored like one.

What would flatter: all folds' models together answer better than one, which answers for
a clip of the run's own dataset; the run's protocol says so.
"""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.commandline.next_step import State, next_line
from featurestack.commandline.options import option_words
from featurestack.commandline.quantities import counted, listed
from featurestack.commandline.terminal import tell
from featurestack.features_cache.table import (
    by_label,
    has_windows,
    originals,
    spans,
)
from featurestack.pipeline.datasets.load import Dataset, load
from featurestack.pipeline.options import SourceOptions
from featurestack.predict.files import predict_files, trained_clips
from featurestack.predict.model import Model
from featurestack.predict.options import PredictOptions
from featurestack.results.imported import Predictions, write_imported
from featurestack.results.run_folder import RunFolder
from featurestack.scores.metrics import known
from featurestack.scores.tasks import require_clips


def score_elsewhere(options: PredictOptions) -> int:
    """Write a run of DATASET and print its score; 1 if a file was unreadable."""
    model = Model.open(replace(options, dataset=""))
    run = model.run
    if run is None:
        raise RequestError("DATASET= scores a run: give its name, not a file")
    require_clips(run.task, run.name)
    other = load(SourceOptions(dataset=options.dataset, data=options.data))
    table, remarks = labelled_clips(other, run, options.data)
    tell(f"predicted by {model.title}")
    table = table.set_index("clip_id", drop=False)
    answers = predict_files(
        model,
        table["path"].map(Path).to_dict(),
        places=dict(zip(table.index, spans(table))),
    )
    if answers.empty:
        raise RequestError(f"no file of {other.name} can be read")
    parts = [] if has_windows(table) else ["start", "end"]
    known = table.loc[answers.index].drop(columns=["path", *parts])
    known["fold"] = known["fold"].astype(str)
    predictions = Predictions(
        known.reset_index(drop=True),
        answers[run.classes].reset_index(drop=True),
        run.task.name,
        remarks,
    )
    scored = write_imported(
        predictions,
        options.runs / other.name / f"{run.dataset}.{run.name}",
        source=str(run.path.resolve()),
        protocol=f"trained on {run.dataset}, all folds' models together",
    )
    for remark in remarks:
        tell(remark)
    print(scored)
    places = option_words(options, ("data", "runs"))
    given = [f"DATASET={options.dataset}", *places]
    print(next_line(State(given, unreported=True)))
    return 1 if len(answers) < len(table) else 0


def labelled_clips(
    other: Dataset, run: RunFolder, data: Path
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The other dataset's clips whose labels are all classes of the run, but for files
    of the run; and what is left out.
    """
    table = originals(other.table)
    target = table[run.task.column]
    labels = by_label(pd.DataFrame({"label": target}))["label"]
    present = {*labels} - {""}
    unknown = sorted(present - {*run.classes})
    counts = known(run.task.targets(target, run.classes))
    if not counts.any() or not present & {*run.classes}:
        theirs = listed(unknown) or "no label"
        raise RequestError(
            f"{other.name} and {run.name} have no class in common: {theirs} there,"
            f" {listed(run.classes)} here"
        )
    kept = table.assign(target=target)[counts]
    files = {path: Path(path) for path in kept["path"].unique()}
    seen = kept["path"].isin(trained_clips(run.dataset, data, files))
    if other.name == run.dataset or seen.all():
        raise RequestError(
            f"{run.name} was trained on the files of {other.name}: give another dataset"
            " as DATASET=, one of another name, or new audio as AUDIO="
        )
    remarks = []
    if unknown:
        remarks.append(
            f"{counted(int((~counts).sum()), 'clip')} left out, of classes that the run"
            f" does not know ({listed(unknown)})"
        )
    if seen.any():
        remarks.append(
            f"{counted(int(seen.sum()), 'clip')} left out: the run was trained on their"
            " files"
        )
    columns = ["clip_id", "group", "fold", "path", "start", "end", "target"]
    return kept.loc[~seen, columns], tuple(remarks)
