"""Every figure of the registry draws into the axes it is given; what it computes, by known answers."""

import re
import warnings
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure as Canvas
from matplotlib.text import Text

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
        "clips": np.array([0, 50, 50]),
        "scaled": (np.array([0.2, 0.5]), np.array([0.25, 0.5]), np.array([20, 80])),
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


def test_a_pdf_embeds_no_tables_for_laying_out_text(tmp_path: Path) -> None:
    saved = save_figure("intervals", tmp_path, **EXAMPLES["intervals"])
    content = (tmp_path / saved.files["pdf"]).read_bytes()
    packed = [content[found.end() :] for found in re.finditer(rb"stream\r?\n(?=x)", content)]
    streams = [zlib.decompressobj().decompress(stream) for stream in packed]
    embedded = [stream for stream in streams if stream.startswith(b"\0\1\0\0")]
    assert embedded
    for font in embedded:
        tables = {font[at : at + 4] for at in range(12, 12 + 16 * int.from_bytes(font[4:6], "big"), 16)}
        assert b"glyf" in tables and not tables & {b"GSUB", b"GPOS", b"GDEF", b"MATH"}


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


def test_recall_is_of_the_best_set_and_of_the_others_its_differences() -> None:
    axes = Canvas().add_subplot()
    FIGURES["recall_by_set"].draw(axes, **EXAMPLES["recall_by_set"])
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["20", "100", "50", "+70", "−100", "·", "−20", "−100", "+10"]


def test_of_many_classes_those_are_drawn_in_which_the_sets_differ_most() -> None:
    axes = Canvas().add_subplot()
    recall = np.tile(RNG.random((1, 30)), (3, 1))
    recall[1, 5:25] = 0.0
    recall[0, 5:25] = recall[2, 5:25] = 0.5
    classes = [f"class{number}" for number in range(30)]
    FIGURES["recall_by_set"].draw(axes, names=NAMES, classes=classes, recall=recall)
    assert [label.get_text() for label in axes.get_xticklabels()] == classes[5:25]


def test_a_difference_that_is_not_significant_is_hollow_and_the_largest_stands_on_top() -> None:
    axes = Canvas().add_subplot()
    given = EXAMPLES["intervals"] | {"estimate": np.array([1, 3, 2]), "high": np.full(3, 4)}
    FIGURES["intervals"].draw(axes, **given)
    dots = axes.lines[1:]
    assert [dot.get_xdata().tolist() for dot in dots] == [[3], [2], [1]]
    assert [dot.get_markerfacecolor() == PAPER for dot in dots] == [True, False, False]
    heights = [dot.get_ydata()[0] for dot in dots]
    assert heights == sorted(heights, reverse=True)


def test_intervals_of_several_models_stand_in_groups_and_what_squashes_the_axis_is_written() -> None:
    axes = Canvas().add_subplot()
    estimate = np.array([1.0, 2, 1.5, 40])
    FIGURES["intervals"].draw(
        axes,
        names=list("abcd"),
        estimate=estimate,
        low=estimate - 1,
        high=estimate + 1,
        significant=np.ones(4, bool),
        models=["texture", "cnn8", "texture", "cnn8"],
    )
    top_down = [label.get_text() for label in axes.get_yticklabels()]
    assert top_down == ["texture", "c", "a", "cnn8", "d", "b"]
    assert axes.get_xlim()[1] < 5 and [text.get_text() for text in axes.texts] == ["+40.0"]


def test_of_many_classes_a_confusion_matrix_names_those_with_errors_and_sums_the_others() -> None:
    axes, counts = Canvas().add_subplot(), np.diag(np.full(30, 9))
    counts[3, 28] = 4
    classes = [f"class{number}" for number in range(30)]
    FIGURES["confusion_matrix"].draw(axes, counts=counts, classes=classes)
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert len(names) == 21 and {"class3", "class28"} < set(names) and names[-1] == "10 other classes"
    texts = [text.get_text() for text in axes.texts]
    assert texts.count("9") == 20 and texts.count("4") == 1 and texts[-1] == "90"


def test_bins_of_few_predictions_are_counted_and_not_drawn_as_accuracies() -> None:
    axes = Canvas().add_subplot()
    given = {"confidence": np.array([0.3, 0.6, 0.9]), "accuracy": np.array([1, 0.5, 0.9])}
    FIGURES["reliability"].draw(axes, clips=np.array([9, 10, 40]), **given)
    above, below = axes.child_axes
    assert above.lines[-1].get_xdata().tolist() == [60, 90]
    assert [bar.get_height() for bar in below.patches] == [9, 10, 40]
    axes = Canvas().add_subplot()
    scaled = (np.array([0.2, 0.7]), np.array([0.1, 0.8]), np.array([9, 50]))
    FIGURES["reliability"].draw(axes, clips=np.array([9, 10, 40]), **given, scaled=scaled)
    after = axes.child_axes[0].lines[-1]
    assert (after.get_xdata().tolist(), after.get_ydata().tolist()) == ([70], [80])


