"""What `fs.compare` does: predictions of any program on the same clips, their ranking,
verdicts, one sentence.

What would flatter, and is refused or said: groups or folds that one of the models knows
and the others lack; clips, labels or folds that differ between models; rows beside a
run that do not name their clips; a tie of probabilities that counts as right because
the true class comes first; folds that nobody named, as if one trained model had been
tested.

Conventions: N clips, K classes.
"""

from collections.abc import Mapping, MappingView, Sequence, Set
from dataclasses import dataclass
from numbers import Real
from typing import Any, Protocol, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from featurestack.base.errors import RequestError, nearest
from featurestack.base.quantities import (
    counted,
    enumerated,
    is_or_are,
    percent,
    plural,
    points,
    spelt_alike,
)
from featurestack.base.table_files import NA_TEXTS
from featurestack.base.terminal import warn
from featurestack.comparison import metrics
from featurestack.comparison.ranking import ModelRanking, in_order
from featurestack.comparison.scores import ACCURACY, Estimate, Predictions, suited
from featurestack.comparison.significance import (
    FAMILY_LEVEL,
    LEVEL,
    few_groups,
    interval_name,
)

PANDAS = pd.Series | pd.DataFrame
Rows = TypeVar("Rows")


class TestedRun(Protocol):
    """A run folder, as far as it is read here."""

    @property
    def name(self) -> str: ...

    @property
    def classes(self) -> Sequence[str]: ...

    @property
    def variance(self) -> float: ...

    @property
    def exact(self) -> bool: ...  # whether its model has one solution

    @property
    def clips(self) -> str: ...  # digest of the clips, of whose folds it has a drawing

    def scored(self) -> pd.DataFrame:
        """A row for each tested clip: clip_id (the index too), group, fold."""

    def probabilities(self) -> tuple[Any, Any]:
        """Probabilities (N, K) and targets, (N,) or with several labels (N, K)."""


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Models on the same clips, the best first."""

    # model, score, low, high, difference (from the best), difference_low, …_high, p,
    # verdict: best, no clear difference, clearly worse, not compared
    # reason: why nothing is judged
    table: pd.DataFrame
    sentence: str  # the finding

    def __repr__(self) -> str:
        return f"{self.sentence}\n{self.table.to_string(index=False)}"


@dataclass(frozen=True, eq=False)
class ComparedClips:
    """What all models share."""

    labels: metrics.Labels  # (N, K)
    classes: tuple[str, ...]
    groups: NDArray[np.generic]  # (N,)
    unit: str  # what a group is in words: group, or clip if none were given
    folds: metrics.Ints  # (N,) from 0; all 0 if unknown, or for one test of models
    unknown_folds: bool
    index: "pd.Index[Any] | None"  # the clips' ids, if labels have any
    multilabel: bool


def compare(
    predictions: Mapping[Any, ArrayLike | TestedRun] | Sequence[TestedRun],
    labels: ArrayLike | None = None,
    *,
    groups: ArrayLike | None = None,
    folds: ArrayLike | None = "unknown",
    classes: Sequence[Any] | None = None,
) -> Comparison:
    """Verdicts on models that predicted the same clips: arrays in, verdicts out.

    It needs numpy, pandas and scipy, and no sound. docs/explanation/comparing.md says
    what a verdict means and how often it is wrong. Nothing is written.

    Parameters
    ----------
    predictions : mapping, or sequence of runs
        Model -> probabilities (N, K), an array or a data frame whose columns are the
        classes; or predicted classes (N,); or a run (`fs.run(name)`). What
        scikit-learn's `cross_val_predict` returns is taken as it is, but beside a run
        as `pd.Series(predicted, cache.clips.clip_id)`: a run's rows have another order.
        A list of runs has their names. Repeats of one model, such as cross-validations
        with other folds or seeds, are a list of such predictions, or a data frame with
        a column `repeat`: what they say of a clip is averaged before anything is
        tested.
    labels : array (N,) or (N, K), optional
        True classes; of several labels per clip 0 and 1. Classes are compared by value,
        0.0 and 0 are one. If labels have an index, frames and series with an index are
        put in its order. A run has labels, groups, folds and classes, and no others can
        be given with it.
    groups : array (N,), optional
        The source recording, speaker or site of each clip, which are drawn together.
        Without groups every clip counts as independent, and a warning says so.
    folds : array (N,), "unknown" or None
        The fold that tested each clip. "unknown", the default, means cross-validated:
        the variance of training is assumed. None means that all clips are one test of
        trained models, and the verdict is on these models.
    classes : sequence of K names, optional
        The columns of arrays, such as `classes_` of scikit-learn. By default the
        labels, sorted.

    Returns
    -------
    Comparison
        `.table` has a row for each model: score, low, high (95 % interval), difference
        from the best, difference_low, difference_high, p, verdict, reason; `.sentence`
        is the finding. p and intervals are corrected for all comparisons of this call.

    Examples
    --------
    >>> import numpy as np
    >>> labels, speakers = np.tile(["x", "y"], 20), np.repeat(range(10), 4)
    >>> both = {"a": labels, "b": np.tile(["x", "x"], 20)}
    >>> compare(both, labels, groups=speakers).table["verdict"].tolist()
    ['best', 'clearly worse']
    """
    models = named(predictions)
    runs = {
        f"{name} {repeat.name}" if repeat is not model else name: repeat
        for name, model in models.items()
        for repeat in (model if isinstance(model, list | tuple) else [model])
        if is_run(repeat)
    }
    if not runs:
        clips = clips_of_arrays(labels, groups, folds, classes)
    elif labels is groups is classes is None and isinstance(folds, str):
        clips = clips_of_runs(runs)
        require_ids(models)
    else:
        raise RequestError(
            "a run has labels, groups, folds and classes: leave these arguments out"
        )
    metric = ACCURACY
    if clips.multilabel:
        from featurestack.comparison.average_precision import MEAN_AVERAGE_PRECISION

        metric = MEAN_AVERAGE_PRECISION
    made = []
    for name, model in models.items():
        repeats = repeats_of(model, clips)
        values = [probabilities_of(name, repeat, clips) for repeat in repeats]
        own_runs = [repeat for repeat in repeats if is_run(repeat)]
        made.append(
            Predictions(
                name=name,
                metric=suited(metric, clips.labels),
                classes=clips.classes,
                groups=clips.groups,
                folds=np.stack(
                    [
                        # unknown folds are others in each repeat
                        folds_of(repeat, clips) + clips.unknown_folds * place
                        for place, repeat in enumerate(repeats)
                    ]
                ),
                labels=clips.labels,
                probabilities=np.stack(values),
                variance=max([1.0, *(repeat.variance for repeat in own_runs)]),
                exact=len(own_runs) == len(repeats) and all(r.exact for r in own_runs),
            )
        )
    crossed = clips.unknown_folds or bool(clips.folds.any())
    level = LEVEL if len(made) == 2 else FAMILY_LEVEL  # two models are one family
    ranking = ModelRanking(runs=in_order(made), crossed=crossed, level=level)
    return Comparison(table_of(ranking, clips.unit), sentence_of(ranking, clips))


# ---- what is given


def named(predictions: Any) -> dict[str, Any]:
    """Model -> predictions or run."""
    if isinstance(predictions, Mapping) and predictions:
        models = {str(name): model for name, model in predictions.items()}
        if len(models) < len(predictions):
            raise RequestError(
                f"two models have one name: {', '.join(map(repr, predictions))}"
            )
    elif isinstance(predictions, list | tuple) and predictions:
        if not all(is_run(run) for run in predictions):
            raise RequestError(
                "a list holds runs, as fs.run(name) opens them; predictions need names:"
                " {'A': predictions, 'B': others}"
            )
        models = {run.name: run for run in predictions}
        if len(models) < len(predictions):
            raise RequestError(
                "two runs have one name: give names, {'A': run, 'B': other}"
            )
    else:
        raise RequestError(
            "predictions: expected a dictionary, model -> predictions or run, or a list"
            " of runs"
        )
    for name, model in models.items():
        if isinstance(model, str):
            raise RequestError(f"{name}: {model!r} is text; fs.run opens a run")
    return models


def is_run(model: Any) -> bool:
    return hasattr(model, "scored") and hasattr(model, "probabilities")


def clips_of_arrays(
    labels: Any, groups: Any, folds: Any, classes: Any
) -> ComparedClips:
    """The clips, as the arguments of `fs.compare` describe them."""
    if labels is None:
        raise RequestError("labels= is missing: the true class of each clip")
    true, names = labels_of(labels, classes)
    clips, index = len(true), index_of(labels)
    numbers, unknown = np.zeros(clips, np.intp), isinstance(folds, str)
    if folds is not None and not unknown:
        each = one_each("folds", aligned("folds", folds, index), clips)
        if (absent := pd.isna(each)).any():
            raise RequestError(f"folds, row {absent.argmax()}: the clip has no fold")
        numbers = pd.factorize(each, sort=True)[0].astype(np.intp)
    elif folds not in (None, "unknown"):
        raise RequestError(
            f"folds={folds!r}: expected the fold of each clip, 'unknown', or None for"
            " one test of trained models"
        )
    unit = "clip"
    if groups is None:
        warn(
            "groups= is missing: every clip counts as an independent recording. If"
            " several come from one speaker, site or recording, differences seem surer"
            " than they are; groups=range(len(labels)) says that none do"
        )
        groups = np.arange(clips)
    else:
        unit = "group"
        groups = one_each("groups", aligned("groups", groups, index), clips)
        alone = pd.isna(groups)
        if alone.any():
            of_clips = counted(int(alone.sum()), "clip")
            warn(f"{of_clips} without a group count as independent recordings")
        unique_names = [f"\n{number}" for number in range(clips)]
        groups = np.where(alone, unique_names, groups).astype(str)
        for remark in remarks_on_groups(groups, numbers):
            warn(remark)
    several = np.ndim(labels) == 2
    return ComparedClips(true, names, groups, unit, numbers, unknown, index, several)


def remarks_on_groups(groups: Any, folds: Any) -> list[str]:
    """What is doubtful about the groups (N,) and folds (N,) of clips: a group in
    several folds, names that differ by a space or a capital.
    """
    remarks = []
    of_group = pd.Series(folds).groupby(np.asarray(groups)).nunique()
    if divided := int((of_group > 1).sum()):
        remarks.append(
            f"{divided} of {counted(len(of_group), 'group')} {is_or_are(divided)} in"
            " several folds: source recordings that test a model may have trained it"
        )
    for names in spelt_alike(map(str, of_group.index)):
        remarks.append(f"{enumerated(names)} are different groups")
    return remarks


def clips_of_runs(runs: Mapping[str, TestedRun]) -> ComparedClips:
    """The clips that all runs tested; RequestError if those of two differ."""
    name, run = next(iter(runs.items()))
    table = table_of_run(run)
    for other, compared in runs.items():
        parts = ["group", "fold"]
        if compared.clips == run.clips != "":
            parts.remove("fold")
        if reason := different(table_of_run(compared), table, parts):
            raise RequestError(
                f"{other} and {name} cannot be compared: they have other {reason}"
            )
    _, targets = run.probabilities()
    return ComparedClips(
        metrics.indicator(targets, len(run.classes)),
        (*run.classes,),
        table["group"].to_numpy(),
        "group",
        np.unique(table["fold"], return_inverse=True)[1],
        unknown_folds=False,
        index=pd.Index(table.index),
        multilabel=np.ndim(targets) == 2,
    )


def require_ids(models: Mapping[str, Any]) -> None:
    """RequestError for predictions beside a run whose rows do not name their clips: a
    run's rows are in the order of its folds, not of the clips.
    """
    for name, model in models.items():
        parts = model if isinstance(model, list | tuple) else [model]
        if not all(is_run(part) or index_of(part) is not None for part in parts):
            raise RequestError(
                f"{name} beside a run needs the clips' ids as its index: give"
                " pd.Series(predicted, cache.clips.clip_id), or for probabilities"
                " pd.DataFrame(probabilities, cache.clips.clip_id, classes)"
            )


def table_of_run(run: TestedRun) -> pd.DataFrame:
    """target, group and fold of each clip, by its id."""
    table = run.scored().set_index("clip_id", drop=False).rename_axis(index=None)
    group = table["group"].where(table["group"] != "", table["clip_id"])
    return table.assign(group=group)[["target", "group", "fold"]]


def different(table: pd.DataFrame, other: pd.DataFrame, parts: Sequence[str]) -> str:
    """What two runs' tables differ in; '' if they can be compared. `parts` are columns
    that divide the clips.
    """
    if len(table) != len(other) or not table.index.isin(other.index).all():
        return f"clips ({len(table)} and {len(other)})"
    other = other.loc[table.index]
    if not table["target"].equals(other["target"]):
        return "labels"
    differing = [name for name in parts if not same_parts(table[name], other[name])]
    return f"{differing[0]}s" if differing else ""


def same_parts(values: Any, others: Any) -> bool:
    """Whether two columns divide the clips in the same way, whatever their names."""
    first, second = pd.factorize(np.asarray(values)), pd.factorize(np.asarray(others))
    return bool(np.array_equal(first[0], second[0]))


def labels_of(labels: Any, classes: Any) -> tuple[metrics.Labels, tuple[str, ...]]:
    """(N, K) whether each clip has each class, and the classes."""
    values = array_of("labels", labels)
    if values.ndim not in (1, 2) or not len(values) or pd.isna(values).any():
        raise RequestError(
            f"labels of shape {values.shape}: expected one class for each clip, (N,),"
            " or 0 and 1 for each class, (N, K)"
        )
    if classes is not None:
        columns = comparable(array_of("classes", classes))
    elif values.ndim == 1:  # numbers first
        columns = sorted(
            {*comparable(values)}, key=lambda value: (str(value) == value, value)
        )
    else:
        columns = comparable([*pd.DataFrame(labels)])
    names = (*map(str, columns),)
    if len({*names}) < len(names):
        raise RequestError(f"classes: {', '.join(names)}: expected each class once")
    if values.ndim == 2:
        true = numbers_of("labels", values)
        if len(names) != values.shape[1] or not np.isin(true, (0, 1)).all():
            raise RequestError(
                f"labels of shape {values.shape} and {counted(len(names), 'class')}:"
                " expected 0 and 1 in a column for each class"
            )
        if not true.any():
            raise RequestError("no clip has a label: expected 1 for each label")
        return true > 0, names
    places = places_of(values, names)
    if (places < 0).any():
        unknown = str(values[places < 0][0])
        named = nearest("class", unknown, names)
        raise RequestError(f"labels: {named}; expected only labels that classes= has")
    if len(np.unique(places)) < 2:
        raise RequestError(
            f"all clips have one label, {names[places[0]]!r}: expected two classes or"
            " more"
        )
    return metrics.indicator(places, len(names)), names


def array_of(name: str, values: Any) -> NDArray[Any]:
    """What was given as an array; RequestError for what has no order or no shape."""
    if isinstance(values, Set | Mapping | MappingView):
        kind = type(values).__name__
        raise RequestError(f"{name}: a {kind} has no order: give a list or an array")
    try:
        array = np.asarray(values)
        if array.ndim == 1:  # a list may have texts and NaN, which is no text
            array = np.asarray(values, dtype=object)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise RequestError(f"{name} cannot be read as an array: {reason}") from None
    if not array.ndim:
        raise RequestError(f"{name}: expected a list or an array, not {values!r}")
    return array


def numbers_of(name: str, values: Any) -> metrics.Floats:
    """(N, K) numbers of any type; NaN for missing ones."""
    try:
        return pd.DataFrame(values).to_numpy(float, na_value=np.nan)
    except (TypeError, ValueError):
        raise RequestError(f"{name}: expected numbers in all columns") from None


def comparable(values: Any) -> list[Any]:
    """Classes, groups or folds as they are compared: numbers by value, 0.0 as 0, others
    by text; None for missing ones.
    """
    compared: list[Any] = []
    for value in values:
        if isinstance(value, Real) and not isinstance(value, bool | np.bool_):
            number = float(value)
            compared.append(int(number) if number.is_integer() else number)
        else:
            compared.append(str(value))
        if np.ndim(value) == 0 and pd.isna(value):
            compared[-1] = None
    return compared


def places_of(values: Any, classes: Sequence[str]) -> metrics.Ints:
    """(N,) the place of each value among the classes, -1 for none of them. Truth values
    are 0 and 1 if no class has their name.
    """
    places = {name: place for place, name in enumerate(classes)}
    for truth, name in ((True, "1"), (False, "0")):
        if name in places:
            places.setdefault(str(truth), places[name])
        elif str(truth) in places:
            places[name] = places[str(truth)]
    return np.array(
        [places.get(str(value), -1) for value in comparable(values)], np.intp
    )


def one_each(name: str, values: Any, clips: int) -> NDArray[np.object_]:
    """(N,) values as text, None for those that are missing or blank."""
    array = array_of(name, values)
    if array.shape != (clips,):
        raise RequestError(
            f"{name} have the shape {array.shape}: expected ({clips},), one for each"
            " clip"
        )
    text = [None if value is None else str(value) for value in comparable(array)]
    missing = ("", "None", *NA_TEXTS)
    return np.array(
        [
            None if value is None or value.strip() in missing else value
            for value in text
        ],
        object,
    )


def index_of(rows: Any) -> "pd.Index[Any] | None":
    """The index of a pandas object, None for rows that are only counted, 0 to N - 1."""
    if isinstance(rows, PANDAS) and not rows.index.equals(pd.RangeIndex(len(rows))):
        return rows.index
    return None


def aligned(name: str, rows: Rows, index: "pd.Index[Any] | None") -> Rows:
    """The rows in the order of the index of the labels; without an index they are in
    their order.
    """
    rows_index = index_of(rows)
    if rows_index is None:
        if index is None or not isinstance(rows, PANDAS):
            return rows
        raise RequestError(
            f"labels have an index, such as {index[0]}, but {name} has none: give"
            f" {name} the same index, or pass the labels as an array, by .to_numpy()"
        )
    if index is None:
        raise RequestError(
            f"{name} has an index, such as {rows_index[0]}, but labels have none: give"
            f" labels the same index, or pass {name} as an array, by .to_numpy()"
        )
    shared = len(rows_index.intersection(index))
    if not len(rows_index) == len(index) == shared:
        raise RequestError(
            f"{name} and labels have different rows: {len(rows_index)} and"
            f" {len(index)}, of which {shared} have the same index"
        )
    assert isinstance(rows, PANDAS), "it has an index"
    return rows.loc[index]


def repeats_of(model: Any, clips: ComparedClips) -> list[Any]:
    """The predictions of one model's repeats: the parts of a list or an array that have
    a row for each clip, or the rows of a data frame for each value of its column
    `repeat`; else the model alone.
    """
    if isinstance(model, pd.DataFrame) and "repeat" in model:
        parts = [part.drop(columns="repeat") for _, part in model.groupby("repeat")]
        if index_of(model) is None:
            return [part.reset_index(drop=True) for part in parts]
        return parts
    several = isinstance(model, list | tuple | np.ndarray)
    if several and getattr(model, "ndim", 1) > 0 and len(model):
        number = len(clips.labels)
        if all(is_run(repeat) or np.shape(repeat)[:1] == (number,) for repeat in model):
            return [*model]
    return [model]


def folds_of(model: Any, clips: ComparedClips) -> metrics.Ints:
    """(N,) the folds that tested a repeat's clips."""
    if not is_run(model):
        return clips.folds
    folds = model.scored().set_index("clip_id")["fold"].loc[clips.index]
    return np.unique(folds, return_inverse=True)[1].astype(np.intp)


