"""Every figure of the registry draws into the axes it is given; what it computes, by known answers."""

import re
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure as Canvas

from analysis.figures import FIGURES, figure, save_figure
from analysis.figures import drawing as fonts
from analysis.figures.comparison import pareto_front
from analysis.figures.data import FeatureMap, envelope, format_plain, row_ticks
from analysis.figures.drawing import PAPER, SERIES, drawing, panels, shorten, uncovered
from analysis.figures.run import SamplePrediction, over_folds

RNG = np.random.default_rng(0)
CLASSES = ["dog", "$rain$", "犬", "<b>"]
NAMES = ["mel", "mel+mfcc", "chroma"]
HISTORY = {
    fold: pd.DataFrame(
        {"epoch": [1, 2, 3]}
        | {
            f"{part}_{name}": RNG.random(3)
            for part in ("train", "test")
            for name in ("accuracy", "f1", "loss")
        }
    )
    for fold in (1, 2)
}
FEATURE_MAP = RNG.normal(size=(8, 20))
EXAMPLES: dict[str, dict[str, Any]] = {
    "channel_importance": {"classes": CLASSES, "channels": NAMES, "loss": RNG.normal(size=(4, 3))},
    "augmentations": {
        "pairs": [
            ("noise", FEATURE_MAP, FEATURE_MAP + 1),
            ("nothing", FEATURE_MAP, FEATURE_MAP),
            ("crop", FEATURE_MAP, FEATURE_MAP[2:, 3:]),
        ]
    },
    "class_bars": {"classes": CLASSES, "values": {name: RNG.random(4) for name in NAMES[:2]}},
    "class_means": {
        "means": RNG.normal(size=(4, 8)),
        "classes": CLASSES,
        "rows": list("abcdefgh"),
        "row_unit": "Hz",
    },
    "projections": {
        "points": {"mel": RNG.normal(size=(9, 2))},
        "labels": {"mel": np.arange(9) % 4},
        "classes": CLASSES,
    },
    "clips_per_fold": {
        "counts": np.array([[3, 0], [1, 2], [4, 4], [0, 0]]),
        "classes": CLASSES,
        "folds": [1, 2],
    },
    "ensemble_accuracy": {"names": NAMES, "accuracy": RNG.random((3, 3))},
    "confusion_matrix": {
        "counts": np.array([[3, 1, 0, 0], [0, 2, 0, 0], [0, 0, 0, 0], [1, 0, 0, 5]]),
        "classes": CLASSES,
    },
    "critical_difference_diagram": {
        "ranks": {"mel": 1.2, "mel+mfcc": 2.0, "chroma": 2.8},
        "p_values": pd.DataFrame([[1, 0.4, 0.01], [0.4, 1, 0.3], [0.01, 0.3, 1]], NAMES, NAMES),
    },
    "gallery": {
        "features": [
            FeatureMap("mel", FEATURE_MAP, np.linspace(0, 8000, 8), "Hz", np.linspace(0, 5, 20)),
            FeatureMap("rms", FEATURE_MAP[:1], np.zeros(1), "index", np.linspace(0, 5, 20), "amplitude"),
            FeatureMap("embedding", FEATURE_MAP[:, :1], np.arange(8.0), "index", np.zeros(1)),
        ]
    },
    "intervals": {
        "names": NAMES,
        "estimate": np.array([3, 2, 1]),
        "low": np.zeros(3),
        "high": np.full(3, 4),
        "significant": np.array([True, False, True]),
    },
    "learning_curves": {"history": HISTORY},
    "learning_curves_compared": {"histories": {"mel": HISTORY, "chroma": HISTORY}},
    "pareto": {"names": NAMES, "cost": np.array([1.0, 2, 3]), "accuracy": np.array([0.5, 0.8, 0.7])},
    "recall_by_set": {
        "names": NAMES,
        "classes": CLASSES,
        "recall": np.array([[0.2, 1, 0.5, np.nan], [0.9, 0, 0.5, np.nan], [0, 0, 0.6, np.nan]]),
    },
    "reliability": {
        "confidence": np.array([0, 0.5, 0.9]),
        "accuracy": np.array([0, 0.4, 0.95]),
        "share": np.array([0, 0.5, 0.5]),
        "error": 0.075,
    },
    "sample_predictions": {
        "samples": [SamplePrediction("wrong", "1-2-A", FEATURE_MAP, 5.0, "dog", (("犬", 0.6), ("dog", 0.3)))],
    },
    "separability": {
        "names": NAMES,
        "measures": {"fisher_ratio": RNG.random(3), "agreement": RNG.random(3) - 0.1},
    },
    "spectrograms": {"clips": {"dog": FEATURE_MAP}, "seconds": 5.0, "hertz": np.linspace(0, 9000, 8)},
    "waveforms": {"clips": {"dog": RNG.normal(size=900), "silence": np.zeros(900)}, "seconds": 5.0},
}