def test_every_point_of_the_front_is_named() -> None:
    axes = Canvas().add_subplot()
    FIGURES["pareto"].draw(axes, **EXAMPLES["pareto"])
    texts = {text.get_text() for text in axes.texts}
    assert texts == {"1", "2", "1  mel\n    50.0 %", "2  mel+mfcc\n    80.0 %"}


def test_each_curve_is_named_at_its_end() -> None:
    axes = Canvas().add_subplot()
    FIGURES["learning_curves_compared"].draw(axes, **EXAMPLES["learning_curves_compared"])
    assert len(axes.child_axes) == 2
    for panel in axes.child_axes:
        assert {text.get_text() for text in panel.texts} == {"mel", "chroma"}


def test_no_label_of_a_curve_stands_above_its_panel() -> None:
    panel = Canvas().add_subplot()
    panel.set_ylim(0, 1)
    fonts.label_ends(panel, [(0.99, "a", "red"), (0.98, "b", "red"), (0.97, "c", "red")])
    heights = [text.get_position()[1] for text in panel.texts]
    assert max(heights) == pytest.approx(1) and heights == sorted(heights, reverse=True)


MANY = [f"class number {number}" for number in range(50)]
LARGE: dict[str, dict[str, Any]] = {
    "confusion_matrix": {"counts": RNG.integers(0, 9, (50, 50)), "classes": MANY},
    "recall_by_set": {"names": NAMES, "classes": MANY, "recall": RNG.random((3, 50))},
    "class_bars": {"classes": MANY, "values": {name: RNG.random(50) for name in NAMES[:2]}},
    "clips_per_fold": {"counts": RNG.integers(0, 9, (50, 10)), "classes": MANY, "folds": range(1, 11)},
    "channel_importance": {"classes": MANY, "channels": NAMES, "loss": RNG.normal(size=(50, 3))},
}


@pytest.mark.parametrize(
    ("name", "data"),
    [*EXAMPLES.items(), *LARGE.items()],
    ids=[*EXAMPLES, *(f"{name} of 50" for name in LARGE)],
)
def test_a_figure_has_a_papers_width_and_no_text_under_eight_points(name: str, data: dict[str, Any]) -> None:
    size = FIGURES[name].size(**data)
    assert size[0] in (3.3, 6.3) and size[1] < 11
    with drawing():
        canvas = Canvas(figsize=size)
        FIGURES[name].draw(canvas.add_subplot(), **data)
        canvas.draw_without_rendering()
        written = [text for text in canvas.findobj(Text) if text.get_text().strip() and text.get_visible()]
    assert written and min(text.get_fontsize() for text in written) >= 8


def test_text_has_the_contrast_that_readers_need_on_every_shade() -> None:
    def luminance(colour: Any) -> float:
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(colour)]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    for shades in (fonts.GREYS, fonts.ERRORS, fonts.RATES, colormaps[fonts.SIGNED]):
        for value in np.linspace(0, 1, 30):
            dark, light = sorted((luminance(shades(value)), luminance(fonts.text_on(shades(value)))))
            assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_labels_are_moved_apart_and_keep_their_order() -> None:
    moved = fonts.spread([0.5, 0.9, 0.52], 0.1)
    assert moved == pytest.approx([0.46, 0.9, 0.56])
    assert fonts.spread([], 0.1) == []


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
    assert pareto_front(np.array([2.0, 2, 1]), np.array([0.9, 0.9, 0.8])).tolist() == [True, False, True]


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
    assert len(shorten("a (resnet18, augment shift=1 and more)", 20)) == 20
    assert shorten("mel", 12) == "mel" and shorten("fourier_tempogram", 12) == "fourier…gram"
    assert shorten("mel+mfcc+chroma+cqt (resnet18+texture)", 30) == "mel+…+cqt (resnet18+texture)"
    assert [format_plain(value) for value in (31.25, 15400.4, 0.0345)] == ["31.2", "15400", "0.0345"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert uncovered(["dog", "rain 2"]) == set()
        assert uncovered(["dog\U0010fffd"]) == {"\U0010fffd"}
