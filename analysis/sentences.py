"""Sentences of a report, by subject: typed functions that take facts and return plain
text, which the page and the terminal share.

Templates place them. A sentence that is not needed is empty.
"""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from featurestack.analysis.findings import Findings, Ranked
from featurestack.analysis.report.runs import (
    Configuration,
    ConfigurationRanking,
    setting,
)
from featurestack.base.quantities import (
    counted,
    is_or_are,
    percent,
    plural,
    points,
)
from featurestack.comparison.metrics import Floats
from featurestack.comparison.scores import ACCURACY, UNEVEN
from featurestack.comparison.significance import (
    DIFFERENCE_INTERVAL,
    FAMILY_LEVEL,
    LEVEL,
    REPEATED,
    TRAINING_VARIANCE,
    difference_variance,
    few_groups,
)
from featurestack.features_cache.clip_table import clips_of_recordings

PERFECT = 0.9995  # a highest possible score below this is mentioned
SEVERAL = 3  # configurations whose highest score is noticeably too high
HARDEST = 3  # classes with the lowest scores; ties count as one
MOST_NAMED = 6  # classes in a line
# score -> what it is, and what a prediction that knows nothing gets
SCORE = {
    "accuracy": "the share of test clips that are predicted correctly",
    "balanced_accuracy": (
        "the mean of the classes’ recalls, because the largest class has at least"
        f" {UNEVEN:g} times as many clips as the smallest"
    ),
    "map": (
        "the mean over the classes of average precision; clips of all folds are ordered"
        " by their rank within the fold, because the models of two folds are calibrated"
        " separately. One fold’s own mAP is too high for rare classes. F1 is at"
        " thresholds fitted on the other folds"
    ),
}
CHANCE = {
    "accuracy": "the share of the commonest class",
    "balanced_accuracy": (
        "one over the number of classes, which every constant answer gets"
    ),
    "map": "the mean over random orders of each fold’s clips",
}


def main_ranking(f: Findings) -> ConfigurationRanking:
    """The main ranking of a report that has one."""
    assert f.main is not None, "runs that are compared have a ranking"
    return f.main


def folds(f: Findings) -> str:
    """`5 folds`, `2 of 5 folds`, `3 drawings of 5 folds`."""
    main = main_ranking(f)
    tested, protocol = len(main.folds), len(main.best.config.folds)
    of = f"{main.drawings} drawings of " if main.drawings > 1 else ""
    of += f"{tested} of " if tested < protocol else ""
    return of + counted(protocol, "fold")


def unsigned(value: float) -> str:
    """Points without their plus sign."""
    return points(value).removeprefix("+")


def verdict(f: Findings, entry: Ranked) -> str:
    """The verdict on a run, as a table shows it."""
    unclear = entry.verdict == "best" and f.unclear
    return "highest, not clearly better" if unclear else entry.verdict


# ---- the first screen


def headline(f: Findings, *, advised: bool = True) -> str:
    """What to use, and the share of clips that it predicted correctly; or why there is
    no score. Two sentences, and a third if a run is higher than the answer.

    `Use mel with linear. Cross-validation classified 95.0 % of 200 clips correctly.` If
    not `advised`, `mel with linear had the highest accuracy of 6 configurations. …`
    """
    main = f.main
    if main is None:
        # if only the cache is damaged, its line says so
        damaged = {p.run for p in f.problems if p.damaged} - {"cache"}
        if not damaged:
            today = " on today's data" if "W6" in f.warnings else ""
            return f"No run has been trained{today} yet."
        are = is_or_are(len(damaged))
        return f"No run can be read: {counted(len(damaged), 'run')} {are} damaged."
    use, several = configuration(f, f.best.run), len(f.ranked) > 1 and not f.is_answer
    if f.chance:
        doubt = main.against_chance.doubt
        text = "No configuration is clearly better than chance"
        text += f", {percent(main.chance)} %{f' ({doubt})' if doubt else ''}"
        text += f"; {use} has the highest {f.score}" if several else ""
    elif f.is_answer:
        texts = [f"Use {f.recommended}"] if f.recommended else []
        texts.append(classified(f))
        if higher := f.higher:
            score = percent(higher.score.value)
            texts.append(f"{configuration(f, higher.run)} reaches {score} %")
        return f"{'. '.join(texts)}."
    elif not several:
        text = f"One configuration {'can be compared' if f.others else 'so far'}: {use}"
    elif main.untested:
        text = (
            f"Too few {plural(f.group)} for a verdict; {use} has the highest {f.score}"
        )
    elif advised:
        text = f"Use {use}"
    else:
        of = counted(len(f.ranked), "configuration")
        text = f"{use} had the highest {f.score} of {of}"
    return f"{text}. {classified(f)}."