def probabilities_of(name: str, model: Any, clips: ComparedClips) -> metrics.Floats:
    """(N, K) probabilities of a model; RequestError for what are none."""
    rows = model
    if is_run(model):
        rows = pd.DataFrame(
            model.probabilities()[0], model.scored()["clip_id"], [*model.classes]
        )
    rows = aligned(name, rows, clips.index)
    values = array_of(f"predictions of {name}", rows)
    number, classes = len(clips.labels), clips.classes
    if isinstance(rows, pd.DataFrame) and values.shape != (number, 1):
        order = places_of(rows.columns, classes)
        if sorted(order.tolist()) != [*range(len(classes))]:
            columns = ", ".join(map(str, rows.columns[:5]))
            raise RequestError(
                f"{name} has the columns {columns}: expected the classes"
                f" {', '.join(classes[:5])}"
            )
        values = values[:, np.argsort(order)]
    if values.shape in ((number,), (number, 1)) and len(classes) > 1:
        return predicted_classes(name, values.ravel(), classes)
    if values.shape != (number, len(classes)):
        raise RequestError(
            f"predictions of {name} have the shape {values.shape}: expected ({number},"
            f" {len(classes)}), a column for each class, or predicted classes"
            f" ({number},)"
        )
    values = numbers_of(f"predictions of {name}", values)
    damaged = ~metrics.are_probabilities(values, multilabel=clips.multilabel)
    if damaged.any():
        raise RequestError(
            f"predictions of {name}, row {damaged.argmax()}: expected probabilities"
            + ("" if clips.multilabel else " whose sum is 1")
        )
    if clips.multilabel:
        return values
    if ties := int(metrics.tied(values, clips.labels).sum()):
        verbs = ("share their", "count") if ties > 1 else ("shares its", "counts")
        warn(
            f"{name}: {counted(ties, 'clip')} {verbs[0]} highest probability between"
            f" classes, the true one among them, and {verbs[1]} as wrong; give"
            " predicted classes if the model breaks ties"
        )
    return metrics.lost_ties(values, clips.labels)