def test_every_figure_has_an_example_here() -> None:
    assert set(EXAMPLES) == set(FIGURES)


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_a_figure_draws_into_the_axes_it_is_given_and_returns_them(name: str) -> None:
    with drawing():
        canvas = Canvas(figsize=FIGURES[name].size(**EXAMPLES[name]))
        axes = canvas.add_subplot()
        assert FIGURES[name].draw(axes, **EXAMPLES[name]) is axes
        canvas.draw_without_rendering()
    assert axes.has_data() or axes.child_axes


def test_a_figure_is_saved_three_times_and_stands_in_a_page(tmp_path: Path) -> None:
    saved = save_figure("confusion_matrix", tmp_path, stem="mel.confusion", **EXAMPLES["confusion_matrix"])
    assert (tmp_path / saved.files["png"]).read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / saved.files["pdf"]).read_bytes().startswith(b"%PDF")
    assert "犬" in (tmp_path / saved.files["svg"]).read_text(encoding="utf-8")
    assert "var(--ink)" in saved.html and "&lt;b&gt;" in saved.html and "<b>" not in saved.html
    ids = re.findall(r' id="([^"]+)"', saved.html)
    assert all(one.startswith("mel-confusion-") for one in ids)
    assert set(re.findall(r"url\(#([^)]+)\)", saved.html)) <= set(ids)


def test_a_figure_of_feature_maps_stands_in_a_page_as_one_image(tmp_path: Path) -> None:
    html = save_figure("spectrograms", tmp_path, **EXAMPLES["spectrograms"]).html
    assert html.startswith("<img") and "data:image/webp;base64," in html


def test_the_same_data_gives_the_same_files(tmp_path: Path) -> None:
    first, second = (save_figure("intervals", tmp_path / part, **EXAMPLES["intervals"]) for part in "ab")
    for path in first.files.values():
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()
    assert first.html == second.html


@pytest.mark.parametrize("name", ["confusion_matrix", "gallery", "pareto"])
def test_a_pdf_has_truetype_fonts_and_none_of_type_3(name: str, tmp_path: Path) -> None:
    content = (tmp_path / save_figure(name, tmp_path, **EXAMPLES[name]).files["pdf"]).read_bytes()
    assert b"/CIDFontType2" in content and b"/Type3" not in content


def test_only_text_in_a_face_of_postscript_outlines_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    letters = {"Latin": frozenset("abc"), "Chinese": frozenset("犬a")}
    monkeypatch.setattr(fonts, "installed_faces", lambda: list(letters))
    monkeypatch.setattr(fonts, "_letters", letters.__getitem__)
    monkeypatch.setattr(fonts, "_is_postscript", "Chinese".__eq__)
    assert fonts.font_type(["a b", "c?"]) == fonts.TRUETYPE
    assert fonts.font_type(["a", "犬"]) == fonts.TYPE3


def test_postscript_outlines_are_recognised_by_the_font_files_tag(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, content, answer in (
        ("plain.ttf", b"\0\1\0\0", False),
        ("plain.otf", b"OTTO", True),
        ("both.ttc", b"ttcf" + bytes(8) + (20).to_bytes(4, "big") + bytes(4) + b"OTTO", True),
        ("true.ttc", b"ttcf" + bytes(8) + (16).to_bytes(4, "big") + b"true", False),
    ):
        (tmp_path / name).write_bytes(content)
        monkeypatch.setattr(fonts, "_file", lambda face: tmp_path / face)
        assert fonts._is_postscript(name) is answer


def test_a_second_figure_of_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="figure 'confusion_matrix' is registered twice"):
        figure("again")(FIGURES["confusion_matrix"].draw)


