"""Threats to a result, and reasons not to compare runs."""

from featurestack.analysis.findings import Findings, Threat
from featurestack.analysis.sentences import is_or_are, listed, sentence
from featurestack.commandline.quantities import counted, percent, plural

# measure of `check` -> its words, if they differ
MEASURES = {
    "sample_rate": "sample rate",
    "seconds": "duration",
    "lead": "padding at the beginning",
    "trail": "padding at the end",
    "clipped": "clipping",
    "offset": "mean of the samples",
}


@sentence
def threat(f: Findings, threat: Threat) -> str:
    """Something that may make the result wrong, and what to do."""
    number = int(threat.value)
    on = " on the classes, not the categories" if of_categories(f) else ""
    are = is_or_are(number)
    if threat.kind == "artefacts":
        return artefacts(f, threat)
    if threat.kind == "failed":
        clips = f"{counted(number, 'clip')} of {threat.of:,}"
        return f"{clips} failed and {are} not tested."
    sentences = {
        "duplicates": (
            f"{counted(number, 'pair')} of clips hold the same audio in different"
            f" folds, so the {f.score} is too high: the same recording is in training"
            " and test. Keep one of them, or give them one group, and train again."
        ),
        "price": (
            f"A random split of the clips makes the {f.score} too high, as check"
            f" measured{on}: {first(threat)}."
        ),
        "extracted before": (
            "The clips have changed since their features were extracted"
            f" ({first(threat)}): extract and train again."
        ),
        "changed": (
            f"{counted(number, 'run')} {are} older than the clips or their labels:"
            " train again."
        ),
        "added": (
            f"{counted(number, 'clip')} {are} newer than the runs and not tested:"
            " train again."
        ),
        "uneven": (
            f"The classes are uneven, {threat.value} to {threat.of} clips: read the"
            " balanced accuracy, in which every class counts the same."
        ),
        "unequal recordings": (
            f"Some {plural(f.group)} have many more clips than others: the"
            f" {counted(f.recordings, f.group)} count like {threat.value} equal ones."
        ),
    }
    return sentences[threat.kind]


def first(threat: Threat) -> str:
    return threat.names[0] if threat.names else ""


def of_categories(f: Findings) -> bool:
    """Whether the runs predict categories, where `check` has measured classes."""
    return f.main is not None and f.main.best.task.column == "category"


def artefacts(f: Findings, threat: Threat) -> str:
    """Says that the way of recording predicts the class."""
    named = []
    for name in threat.names:
        measure, _, alone = name.partition(" ")
        text = MEASURES.get(measure, measure)
        named.append(f"{text} ({alone} alone)" if alone else text)
    within = " within the categories" if of_categories(f) else ""
    score = f"{percent(threat.value)} %"
    if f.several_labels:
        score = f"macro AUROC {score}"
    above_all = f": above all {listed(named)}" if named else ""
    return (
        "Recording and editing (level, padding, bandwidth and others) alone predict the"
        f" {'tags' if f.several_labels else 'class'}{within} ({score}, chance is"
        f" {percent(threat.of)} %)"
        f"{above_all}. Part of the {f.score} may come from them. If they do not belong"
        " to the sounds, make them the same in all classes and train again."
    )


@sentence
def excluded(f: Findings) -> str:
    """The runs that are not compared with the others, by reason."""
    reasons = {
        reason: count
        for reason, count in f.excluded.items()
        if reason not in ("unfinished", "damaged")
    }
    runs = sum(reasons.values())
    if not runs:
        return ""
    texts = [why(f, reason, count) for reason, count in reasons.items()]
    if runs == 1:
        return f"One other run is not compared, because it {texts[0]}."
    if len(texts) == 1:
        return f"{runs} other runs are not compared, because they {texts[0]}."
    parts = [f"{count} {text}" for count, text in zip(reasons.values(), texts)]
    return f"{runs} other runs are not compared, because {'; '.join(parts)}."


@sentence
def why(f: Findings, reason: str, count: int) -> str:
    """Why runs are not compared: the end of a sentence whose subject they are."""
    one = count == 1
    have, lack = ("has", "lacks") if one else ("have", "lack")
    composed = "a feature set" if one else "feature sets"
    reasons = {
        "dataset": f"{have} another dataset",
        "task": f"{have} another task",
        "classes": f"{have} other classes",
        "folds": f"{lack} folds",
        "groups": f"{have} other {plural(f.unit)}",
        "clips": "tested other clips",
        "cache": (
            f"{have} features of another sample rate, duration, channel, audio or"
            " parameters"
        ),
        "protocol": f"{have} another protocol",
        "composed": (
            f"{have} {composed} composed from the best on these test folds, for which"
            " no test here corrects"
        ),
    }
    return reasons[reason]
