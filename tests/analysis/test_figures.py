"""Figures draw into the axes that they are given, with the right numbers; the writer
makes their files.
"""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure as Canvas
from matplotlib.image import imread
from matplotlib.text import Text

from featurestack.analysis.figures import (
    FIGURES,
    PAPER,
    TEXT_WIDTH,
    drawing,
    in_lines,
    shortened_labels,
    write_figure,
)
from featurestack.analysis.figures.drawn import without_shared
from featurestack.base.own_files import NO_DATA, OwnFiles
from featurestack.pipeline.clip_spectra import FeatureMap

RNG = np.random.default_rng(0)
CLASSES = ["dog", "$rain$", "犬", "<b>"]
NAMES = ["mel", "mel+mfcc", "chroma"]
FEATURE_MAP = RNG.normal(size=(8, 20))
MODULATIONS = np.array([0.5, 1, 2, 4, 8, 16])  # Hz, not equally far apart
HISTORY = {
    fold: pd.DataFrame(
        {"epoch": [1, 2], "train_loss": [1.0, 3], "test_accuracy": [0.5, best]}
    )
    for fold, best in ((1, 0.8), (2, 0.9))
}
ESTIMATES = {"estimate": [0.01, 0.03, 0.02], "filled": [True, False, True]}
INTERVALS = {
    "intervals": pd.DataFrame(
        {"name": NAMES, "low": [0, 0, np.nan], "high": 0.04} | ESTIMATES
    )
}
EIGHT, ONE = np.arange(8.0), np.zeros(1)


def feature_map(name, values, rows=EIGHT, columns=ONE, *units):
    return FeatureMap(name, values, rows, "Hz", columns, *units)


SECONDS = np.linspace(0, 5, 20)
OF_ONE_CLIP = [
    feature_map("mel", FEATURE_MAP, np.linspace(0, 8000, 8), SECONDS),
    feature_map("rms", FEATURE_MAP[:1], ONE, SECONDS, "amplitude"),
    feature_map("embedding", FEATURE_MAP[:, :1]),
    feature_map("modulation", FEATURE_MAP[:, :6], EIGHT, MODULATIONS, "dB", "Hz"),
]
COUNTS = np.array([[3, 1, 0, 0], [0, 2, 0, 0], [0, 0, 0, 0], [1, 0, 0, 5]])
EXAMPLES = {
    "accuracy_by_set": INTERVALS | {"line": 0.25},
    "confusion_matrix": {"counts": COUNTS, "classes": CLASSES},
    "gallery": {"features": OF_ONE_CLIP},
    "intervals": INTERVALS,
    "learning_curves": {"history": HISTORY},
}


def drawn(name, **given):
    """Draw a figure of EXAMPLES, with some of its data replaced; its axes."""
    axes = Canvas().add_subplot()
    return FIGURES[name].draw(axes, **EXAMPLES[name] | given)


def texts(written):
    return [text.get_text() for text in written]


def test_every_figure_has_an_example_here():
    figures = FIGURES.complete().items()
    own = {name for name, each in figures if "importance" not in each.draw.__module__}
    assert {*EXAMPLES} == own


@pytest.mark.parametrize(("name", "data"), EXAMPLES.items())
def test_a_figure_draws_into_its_axes_at_a_papers_width_with_no_small_text(name, data):
    assert_drawn(name, data)


def assert_drawn(name, data):
    """The figure has a paper's width, draws into its axes, and has no small text."""
    height = FIGURES[name].height(**data)
    assert height < 11
    with drawing():
        canvas = Canvas(figsize=(TEXT_WIDTH, height))
        axes = canvas.add_subplot()
        assert FIGURES[name].draw(axes, **data) is axes
        canvas.draw_without_rendering()
        shown = [text for text in canvas.findobj(Text) if text.get_visible()]
        sizes = [text.get_fontsize() for text in shown if text.get_text().strip()]
    assert axes.has_data() or axes.child_axes
    assert sizes and min(sizes) >= 8


def test_a_confusion_matrix_has_counts_and_outlines_categories():
    assert texts(drawn("confusion_matrix").texts) == ["3", "1", "2", "1", "5"]
    assert len(drawn("confusion_matrix", categories=["a", "a", "b", ""]).patches) == 1
    means = np.array([[2.5, 0.5], [0, 3]])
    seeds = drawn("confusion_matrix", counts=means, classes=["a", "b"])
    assert texts(seeds.texts) == ["2.5", "0.5", "3"]


