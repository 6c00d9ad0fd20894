"""Sentences on clips with several labels or none."""

from featurestack.analysis.findings import Findings
from featurestack.analysis.sentences import grouped, ranking_of, sentence
from featurestack.commandline.quantities import counted, is_or_are, percent


@sentence
def classes_map(f: Findings) -> str:
    texts = [
        f"{row['class']} ({percent(row['average_precision'])} %, prevalence"
        f" {percent(row['prevalence'])} %)"
        for row in f.hardest[:3]
        if row["average_precision"] != 1
    ]
    text = "Every class has an average precision of 100 %."
    if texts or not f.hardest:
        text = f"Lowest average precision: {', '.join(texts)}."
    run = ranking_of(f).best
    absent = len(run.classes) - int(run.labels.any(axis=0).sum())
    if absent:
        are = is_or_are(absent)
        text += f" {counted(absent, 'class')} without a test clip {are} left out."
    return text


@sentence
def chance_map(f: Findings) -> str:
    chance = percent(f.chance)
    return f"A random order of each fold's clips has a mAP of {chance} % on average"


@sentence
def method_map(f: Findings) -> str:
    main = ranking_of(f)
    text = (
        "mAP is the mean over the classes of average precision; clips of all folds are"
        " ordered by their rank within the fold, because the models of two folds are"
        " calibrated apart. The mAP of several seeds is their mean. SD is that of the"
        " folds' own mAP, which is higher for rare classes. The 95 % interval is from"
        f" a bootstrap over {counted(f.recordings, f.unit)}; runs are compared"
        f" by jackknife values of mAP by {f.unit}. F1 is at thresholds fitted on the"
        f" other folds. {grouped(f)}"
        f" Chance, {percent(f.chance)} %, is what a random order of each fold's clips"
        " gets on average."
    )
    perfect = main.metric.perfect(main.best)
    if perfect < 0.9995:
        text += (
            f" A perfect order would get {percent(perfect)} % in this way, because"
            " the folds differ in their prevalence."
        )
    return text
