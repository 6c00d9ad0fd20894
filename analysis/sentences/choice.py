"""Features that scores chose: inside the folds, or on the folds that test them."""

from collections import Counter
from collections.abc import Sequence

from featurestack.analysis.findings import Findings
from featurestack.analysis.sentences import best_of, either, sentence
from featurestack.commandline.quantities import counted, percent

MOST_CHOSEN = 3  # features that a headline names


@sentence
def right(f: Findings) -> str:
    """The headline of features chosen inside the folds."""
    best = best_of(f)
    assert f.choice is not None, "the best run is a choice"
    score = f"{percent(best['accuracy'])} % {f.score}"
    if "uneven" in {threat.kind for threat in f.threats}:
        score += f" ({percent(best['balanced_accuracy'])} % balanced)"
    names = len(f.choice.candidates)
    return (
        f"{best['model']} has {score} on {often_chosen(f.choice.sets)}, chosen from"
        f" {counted(names, 'feature')} without the clips that test them"
    )


def often_chosen(sets: Sequence[str]) -> str:
    """The features that more than half of the folds chose, the commonest at least:
    `modulation (5 of 5 folds), mfcc (4) and others`; names alone if all folds agree.
    """
    counts = Counter(name for features in sets for name in features.split("+"))
    ordered = counts.most_common()
    named = [pair for pair in ordered if 2 * pair[1] > len(sets)][:MOST_CHOSEN]
    named = named or ordered[:1]
    if len(named) == len(ordered) and set(counts.values()) == {len(sets)}:
        return either([name for name, _ in named])
    (first, most), *others = named
    texts = [f"{first} ({most} of {counted(len(sets), 'fold')})"]
    texts += [f"{name} ({count})" for name, count in others]
    rest = len(ordered) - len(named)
    return either(texts + ["others" if rest > 1 else "one other"] * (rest > 0))


@sentence
def composed(f: Findings) -> str:
    """Says that scores of the tested folds chose sets, or that a choice goes on."""
    sets = [run for run in f.runs if run.composed_from]
    if not sets:
        return ""
    counts = [run.composed_from for run in sets]
    names = [run.features for run in sets]
    many = len(names) > 1
    if any(run.missing_folds for run in sets):
        return (
            f"{either(list(dict.fromkeys(names)))} {'are' if many else 'is'} part of a"
            f" choice from {max(counts)} feature sets that has not ended, so"
            f" {'they have' if many else 'it has'} no verdict yet."
        )
    return (
        f"{either(list(dict.fromkeys(names)))} {'were' if many else 'was'} composed"
        f" from the best of {max(counts)} feature sets on these test folds. No test"
        f" here corrects for this choice, so {'they have' if many else 'it has'} no"
        " verdict."
    )