def configuration(f: Findings, run: Configuration) -> str:
    """`mel with linear`: a run of the main ranking."""
    main = main_ranking(f)
    if run.trained:
        return f"{run.features} with {setting(run, main.runs, {'tag'})}"
    return main.labels[run.name]


def classified(f: Findings) -> str:
    """`Cross-validation classified 96.2 % of 80 clips correctly`."""
    run, main = f.best.run, main_ranking(f)
    score, clips = percent(f.best.score.value), counted(len(run.clip_ids), "clip")
    of_accuracy = f.score == ACCURACY.title
    tested, protocol = len(main.folds), len(run.config.folds)
    what = "Cross-validation"
    if tested < protocol or protocol == 1:
        what = f"A test of {folds(f)}"
    if f.is_answer:
        what = (
            f"In {what[0].lower()}{what[1:]}, {run.model} with features chosen without"
            " the tested clips"
        )
        if not of_accuracy:
            return f"{what} reached {score} % {f.score} on {clips}"
    if not of_accuracy:
        return f"Its {f.score} on {clips} is {score} %"
    return f"{what} classified {score} % of {clips} correctly"


def facts(f: Findings) -> dict[str, str]:
    """The numbers of the first screen and of the terminal: label -> value."""
    if f.main is None:
        return {}
    main, run = f.main, f.best.run
    tested = f"{clips_of_recordings(run.clip_ids, run.groups, f.groups)}, {folds(f)}"
    if len(run.seeds) > 1:
        tested += f", mean of {len(run.seeds)} seeds"
    if run.config.synthetic:
        tested += ", synthetic"
    found = {"Tested": tested}
    interval = f.best.score.interval or f"too few {plural(f.group)}"
    if len(f.ranked) >= SEVERAL and not f.is_answer:
        interval += f", highest of {len(f.ranked)} and so optimistic"
    found["95 % interval"] = interval
    if main.uneven:
        found["Accuracy"] = f"{percent(f.best.scores['accuracy'])} %"
    label, lead = lead_of(f)
    found[label] = lead
    of_perfect = float(np.nanmean(perfect_scores(run)))
    if of_perfect < PERFECT:
        found[f"Highest possible {f.score}"] = (
            f"{percent(of_perfect)} %, by ranks within folds that differ in their"
            " classes"
        )
    label, classes = lowest_classes(f)
    return found | ({label: classes} if classes else {})


def lead_of(f: Findings) -> tuple[str, str]:
    """The lead over the next configuration, or over chance, with its verdict.

    An answer's is over chance: the runs that it contains are not compared with it.
    """
    main = main_ranking(f)
    few = few_groups(len(main.shares), f.group)
    if len(f.ranked) > 1 and not f.is_answer:
        second = f.ranked[1]
        lead = points(-second.difference.value) + " points"
        if second.difference.bounded:
            low, high = points(-second.difference.high), points(-second.difference.low)
            lead += f" ({DIFFERENCE_INTERVAL} {low} to {high})"
        clear = "clear" if second.verdict.startswith("clearly") else second.verdict
        verdict = few if second.verdict == "not compared" else clear
        return f"Lead over {second.label}", f"{lead}, {verdict}"
    against = main.against_chance
    lead = f"{points(against.lead)} points"
    verdict = few if main.untested else "clear" if against.clear else "not clear"
    return f"Lead over chance, {percent(against.chance)} %", f"{lead}, {verdict}"


def perfect_scores(run: Configuration) -> Floats:
    """(K,) each class's score if the order of the clips is perfect."""
    if not run.metric.multilabel:
        return np.ones(len(run.classes))
    from featurestack.comparison.average_precision import perfect

    return perfect(run)


def lowest_classes(f: Findings) -> tuple[str, str]:
    """`Lowest recall`, and the classes that have it; no classes if all are perfect. If
    some cannot reach 1, those that are furthest below what they can reach.
    """
    main, best = main_ranking(f), f.best.run
    heading = main.metric.class_heading
    report = f.tables[f"{best.name}.classes"][:-1].query("support > 0")
    scores = report.set_index("class")[main.metric.class_score]
    order = pd.Series(perfect_scores(best), best.classes)
    most = order.reindex(scores.index, fill_value=1.0)
    lower = (scores - most)[scores < most * PERFECT]
    hardest = lower.nsmallest(HARDEST, keep="all")
    # a class whose name begins with a digit gets quotes
    named = [
        f"{f'“{name}”' if name[:1].isdigit() else name} {percent(scores[name])} %"
        for name in hardest.index
    ]
    label = f"Lowest {heading if heading.isupper() else heading.lower()}"
    if (most[hardest.index] < PERFECT).any():
        label = f"{heading} furthest below the highest possible"
        reached = zip(named, most[hardest.index])
        named = [f"{text} of {percent(possible)} %" for text, possible in reached]
    if len(named) > MOST_NAMED:
        named[MOST_NAMED:] = ["…"]
    return label, ", ".join(named)


