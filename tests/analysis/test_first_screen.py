"""The forest plot, the small confusion matrix and the most common mistake."""

from featurestack.analysis import tables
from featurestack.analysis.findings import findings
from featurestack.analysis.sections import forest_panels
from featurestack.analysis.tables import classes_shown, common_mistake
from tests.analysis.made_runs import MadeRun, of_sets


def panels_of(results):
    return forest_panels(findings(results))


def test_a_panel_a_model_the_best_first_and_labels_that_say_as_much_as_is_needed(made):
    runs = [
        *of_sets(mel=0.7, mfcc=0.8),
        MadeRun(skill=0.9, model="cnn4"),
        MadeRun(skill=0.6, augment="none"),
    ]
    panels = panels_of(made(*runs))
    labels = ["all", "cnn4", "resnet18, augment default", "resnet18, augment none"]
    assert list(panels) == labels
    assert [row["features"] for row in panels[labels[2]]] == ["mfcc", "mel"]
    more = panels_of(
        made(
            *runs, MadeRun(features="mfcc", skill=0.85, model="cnn4"), *of_sets(rms=0.5)
        )
    )
    assert list(more)[:2] == ["all", "cnn4"]
    assert [row["label"] for row in more["all"]] == [
        *("mel (cnn4)", "mfcc (cnn4)", "mfcc (resnet18)"),
        *("mel (resnet18, augment default)", "mel (resnet18, augment none)"),
        "rms (resnet18)",
    ]


def test_the_small_matrix_shows_the_classes_of_the_most_frequent_errors(made):
    (run,) = made(MadeRun(skill=0.7), clips=2000, classes=50).runs
    counts = tables.confusion_counts(run)
    shown = classes_shown(counts)
    mistake = common_mistake(run)
    assert {mistake["true"], mistake["predicted"]} <= {
        run.classes[place] for place in shown
    }
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
    assert mistake == {
        "true": "dog",
        "predicted": "rain",
        "count": 2,
        "of": 3,
        "share": 2 / 3,
        "wrong": "b",
        "right": "c",
        "equals": 0,
    }
