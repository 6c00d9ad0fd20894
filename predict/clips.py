"""`python -m train predict`: the classes of new audio."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted, duration
from featurestack.commandline.tables import as_csv, text_table
from featurestack.commandline.terminal import progress, tell
from featurestack.features_cache import cache_folder
from featurestack.features_cache.index import read_index
from featurestack.features_cache.location import is_cache
from featurestack.features_cache.table import has_windows
from featurestack.pipeline import audio
from featurestack.pipeline.datasets.layouts import find_recordings
from featurestack.predict.bundle import Probabilities
from featurestack.predict.predictor import Predictor, Samples
from featurestack.storage.files import content_hash
from featurestack.train.options import PredictOptions, refuse_inside

# seconds that a file may be longer without a note: MP3 and Ogg add some
TOLERANCE = 0.1
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


def trained_clips(
    dataset: str, data: Path, files: Mapping[str, Path]
) -> dict[str, str]:
    """The keys of the files from which a dataset's cache has clips -> the clip's id, or
    that of the recording whose windows are clips.
    """
    cache = cache_folder(dataset, data, dataset)
    if not is_cache(cache):
        return {}
    clips, _ = read_index(cache)
    named = clips["group"] if has_windows(clips) else clips["clip_id"]
    known = dict(zip(clips["source_hash"], named))
    sizes = {*clips["source_size"]}
    trained = {}
    for key, file in files.items():
        with suppress(OSError):  # the prediction names files that cannot be read
            if file.stat().st_size in sizes and (clip := known.get(content_hash(file))):
                trained[key] = clip
    return trained


def predict_files(
    model: Predictor,
    files: Mapping[str, Path],
    places: Mapping[str, audio.Span] = MappingProxyType({}),
    apart: dict[str, Probabilities] | None = None,
) -> pd.DataFrame:
    """The predictions of all folds' models together for the beginning of each file.

    files   key -> file
    places  key -> the part of that file that counts instead of its beginning
    apart   gets the probabilities of each fold's model alone, as in `predict`

    A row of the table, indexed by key, has `predicted` (see `Predictor.predict`) and a
    probability for each class. Files that cannot be read are left out, and named.
    """
    rate = model.sample_rate
    longer = []
    rates = {}
    failures = {}

    def clips() -> Iterator[tuple[str, Samples]]:
        for key, file in progress(
            files.items(), total=len(files), label="predicting", unit="files"
        ):
            try:
                start, end = places.get(key, audio.WHOLE)
                info = None if end else audio.file_info(file)
                # like the dataset's clips
                place = model.samples, (start, end), model.audio_channel
                y = audio.load_clip(file, rate, *place)
            except audio.AudioError as error:
                failures[file] = str(error)
                continue
            seconds = info.frames / info.sample_rate if info else end - start
            if info:
                rates[file] = info.sample_rate
            if seconds > model.seconds + TOLERANCE:
                longer.append(file)
            yield key, y[: max(1, round(seconds * rate))]

    answers = [*model.predict(clips(), apart)]
    values = np.reshape([own for _, own, _ in answers], (-1, len(model.classes)))
    table = pd.DataFrame(values, [key for key, _, _ in answers], model.classes)
    table.insert(0, "predicted", [text for _, _, text in answers])
    if longer:
        tell(
            f"only the first {duration(model.seconds)} of"
            f" {counted(len(longer), 'file')} count; HOP=1 predicts windows through"
            " all of them"
        )
    tell_low_rates(rates, rate)
    tell_failures(failures, len(files))
    return table


def tell_low_rates(rates: Mapping[Path, int], wanted: int) -> None:
    """Tell how many files have a lower sample rate (`rates`) than the model's audio."""
    low = [file for file, rate in rates.items() if rate < wanted]
    if low:
        own = rates[low[0]]
        tell(
            f"{len(low)} of {counted(len(rates), 'file')} have a lower sample rate than"
            f" the run ({low[0].name}: {own:,} of {wanted:,} Hz): nothing is above"
            f" {own / 2:,.0f} Hz there, so that predictions may be worse"
        )


def tell_failures(failures: Mapping[Path, str], total: int) -> None:
    """Name the files that could not be read, and those with damaged parts."""
    damaged = audio.damaged.copy()
    audio.damaged.clear()
    for file in failures:
        damaged.pop(str(file), "")
    for line in audio.damaged_parts(damaged):
        tell(line)
    for file, reason in failures.items():
        tell(f"{file}: {reason}")
    if failures:
        tell(f"{len(failures)} of {total} files could not be read")