def predicted_classes(name: str, values: Any, classes: Sequence[str]) -> metrics.Floats:
    """(N, K) 1 for each predicted class."""
    places = places_of(values, classes)
    if (places < 0).any():
        unknown = comparable(values[places < 0])
        if any(isinstance(value, float) for value in unknown):
            raise RequestError(
                f"predictions of {name} are numbers with a fraction: give"
                f" probabilities, a column for each of {len(classes)} classes, or"
                " predicted classes"
            )
        hint = "classes= names those that no label has"
        if all(isinstance(value, int) for value in unknown) and (places < 0).all():
            hint = "these look like numbers of columns: give classes[i]"
        named = nearest("class", str(unknown[0]), classes)
        raise RequestError(f"predictions of {name}: {named}; {hint}")
    return np.eye(len(classes))[places]


# ---- what is said


def table_of(ranking: ModelRanking[Predictions], unit: str) -> pd.DataFrame:
    """`Comparison.table`."""
    few = few_groups(len(ranking.shares), unit)
    reason = few or ("nothing to compare with" if len(ranking.runs) == 1 else "")
    if not reason and not ranking.against_chance.clear:
        reason = "no model is clearly better than chance"
    differences = [Estimate(np.nan), *ranking.differences]
    rows = [
        {
            "model": model.name,
            "score": model.score.value,
            "low": model.score.low,
            "high": model.score.high,
            "difference": difference.value,
            "difference_low": difference.low,
            "difference_high": difference.high,
            "p": difference.p,
            "verdict": ranking.verdict(place),
            "reason": reason,
        }
        for place, (model, difference) in enumerate(zip(ranking.runs, differences))
    ]
    return pd.DataFrame(rows)