def media(wrong: Collection[str], audio: Mapping[str, str]) -> str:
    """How many of the wrongly predicted clips have their audio in the page."""
    embedded = sum(audio.get(clip, "").startswith("data:") for clip in wrong)
    if embedded == len(wrong):
        clips = counted(embedded, "clip")
        return f"The page contains the audio of all {clips} that some run got wrong."
    return (
        f"The page contains the audio of {embedded:,} of the {len(wrong):,} clips that"
        " some run predicted wrongly; the others play only where the page was made."
    )


# ---- how the numbers were computed


def chance(f: Findings) -> str:
    """The score of a prediction that knows nothing."""
    main = main_ranking(f)
    text = f"Chance, {percent(main.chance)} %, is {CHANCE[main.metric.name]}."
    if main.untested:
        return text
    text += (
        " A configuration is clearly better than chance if its 95 % interval is above"
        f" chance and p is below {LEVEL} in a one-sided sign-flip test of its lead by"
        f" {f.unit}."
    )
    if len(main.runs) == 1:
        text += " There is one configuration, so nothing is corrected."
    else:
        text += f" p is corrected for the {len(main.runs)} configurations."
    if main.crossed:
        text += (
            f" Models share training clips, so the variance between {plural(f.group)}"
            f" counts {TRAINING_VARIANCE} times."
        )
    return text


def numbers(f: Findings) -> str:
    """The meaning of the score, of what follows ±, and of intervals."""
    main = main_ranking(f)
    metric = main.metric
    texts = [f"{metric.heading} is {SCORE[metric.name]}."]
    if metric.multilabel:
        texts.append(f"± is the standard deviation of the folds’ own {metric.title}.")
    elif len(main.folds) > 1:
        texts.append(f"± is the standard deviation over {folds(f)}.")
    texts.append(
        "The 95 % interval is Wilson’s with the standard error of"
        f" a bootstrap over {counted(len(main.shares), f.unit)}; it does not include"
        " the variation between trainings."
    )
    if f.is_answer:
        texts.append(
            f"The interval of an answer assumes {TRAINING_VARIANCE:g} times fewer"
            " clips, because the clips that test one fold choose and train for the"
            " other folds."
        )
    if tested(f):
        text = (
            f"The {DIFFERENCE_INTERVAL} of a difference contains every value that the"
            " corrected sign-flip test does not reject"
        )
        if main.crossed and main.exact and main.drawings > 1:
            text += (
                f"; it counts the variance between {main.drawings} drawings of the"
                f" folds {REPEATED:g} times, because models share training clips"
            )
        elif main.crossed:
            times = difference_variance(len(main.shares), exact=main.exact)
            text += (
                f"; it counts the variance between {plural(f.group)} {times:.3g} times,"
                " because models share training clips"
            )
        texts.append(f"{text}.")
    return " ".join(texts)


def method(f: Findings) -> str:
    """The meaning of the numbers, the split, and chance."""
    run = f.best.run
    known = "" if f.groups else ", as the dataset groups them,"
    apart = f"Clips of one {f.group}{known} are never in both training and test."
    if not f.grouped:
        clips = clips_of_recordings(run.clip_ids, run.groups)
        apart = f"{clips}: clips of one recording may be in both training and test."
    return f"{numbers(f)} {apart} {chance(f)}"


def tested(f: Findings) -> str:
    """The comparison of configurations, and when a difference is clear."""
    if len(f.ranked) < 2 or main_ranking(f).untested:
        return ""
    text = "Each configuration is compared with the best by a sign-flip test"
    if f.main and f.main.metric.multilabel:
        text += f" of jackknife values of {f.score}"
    text += f", paired by {f.unit}"
    if len(f.ranked) > 2:
        text += (
            f" and corrected for all {len(f.ranked) - 1} comparisons and for the"
            " selection of the best (model confidence set; Hansen, Lunde and Nason"
            " 2011)"
        )
    others = [gain for gain in f.gains if f.best.run not in (gain.less, gain.more)]
    if len(others) > 1:
        text += (
            f". The {len(others)} ablations between other configurations have the same"
            " test, corrected for all of them (step-down maxT; Westfall and Young 1993)"
        )
    return (
        f"{text}. A difference is clear if p is below {FAMILY_LEVEL}, so that the"
        " comparisons with the best and the ablations together make a false claim in at"
        " most 5 % of reports. The interval of a difference counts two more"
        " recordings, a gain and a loss (Bonett and Price 2012)."
    )
