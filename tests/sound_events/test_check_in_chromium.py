"""The page of detections to check in a real browser."""

import time

import numpy as np
import pandas as pd
import pytest
import soundfile
from selenium.webdriver.common.by import By

from featurestack.sound_events.check import TABLE, read_checked
from tests.sound_events.test_check import NAMES, RATE, found, write

__all__ = ["found"]  # the fixture
pytestmark = pytest.mark.slow

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


def test_answers_are_kept_and_saved_as_the_table(check, start_chromium, tmp_path):
    page = start_chromium(**{"goog:loggingPrefs": {"browser": "ALL"}})

    try:
        saved = {"behavior": "allow", "downloadPath": str(tmp_path)}
        page.execute_cdp_cmd("Page.setDownloadBehavior", saved)
        narrow = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", narrow)
        page.get((check / "index.html").as_uri())
        table = pd.read_csv(check / TABLE)
        assert text(page, "label") == table["label"][0]
        assert text(page, "count") == "0 of 6"
        for key in ("y", "n", "u", "s"):
            page.find_element(By.TAG_NAME, "body").send_keys(key)
        page.find_element(By.ID, "yes").click()
        assert text(page, "count") == "3 of 6"
        page.refresh()
        assert text(page, "count") == "3 of 6"
        assert text(page, "label") == table["label"][3]
        assert page.execute_script(LOADED) == pytest.approx(
            soundfile.info(check / table["sound"][3]).duration, abs=0.01
        )
        picture, window = (
            page.find_element(By.ID, name).rect for name in ("picture", "window")
        )
        assert picture["x"] < window["x"] < picture["x"] + picture["width"]
        assert page.execute_script("return document.documentElement.scrollWidth") <= 390
        page.find_element(By.ID, "save").click()
        file = tmp_path / TABLE
        for _ in range(50):
            if file.is_file():
                break
            time.sleep(0.1)
        assert page.get_log("browser") == []
    finally:
        page.quit()
    answers = read_checked(file)["correct"]
    assert answers.tolist()[:3] == [1, 0, 1] and answers.isna().sum() == 3
    unanswered = pd.read_csv(file).drop(columns="correct")
    pd.testing.assert_frame_equal(unanswered, table.drop(columns="correct"))
