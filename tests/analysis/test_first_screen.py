"""The small confusion matrix and the most common mistake."""

from featurestack.analysis import tables
from featurestack.analysis.tables import Mistake, classes_shown, common_mistake
from tests.analysis.made_runs import MadeRun


def test_the_small_matrix_shows_the_classes_of_the_most_frequent_errors(made):
    (run,) = made(MadeRun(skill=0.7), clips=2000, classes=50).runs
    counts = tables.confusion_counts(run)
    shown = classes_shown(counts)
    mistake = common_mistake(run)
    assert {mistake.true, mistake.predicted} <= {run.classes[place] for place in shown}
    assert len(shown) == 12 and shown == sorted(shown)
    assert classes_shown(counts[:5, :5]) == [0, 1, 2, 3, 4]


def test_the_common_mistake_by_hand_with_the_surest_clips(hand_run):
    rows = [
        ("a", "a", 1, "dog", [0.4, 0.6]),
        ("b", "b", 1, "dog", [0.1, 0.9]),
        ("c", "c", 2, "rain", [0.2, 0.8]),
        ("d", "d", 2, "rain", [0.3, 0.7]),
        ("e", "e", 2, "dog", [0.7, 0.3]),
    ]
    mistake = common_mistake(hand_run("mel", ["dog", "rain"], rows))
    assert mistake == Mistake("dog", "rain", 2, 3, wrong="b", right="c", equals=0)