def test_a_confusion_matrix_says_rates_or_counts_and_outlines_categories() -> None:
    def texts(**given: Any) -> tuple[list[str], int]:
        axes = Canvas().add_subplot()
        FIGURES["confusion_matrix"].draw(axes, **(EXAMPLES["confusion_matrix"] | given))
        return [text.get_text() for text in axes.texts], len(axes.patches)

    assert texts() == (["3", "1", "2", "1", "5"], 0)
    assert texts(rates=True)[0] == ["75", "25", "100", "17", "83"]
    halves = np.array([[37, 1, 2], [0, 40, 0], [0, 0, 40]])
    assert texts(counts=halves, classes=list("abc"), rates=True)[0] == ["93", "3", "5", "100", "100"]
    assert texts(categories=["a", "a", "b", ""])[1] == 1


def test_the_highest_recall_of_each_class_is_ringed_and_an_untested_class_is_empty() -> None:
    axes = Canvas().add_subplot()
    FIGURES["recall_by_set"].draw(axes, **EXAMPLES["recall_by_set"])
    assert axes.collections[0].get_offsets().tolist() == [[0, 1], [1, 0], [2, 2]]
    assert len(axes.texts) == 9


def test_of_many_classes_the_shade_alone_shows_the_recall() -> None:
    axes = Canvas().add_subplot()
    classes = [f"class{number}" for number in range(30)]
    FIGURES["recall_by_set"].draw(axes, names=NAMES, classes=classes, recall=RNG.random((3, 30)))
    assert not axes.texts


def test_a_difference_that_is_not_significant_is_hollow() -> None:
    axes = Canvas().add_subplot()
    FIGURES["intervals"].draw(axes, **EXAMPLES["intervals"])
    filled, hollow = axes.lines[-2:]
    assert filled.get_xdata().tolist() == [3, 1] and hollow.get_xdata().tolist() == [2]
    assert hollow.get_markerfacecolor() == PAPER


def test_marks_of_a_frequency_axis_keep_their_distance() -> None:
    def marks(hertz: np.ndarray) -> list[str]:
        axes = Canvas().add_subplot()
        row_ticks(axes, hertz, "Hz")
        return [label.get_text() for label in axes.get_yticklabels()]

    assert marks(np.linspace(0, 22050, 1025)) == ["2k", "8k", "16k"]
    assert marks(np.geomspace(32.7, 3951, 84)) == ["100", "500", "2k"]


def test_fold_curves_are_averaged_epoch_by_epoch_and_gaps_left_out() -> None:
    folds = {
        1: pd.DataFrame({"epoch": [1, 2], "loss": [1.0, 3]}),
        2: pd.DataFrame({"epoch": [1, 2], "loss": [3, np.nan]}),
    }
    curve = over_folds(folds, "loss")
    assert curve is not None
    assert [part.tolist() for part in curve] == [[1, 2], [2, 3], [1, 3], [3, 3]]
    assert over_folds(folds, "val_loss") is None


def test_the_front_holds_what_nothing_cheaper_beats() -> None:
    cost, accuracy = np.array([1.0, 2, 3, 3, 1]), np.array([0.5, 0.8, 0.7, 0.9, 0.4])
    assert pareto_front(cost, accuracy).tolist() == [True, True, False, True, False]


def test_an_envelope_keeps_every_peak() -> None:
    samples = np.zeros(1000)
    samples[[10, 777]] = 1, -2
    low, high = envelope(samples, 10)
    assert (high[0], low[7], high.sum(), low.sum()) == (1, -2, 1, -2)


def test_panels_fill_the_axes_without_overlap() -> None:
    canvas = Canvas()
    drawn = panels(canvas.add_axes((0, 0, 1, 1)), 2, 3)
    canvas.draw_without_rendering()
    boxes = [panel.get_position() for panel in drawn]
    assert min(box.x0 for box in boxes) == pytest.approx(0) and max(box.x1 for box in boxes) == pytest.approx(
        1
    )
    assert boxes[0].y0 > boxes[3].y1 and boxes[0].x1 < boxes[1].x0


def test_neighbouring_series_differ_in_grey() -> None:
    grey = [np.dot(to_rgb(colour), (0.299, 0.587, 0.114)) for colour in SERIES]
    assert min(abs(a - b) for a, b in pairwise(grey)) > 0.08


def test_shortened_names_and_missing_characters() -> None:
    assert shorten("mel+mfcc+chroma+tonnetz", 12) == "mel+mfc…netz"
    assert shorten("mel", 12) == "mel"
    assert [format_plain(value) for value in (31.25, 15400.4, 0.0345)] == ["31.2", "15400", "0.0345"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert uncovered(["dog", "rain 2"]) == set()
        assert uncovered(["dog\U0010fffd"]) == {"\U0010fffd"}