def test_differences_stand_by_size_and_what_is_not_clear_is_hollow():
    axes = drawn("intervals")
    assert texts(axes.get_yticklabels()) == ["mel+mfcc", "chroma", "mel"]
    filled, hollow = axes.lines[1:]
    assert filled.get_xdata().tolist() == [2, 1] and hollow.get_xdata().tolist() == [3]
    assert hollow.get_markerfacecolor() == PAPER
    chance, _, hollow, *_ = drawn("accuracy_by_set").lines
    assert chance.get_xdata() == [25, 25] and hollow.get_xdata().tolist() == [3]


def test_the_axis_follows_values_that_are_near_and_far_from_chance():
    near = INTERVALS["intervals"].assign(low=0.9, estimate=0.95, high=0.98)
    axes = drawn("accuracy_by_set", intervals=near, line=0.1)
    assert axes.get_xlim()[0] > 85
    assert axes.get_xlabel().endswith("the axis leaves out chance, 10")


def test_curves_are_means_over_folds_and_named():
    accuracy, loss = drawn("learning_curves").child_axes
    (curve,) = accuracy.lines
    assert curve.get_ydata().tolist() == pytest.approx([50, 85])
    named = [texts(panel.get_legend().get_texts()) for panel in (accuracy, loss)]
    assert named == [["test fold"], ["training"]]


def test_a_figure_stands_in_a_page_in_its_colours_with_ids_of_its_own(tmp_path):
    data = EXAMPLES["confusion_matrix"]
    saved, other = (
        write_figure(OwnFiles(tmp_path, NO_DATA), "confusion_matrix", stem, data)
        for stem in ("mel.confusion", "rms.confusion")
    )
    files = {file.name for file in (tmp_path / "figures").glob("mel*")}
    assert files == {"mel.confusion.svg", "mel.confusion-phone.svg"}
    assert all(text in saved.html for text in ("var(--ink)", "&lt;b&gt;", "犬"))
    assert "<b>" not in saved.html
    own, others = (
        set(re.findall(r' id="([^"]+)"', each.html)) for each in (saved, other)
    )
    assert own and not own & others
    assert set(re.findall(r'(?:url\(|href=")#([^")]+)', saved.html)) <= own


@pytest.mark.slow
def test_papers_get_pdf_with_truetype_fonts_and_png_as_wide_as_a_column_and_the_text(
    tmp_path,
):
    name = "learning_curves"
    own = OwnFiles(tmp_path, NO_DATA)
    write_figure(own, name, name, EXAMPLES[name], for_print=True)
    folder = tmp_path / "figures"
    content = (folder / "learning_curves.pdf").read_bytes()
    assert content.startswith(b"%PDF") and b"/Type3" not in content
    assert b"/CIDFontType2" in content
    for millimetres in (85, 175):
        width = imread(folder / f"learning_curves-{millimetres}mm.png").shape[1]
        assert width == pytest.approx(millimetres / 25.4 * 300, abs=1)


def test_the_same_data_gives_the_same_file_and_one_that_the_user_changed_stays(
    tmp_path,
):
    def written(**given):
        own, data = OwnFiles(tmp_path, NO_DATA), INTERVALS | given
        saved = write_figure(own, "intervals", "intervals", data)
        return saved.html, (tmp_path / "figures/intervals.svg").read_text()

    first = written()
    assert written() == first
    again = written(label="another label")
    assert "another label" in again[0] and "another label" in again[1]
    (tmp_path / "figures" / "intervals.svg").write_text("edited")
    assert written() == (first[0], "edited")


def test_what_all_features_share_is_said_once_and_left_out_of_labels():
    sets = ["mel@frame=64,n_mels=64", "mel@frame=64+mfcc@frame=64", "mel@frame=64"]
    names = [f"{features} (ridge)" for features in sets]
    labels, note = without_shared(names, sets)
    assert labels == ["mel@n_mels=64 (ridge)", "mel+mfcc (ridge)", "mel (ridge)"]
    assert note == ". All features have @frame=64"
    sets[2] = "mel"  # not shared by this one
    assert without_shared(sets, sets) == (sets, "")


def test_no_two_labels_have_the_same_text_and_none_loses_what_was_added():
    long = [f"mel+mfcc+{own}+chroma+contrast+modulation" for own in ("rms", "zcr")]
    assert len({*shortened_labels(long)}) == 2
    name = "chroma added to mel+mfcc+contrast+modulation+gammatone (texturenet)"
    lines = in_lines(name, 26).split("\n")
    assert max(map(len, lines)) <= 26
    assert "".join(lines).replace(" ", "") == name.replace(" ", "")