def sentence_of(ranking: ModelRanking[Predictions], clips: ComparedClips) -> str:
    """`Comparison.sentence`: verdict, score, the nearest rival, protocol."""
    best, *others = ranking.runs
    against = ranking.against_chance
    number = counted(len(clips.labels), "clip")
    score = f"{ranking.metric.title} {percent(best.score.value)} % of {number}"
    if best.score.bounded:
        score += f" (95 % interval {best.score.interval})"
    if len(others) > 1:  # the highest of many test scores is too high
        score += f", the highest of {len(ranking.runs)} and so optimistic"
    chance = f"chance, {percent(against.chance)} %"
    unclear = [
        place
        for place in range(1, len(ranking.runs))
        if ranking.verdict(place) == "no clear difference"
    ]
    rival = (unclear or [1])[0]
    if ranking.untested:
        text = f"{few_groups(len(ranking.shares), clips.unit)}: {best.name}, {score}"
        if others:
            lead = points(-ranking.differences[0].value).removeprefix("+")
            text += f", {lead} points above {others[0].name}"
    elif not against.clear:
        who = "No model is" if others else f"{best.name} is not"
        text = f"{who} clearly better than {chance} ({against.doubt})"
        text += f": {best.name}, {score}" if others else f": {score}"
    elif not others:
        text = f"{best.name}, {score}, is clearly better than {chance}"
    else:
        than = others[0].name if len(others) == 1 else f"the {len(others)} others"
        text = f"{best.name}, {score}, is clearly better than {than}"
        if unclear:
            of = "" if len(others) == 1 else f" {len(unclear)} of {len(others)} others"
            text = f"{best.name}, {score}, is not clearly different from"
            text += of or f" {others[0].name}"
        difference = ranking.differences[rival - 1]
        text += f"; {ranking.runs[rival].name} {points(difference.value)} points"
        if difference.bounded:
            low, high = points(difference.low), points(difference.high)
            text += f" ({interval_name(ranking.level)} {low} to {high})"
    return f"{text}; {protocol_of(ranking, clips)}."


def protocol_of(ranking: ModelRanking[Predictions], clips: ComparedClips) -> str:
    """How the models are judged."""
    units = counted(len(np.unique(clips.groups)), clips.unit)
    times = f"{ranking.drawings} drawings of " if ranking.drawings > 1 else ""
    if clips.unknown_folds:
        return f"tested by {units}, assuming cross-validation in {times}unknown folds"
    if ranking.crossed:
        return f"tested by {units} in {times}{counted(len(ranking.folds), 'fold')}"
    return f"tested by {units}, as one test of these trained {plural('model')}"
