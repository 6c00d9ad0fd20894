"""`python -m train predict`: the classes of new audio."""

import json
from collections.abc import Sequence

import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted
from featurestack.commandline.tables import as_csv, text_table
from featurestack.commandline.terminal import tell
from featurestack.pipeline.datasets.layouts import find_recordings
from featurestack.predict.files import predict_files, trained_clips
from featurestack.predict.predictor import Predictor
from featurestack.train.options import PredictOptions, refuse_inside

NO_ANSWER = "no answer"
BAR = 24  # characters of the bar for a probability of 1


def print_predictions(
    table: pd.DataFrame, classes: list[str], options: PredictOptions, *, tags: bool
) -> None:
    """Print predictions as JSON, as CSV, or for people, with the best classes first."""
    if options.json:
        probabilities = table[classes].to_dict("records")
        rows = table.drop(columns=classes).assign(probabilities=probabilities)
        print(json.dumps(rows.to_dict("records"), indent=1))
        return
    if options.csv:
        print(as_csv(table), end="")
        return
    ranked = [
        row.astype(float).nlargest(options.top) for _, row in table[classes].iterrows()
    ]
    if len(table) == 1:
        show_bars(table["predicted"].iloc[0], ranked[0], tags=tags)
    elif len(table):
        show_table(table, ranked, tags=tags)


def show_bars(predicted: str, best: "pd.Series[float]", *, tags: bool) -> None:
    """Print one answer: the best classes, each with its probability and a bar."""
    if tags:
        print(f"predicted: {predicted or 'none of the classes'}")
    elif not predicted:
        print(f"{NO_ANSWER}; it would be")
    width = max(map(len, best.index))
    for name, p in best.items():
        print(f"{name:{width}}  {p:.3f}  {'#' * round(BAR * p)}".rstrip())


def show_table(
    table: pd.DataFrame, ranked: Sequence["pd.Series[float]"], *, tags: bool
) -> None:
    """Print a row for each answer: its place, then its best classes."""
    places = [name for name in ("file", "start", "end") if name in table]
    header = [*places, "predicted"] if tags else [*places]
    header += [f"{rank}." for rank in range(1, len(ranked[0]) + 1)]
    rows = []
    of_row = zip(*(table[name] for name in places))
    for place, predicted, best in zip(of_row, table["predicted"], ranked):
        cells = [f"{name} {p:.2f}" for name, p in best.items()]
        if tags:
            cells = [predicted or "none", *cells]
        elif not predicted:
            cells = [NO_ANSWER, *[""] * (len(cells) - 1)]
        rows.append([*place, *cells])
    print(text_table(rows, header))


def predict_audio(options: PredictOptions) -> int:
    """Print the classes of audio files or windows; 1 if a file could not be read."""
    refuse_inside(options.out)
    answered = options.answered()
    if answered is not None:
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
        options.refuse_clips()
        if options.window and not options.hop:
            raise RequestError(
                "WINDOW is for windows through a recording: give HOP too, as HOP=0.5"
            )
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
        from featurestack.predict.recordings import predict_recordings  # few need it

        table = predict_recordings(model, named, options.window, options.hop)
    else:
        table = predict_files(model, named).reset_index(names="file")
    print_predictions(table, model.classes, options, tags=model.task.multilabel)
    return int(table["file"].nunique() < len(files))
