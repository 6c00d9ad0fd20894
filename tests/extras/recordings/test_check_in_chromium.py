"""The page of detections to check in a real browser."""

import time
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
import soundfile
from selenium.webdriver.common.by import By

from featurestack.extras.recordings.check import TABLE, read_checked
from tests.extras.recordings.test_check import NAMES, RATE, found, write

__all__ = ["found"]  # the fixture
pytestmark = pytest.mark.slow

PLAYED = """const part = document.getElementById('part');
return new Promise((done) => {
    part.onpause = () => done([part.src, part.currentTime]);
});"""
LOADED = """const sound = document.getElementById('sound');
return new Promise((done) => {
    sound.onloadedmetadata = () => done(sound.duration);
    sound.load();
});"""


@pytest.fixture
def check(found, tmp_path):
    for name in NAMES:
        (tmp_path / name).parent.mkdir()
        y = 0.1 * np.sin(np.arange(10 * RATE))
        soundfile.write(tmp_path / name, y, RATE)
    return write(found, tmp_path)


def text(page, name):
    return page.find_element(By.ID, name).text


def press(page, *keys):
    for key in keys:
        page.find_element(By.TAG_NAME, "body").send_keys(key)


@pytest.fixture
def page(start_chromium):
    """A narrow browser, whose page logs no error."""
    page = start_chromium(**{"goog:loggingPrefs": {"browser": "ALL"}})
    try:
        narrow = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", narrow)
        yield page
        assert page.get_log("browser") == []
    finally:
        page.quit()


def show(page, check, count):
    """Open a check in which the browser knows so many answers; it stores them a moment
    after they are given.
    """
    for _ in range(20):
        page.get((check / "index.html").as_uri())
        if text(page, "count") == count:
            return
        time.sleep(0.1)
    raise AssertionError(text(page, "count"))


def saved(page, folder, name):
    """The file of this name that the page saves."""
    place = {"behavior": "allow", "downloadPath": str(folder)}
    page.execute_cdp_cmd("Page.setDownloadBehavior", place)
    page.find_element(By.ID, "save").click()
    for _ in range(50):
        if (folder / name).is_file():
            break
        time.sleep(0.1)
    return folder / name


def test_answers_are_kept_and_saved_as_the_table(check, page, tmp_path):
    page.get((check / "index.html").as_uri())
    table = pd.read_csv(check / TABLE)
    assert text(page, "label") == table["label"][0]
    assert text(page, "count") == "0 of your 6 are answered."
    press(page, "y", "n", "u", "s")
    page.find_element(By.ID, "yes").click()
    press(page, " ")  # plays, and does not press the button again
    assert text(page, "count") == "3 of your 6 are answered."
    show(page, check, "3 of your 6 are answered.")
    assert text(page, "label") == table["label"][3]
    assert page.execute_script(LOADED) == pytest.approx(
        soundfile.info(check / table["sound"][3]).duration, abs=0.01
    )
    picture, window = (
        page.find_element(By.CSS_SELECTOR, f"#picture {part}").rect
        for part in ("img", ".window")
    )
    assert picture["x"] < window["x"] < picture["x"] + picture["width"]
    name = f"{tmp_path.name}-3-answers.csv"
    file = saved(page, tmp_path, name)
    assert f"Saved 3 of 6 answers as {name} " in text(page, "note")
    assert text(page, "command") == f"make predict CHECKED='~/Downloads/{name}'"
    assert page.execute_script("return document.documentElement.scrollWidth") <= 390
    answers = read_checked(file)["correct"]
    assert answers.tolist()[:3] == [1, 0, 1] and answers.isna().sum() == 3
    unanswered = pd.read_csv(file).drop(columns="correct")
    pd.testing.assert_frame_equal(unanswered, table.drop(columns="correct"))


def test_a_larger_check_shows_the_answers_of_a_smaller_one(
    found, check, page, tmp_path
):
    (check / TABLE).unlink()  # its answers are only in the browser
    smaller = write(found, tmp_path, 2)
    page.get((smaller / "index.html").as_uri())
    press(page, "n", "y")
    larger = write(found, tmp_path)
    show(page, larger, "2 of your 6 are answered.")
    press(page, "u", "s")  # the last one is answered anew
    assert text(page, "count") == "2 of your 6 are answered."
    table = pd.read_csv(larger / TABLE)
    table["correct"] = ["no", "yes", "", "yes", "", ""]  # corrected by hand
    table.to_csv(larger / TABLE, index=False)
    write(found, tmp_path)
    show(page, tmp_path / "check-2", "3 of your 6 are answered.")
    press(page, "n", "n", "n")
    assert text(page, "note") == "All have an answer: save the table, then type:"
    name = f"{tmp_path.name}-6-answers.csv"
    assert text(page, "command") == f"make predict CHECKED='~/Downloads/{name}'"
    file = saved(page, tmp_path, name)
    assert read_checked(file)["correct"].tolist() == [0, 1, 0, 1, 0, 0]


def test_only_the_mark_is_played_and_that_of_the_surest_of_the_class(check, page):
    page.get((check / "index.html").as_uri())
    table = pd.read_csv(check / TABLE)
    surest = table.loc[table[table["label"] == "dog"]["score"].idxmax()]
    reference = page.find_element(By.ID, "reference")
    for place, row in enumerate(table.to_dict("records")):
        for key, sound in (("m", row), ("c", surest)):
            if row["label"] == "dog" and place:
                press(page, key)
                source, end = page.execute_script(PLAYED)
                assert source.endswith(quote(sound["sound"]))
                assert reference.is_displayed() == (key == "c")
                if key == "c":
                    named = f"highest score: {surest['recording']}"
                    assert reference.text.endswith(named)
                marked = sound["end"] - max(0, sound["start"] - 1)
                assert marked <= end < marked + 0.2
        press(page, "y")
