"""`make predict`: the classes of new audio."""

import json
from pathlib import Path

import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted
from featurestack.commandline.tables import as_csv, text_table
from featurestack.commandline.terminal import tell
from featurestack.pipeline.datasets.layouts import find_recordings
from featurestack.predict.files import predict_files, trained_clips
from featurestack.predict.predictor import Predictor
from featurestack.storage.own_files import OwnFiles, own_file
from featurestack.train.options import PredictOptions, refuse_inside

NO_ANSWER = "no answer"
SHOWN = 5  # classes of a file that are printed, the most probable first
RECORD = ".answers.json"  # names the files that `predict` wrote
ENDINGS = (".csv", ".json")  # that OUT may have


def show(table: pd.DataFrame, classes: list[str], *, tags: bool) -> None:
    """Print a row for each answer: its place, then its most probable classes."""
    places = [name for name in ("file", "start", "end") if name in table]
    rows = []
    for _, row in table.iterrows():
        best = row[classes].astype(float).nlargest(SHOWN)
        cells = [f"{name} {p:.3f}" for name, p in best.items()]
        if tags:
            cells = [row["predicted"] or "none", *cells]
        elif not row["predicted"]:
            cells = [NO_ANSWER] + [""] * (len(cells) - 1)
        rows.append([*row[places], *cells])
    ranks = [f"{rank}." for rank in range(1, min(SHOWN, len(classes)) + 1)]
    predicted = ["predicted"] if tags else []
    print(text_table(rows, [*places, *predicted, *ranks]))


def as_text(table: pd.DataFrame, classes: list[str], ending: str) -> str:
    """Every probability as CSV, or as JSON."""
    if ending == ".csv":
        return as_csv(table)
    probabilities = table[classes].to_dict("records")
    rows = table.drop(columns=classes).assign(probabilities=probabilities)
    return json.dumps(rows.to_dict("records"), indent=1) + "\n"


def predict_audio(options: PredictOptions) -> int:
    """Print the classes of audio files or windows; 1 if a file could not be read."""
    refuse_inside(options.out)
    for added in options.of_rooms:
        if (answered := added.answered()) is not None:
            return answered
    if options.elsewhere:
        from featurestack.predict.labelled import score_elsewhere  # few need it

        return score_elsewhere(options)
    if options.audio is None:
        raise RequestError(
            "give AUDIO=a file or a folder, or DATASET=another labelled dataset"
        )
    model = Predictor.open(options, clips=False)
    predict = model.task.stages.predict()
    if not predict:
        for added in options.of_rooms:
            added.refuse_clips()
        out = answers_file(options.out)
        if options.window and not options.hop:
            raise RequestError(
                "WINDOW is for windows through a recording: give HOP too, as HOP=0.5"
            )
    if options.hop and not predict:
        from featurestack.predict import recordings  # few need it

        recordings.window_and_step(model, options.window, options.hop)
    files = find_recordings(options.audio)
    tell(f"predicted by {model.title}")
    trained = trained_clips(model.config.dataset, options.data, files)
    if trained:
        name, clip = next(iter(trained.items()))
        share = f"{len(trained)} of {counted(len(files), 'file')}"
        tell(
            f"trained on {share} ({name} is {clip} of the dataset): the predictions"
            " of these files are no score, and new audio is predicted less well"
        )
    if predict:
        status: int = predict(options, model, files)
        return status
    named = {str(file): file for file in files.values()}
    if options.hop:
        table = recordings.predict_recordings(model, named, options.window, options.hop)
    else:
        table = predict_files(model, named).reset_index(names="file")
    if len(table):
        show(table, model.classes, tags=model.task.multilabel)
    if out:
        file, own = out
        own.write({file.name: as_text(table, model.classes, file.suffix)})
    return int(table["file"].nunique() < len(files))


def answers_file(out: Path | None) -> tuple[Path, OwnFiles] | None:
    """OUT, and the record of its folder; RequestError if it cannot be written."""
    if out is None:
        return None
    if out.suffix not in ENDINGS:
        raise RequestError(f"OUT={out}: expected a file ending in .csv or .json")
    return out, own_file(out, RECORD, "OUT")
