"""The microphone's button in a real browser, whose microphone is a test tone."""

import base64
import shutil
from functools import partial
from http.server import SimpleHTTPRequestHandler

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from featurestack.rooms.course.microphone import Microphone
from tests.golden.commands import ROOT
from tests.processes import serving

pytestmark = pytest.mark.slow
SECONDS = 1.0
PAGE = """<!doctype html><meta charset="utf-8"><body><div id="button"></div>
<script type="module">
import widget from "./microphone.js";
const values = { seconds: SECONDS };
window.saved = null;
const model = {
  get: (name) => values[name],
  set: (name, value) => { values[name] = value; },
  save_changes: () => {
    const bytes = new Uint8Array(values.samples.buffer);
    let text = "";
    for (const byte of bytes) text += String.fromCharCode(byte);
    window.saved = { rate: values.sample_rate, samples: btoa(text) };
  },
};
widget.render({ model, el: document.getElementById("button") });
</script></body>""".replace("SECONDS", str(SECONDS))


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A page with the button, from this machine: only such pages and https may use a
    microphone.
    """
    folder = tmp_path_factory.mktemp("page")
    shutil.copy(ROOT / "rooms" / "course" / "microphone.js", folder)
    (folder / "index.html").write_text(PAGE, encoding="utf-8")
    with serving(partial(SimpleHTTPRequestHandler, directory=folder)) as address:
        yield address


@pytest.fixture(scope="module")
def browser(start_chromium):
    chrome = start_chromium(
        "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"
    )
    yield chrome
    chrome.quit()


def test_a_recording_reaches_python(browser, address):
    browser.get(address)
    browser.find_element(By.TAG_NAME, "button").click()
    saved = WebDriverWait(browser, 60).until(
        lambda page: page.execute_script("return window.saved")
    )
    microphone = Microphone(seconds=SECONDS)
    microphone.sample_rate = saved["rate"]
    microphone.samples = base64.b64decode(saved["samples"])
    clip = microphone.clip()
    assert clip is not None
    assert 0.2 * SECONDS < len(clip.y) / clip.sample_rate < 2 * SECONDS
    # the test tone, not silence
    assert np.isfinite(clip.y).all() and np.abs(clip.y).max() > 0.01
    WebDriverWait(browser, 10).until(
        lambda page: "run the next cell" in page.find_element(By.ID, "button").text
    )
