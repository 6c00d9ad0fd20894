"""Every part of the tested recordings, predicted by the model of the fold that tested
them: the windows from which the rules that join windows to detections are chosen.

Training does so at its end, a quarter of a window apart, with as many recordings as
have MOST_WINDOWS; `predict TEST_CLIPS=1 HOP=…` does so at a finer hop, with all of
them. The scores are those of rules from the other folds; the rules for new audio, from
all folds, are written to run.json, and the windows to `results.tested_windows`' file.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted
from featurestack.commandline.spelling import make_command
from featurestack.commandline.tables import as_csv
from featurestack.commandline.terminal import tell
from featurestack.features_cache import Cache, cache_folder
from featurestack.pipeline import audio
from featurestack.results.config import Joining
from featurestack.results.detections import (
    ALL,
    compare,
    detection_scores,
    event_scores,
)
from featurestack.results.run_folder import RunFolder, write_config
from featurestack.results.tested_windows import (
    PLACES,
    TESTED_FILE,
    FoldWindows,
    annotated_recordings,
    read_tested,
    recordings_of,
    windows_of_run,
    write_tested,
)
from featurestack.results.windows import HOP_SHARE, middles
from featurestack.storage.files import replace_file
from featurestack.train.audio_model import AudioModel
from featurestack.train.bundle import bundle_of_run
from featurestack.train.detect import (
    Windowing,
    predict_windows,
    recording_durations,
    source_of,
    write_scores,
)
from featurestack.train.options import PredictOptions
from featurestack.train.timeline import Span, TimelineFolder

# windows that training predicts at its end: a minute for mel and `texture` on one core
MOST_WINDOWS = 50_000


def choose_joining(options: PredictOptions, model: AudioModel, run: RunFolder) -> int:
    """Choose the rules, print their scores and write them to run.json; returns 0."""
    cache = Cache(cache_folder(run.dataset, options.data, run.dataset))
    annotated = annotated_recordings(cache)
    if annotated is None or len(run.finished) < 2:
        windows = make_command("windows")
        raise RequestError(
            f"{run.name}: HOP with TEST_CLIPS=1 chooses rules for detections on the"
            f" tested recordings; expected a run on a dataset of {windows}"
            " with two finished folds or more: leave HOP out"
        )
    selection = model.config.selection
    if selection != run.selection():
        raise RequestError(
            f"SELECTION={options.selection}: rules are chosen for the weights that"
            f" count, {run.selection()}: leave SELECTION out"
        )
    windowing = Windowing.of(model, options.window, options.hop)
    folder = options.out or options.reports / run.dataset / "tested" / run.name
    clips = tested_clips(run, cache)
    store = TimelineFolder(folder / "timelines")
    table = predict_tested(model, clips, annotated.block, windowing, store)
    write_tested(run.path, table)
    tested = windows_of_run(run, cache, annotated, selection, model.temperature)
    write_scores(cross_fitted_scores(tested, folder), folder)
    length = windowing.samples / windowing.sample_rate
    joining = Joining(length=length, hop=windowing.hop, rules=tested.rules())
    config = run.training
    fitted = replace(config.calibration[selection], joining=joining)
    calibration = {**config.calibration, selection: fitted}
    write_config(run.path, replace(config, calibration=calibration))
    tell(
        "scores of the tested folds, by rules of the others; the rules of all folds,"
        f" for new audio, are in {run.path / 'run.json'}"
    )
    return 0


def predict_every_part(run: RunFolder, cache: Cache) -> None:
    """Write TESTED_FILE at the end of training, if clips are windows with known events;
    print why not if the recordings cannot be predicted.
    """
    (run.path / TESTED_FILE).unlink(missing_ok=True)
    annotated = annotated_recordings(cache)
    if annotated is None:
        return
    try:
        model = AudioModel(bundle_of_run(run))
        hop = HOP_SHARE * annotated.length
        windowing = Windowing.of(model, annotated.length, hop)
        clips = drawn(tested_clips(run, cache), annotated.block, windowing.hop)
        if clips["fold"].nunique() < len(run.finished):
            raise RequestError(
                f"one of each fold has more than {MOST_WINDOWS:,} windows of"
                f" {annotated.length:g} s, one every {windowing.hop:g} s, together:"
                f" predict TEST_CLIPS=1 HOP={windowing.hop:g} predicts all of them"
            )
        number = counted(clips["group"].nunique(), "recording")
        what = f"every part of {number}, a window each {windowing.hop:g} s"
        tell(f"predicting {what}, to choose the rules that join windows")
        write_tested(run.path, predict_tested(model, clips, annotated.block, windowing))
    except RequestError as reason:
        tell(
            "the rules that join windows are chosen on the dataset's windows alone,"
            f" since the recordings cannot be predicted: {reason}"
        )


def tell_detections(run: RunFolder, cache: Cache) -> None:
    """Print the scores of detections in every part of the tested recordings, each fold
    by rules of the other folds; nothing if these were not predicted.
    """
    annotated = annotated_recordings(cache)
    calibration = run.calibration()
    if annotated is None or calibration is None or read_tested(run) is None:
        return
    if len(run.finished) < 2:
        return
    temperature = calibration.temperature
    tested = windows_of_run(run, cache, annotated, run.selection(), temperature)
    detections = tested.cross_fitted().detections
    items = compare(tested.events, detections)
    scores = event_scores(items, middles(tested.windows, tested.hop)).loc[ALL]
    tell(
        "detections in the tested recordings, by rules of the other folds: F1 at IoU"
        f" 0.3 {scores['f1_iou']:.2f}, {scores['event_recall']:.2f} of the events"
        f" found, {scores['false_alarms']:,.0f} false alarms an hour"
    )


def tested_clips(run: RunFolder, cache: Cache) -> pd.DataFrame:
    """The rows of the tested clips in the cache, with `fold` and recording (`file`)."""
    rows = run.scored()
    clips = cache.clips.iloc[cache.positions(rows["clip_id"])]
    return clips.assign(fold=rows["fold"].to_numpy(), file=recordings_of(clips))


def recording_files(clips: pd.DataFrame) -> dict[str, Path]:
    """Name -> file of the recordings of these clips (`tested_clips`)."""
    paths = clips.groupby("file")["path"].first()
    return {name: Path(path) for name, path in paths.items()}


def drawn(clips: pd.DataFrame, block: float | None, hop: float) -> pd.DataFrame:
    """The clips of as many groups, drawn from the folds in turn, as have MOST_WINDOWS
    windows of this hop together.
    """
    durations = recording_durations(recording_files(clips))
    groups = clips.groupby("group")[["fold", "file"]].first()
    seconds = groups["file"].map(durations).fillna(0.0).clip(upper=block)
    shuffled = groups.sample(frac=1, random_state=0)
    turn = shuffled.groupby("fold").cumcount()
    ordered = turn.sort_values(kind="stable").index
    windows = (seconds[ordered] / hop).cumsum()
    return clips[clips["group"].isin(ordered[windows <= MOST_WINDOWS])]


def predict_tested(
    model: AudioModel,
    clips: pd.DataFrame,
    block: float | None,
    windowing: Windowing,
    store: TimelineFolder | None = None,
) -> pd.DataFrame:
    """Every window of the groups of these clips, by the model of the fold that tested
    them: PLACES, then the probabilities of the classes.

    clips  of `tested_clips`
    store  keeps the windows by group, so that a kill loses no finished one

    RequestError if a recording cannot be read.
    """
    made_by = f"{model.fingerprint} {windowing.samples} {windowing.step}"
    files = recording_files(clips)
    durations = recording_durations(files)
    tables = []
    for (fold, name, group), part in clips.groupby(["fold", "file", "group"]):
        file = files[name]
        seconds = durations.get(name, 0.0)
        try:
            source = source_of(f"fold{fold}/{group}", file, seconds, made_by, "")
            timeline = store.read(source, model.classes) if store else None
            if timeline is None:
                span = block_span(part, block, seconds) if block else None
                timeline = predict_windows(
                    model, group, file, seconds, windowing, fold, span
                )
                if store:
                    store.keep(source, timeline)
        except (audio.AudioError, OSError) as error:
            raise RequestError(f"{file}: {error}: put it back") from None
        places = timeline.windows.assign(fold=fold, file=name)[PLACES]
        tables.append(pd.concat([places, timeline.probabilities], axis=1))
    return pd.concat(tables, ignore_index=True)


def block_span(clips: pd.DataFrame, block: float, seconds: float) -> Span:
    """Start and end of the block of a recording that holds these clips."""
    start = block * float(np.floor(clips["start"].min() / block))
    return start, min(start + block, seconds)


def cross_fitted_scores(tested: FoldWindows, folder: Path) -> pd.DataFrame:
    """The table of `detection_scores`, each fold by rules of the other folds; also
    write the detections.
    """
    decided = tested.cross_fitted()
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / "detections.csv", as_csv(decided.detections))
    return detection_scores(
        tested.windows,
        decided.chosen,
        tested.probabilities,
        tested.hop,
        tested.events,
        decided.detections,
    )
