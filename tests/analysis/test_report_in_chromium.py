"""The page in a real browser: nothing leaves it, nothing fails, and what it offers
works.
"""

import json
from importlib.resources import files

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from featurestack.base.quantities import percent
from tests.cases import data

pytestmark = pytest.mark.slow

QUIET = data(__file__)["QUIET"]
VIOLATIONS = """const done = arguments[0];
axe.run(document).then((found) => done(found.violations.map(
    ({id, nodes: [node]}) =>
        `${id}: ${node.html.slice(0, 150)} ${node.failureSummary}`)));"""


@pytest.fixture(scope="module")
def browser(start_chromium):
    chrome = start_chromium(
        *QUIET, **{"goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
    )
    yield chrome
    chrome.quit()


@pytest.fixture
def page(browser, report_page):
    browser.get(report_page.as_uri())
    return browser


def texts(page, selector):
    return [element.text for element in page.find_elements(By.CSS_SELECTOR, selector)]


def click(page, element):
    """Click the element in the middle of the window, where the sticky bar does not
    cover it.
    """
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def test_a_table_sorts_and_nothing_fails_or_leaves_the_page(page):
    click(page, page.find_element(By.CSS_SELECTOR, "#matrix td.miss"))
    head = page.find_element(
        By.XPATH, "//table[@id='comparison-table']//button[text()='Accuracy %']"
    )
    for _ in range(2):  # descending, as it was, then ascending
        click(page, head)
    assert texts(page, "#comparison-table td.name b") == ["mel+rms", "mel"]
    assert page.get_log("browser") == []
    addresses = []
    for entry in page.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        sent = message["params"]
        # Chromium's own first page sends requests too
        if message["method"] == "Network.requestWillBeSent" and not sent[
            "documentURL"
        ].startswith("chrome"):
            addresses.append(sent["request"]["url"])
    inside = ("file:", "data:", "blob:")
    assert addresses and all(address.startswith(inside) for address in addresses)


def test_a_cell_of_the_first_screen_shows_its_clips(page):
    choice = Select(page.find_element(By.ID, "run-choice"))
    choice.select_by_visible_text("mel+rms-resnet18")
    cell = page.find_element(By.CSS_SELECTOR, "#small-matrix td.error[data-open]")
    click(page, cell)
    assert choice.first_selected_option.text == "mel-resnet18"
    small = texts(page, "#small-matrix tbody td")
    assert texts(page, "#matrix td[data-actual]") == small
    chosen = page.find_element(By.ID, "chosen").text
    error, _, count = chosen.partition(": ")
    cards = page.find_elements(By.CSS_SELECTOR, "#clips .clip")
    assert len(cards) == int(count.split()[0]) == int(cell.text)
    assert all(error.replace("predicted as", "→") in card.text for card in cards)
    assert all(card.find_elements(By.CSS_SELECTOR, ".images img") for card in cards)


def test_the_matrix_is_worked_by_keys_alone(page):
    cell = "#matrix td[data-actual='0'][data-predicted='0']"
    first = page.find_element(By.CSS_SELECTOR, cell)
    assert first.get_attribute("tabindex") == "0"
    page.execute_script("arguments[0].focus()", first)
    page.switch_to.active_element.send_keys(Keys.ARROW_DOWN, Keys.ARROW_RIGHT)
    here = page.switch_to.active_element
    names = "data-actual", "data-predicted"
    assert [here.get_attribute(name) for name in names] == ["1", "1"]
    here.send_keys(Keys.ENTER)
    assert " predicted as " in page.find_element(By.ID, "chosen").text
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert "this run got wrong" in page.find_element(By.ID, "chosen").text


def test_percentages_are_of_the_row_and_the_page_without_a_script_has_the_counts(page):
    # The layout can be late if the processor is busy.
    WebDriverWait(page, 10).until(lambda _: any(texts(page, "#matrix td[data-actual]")))
    counts = texts(page, "#matrix td[data-actual]")
    assert sum(int(text) for text in counts if text) == 40
    page.find_element(By.ID, "rates").click()
    shares = [percent(int(text) / 10, 0) if text else "" for text in counts]
    assert texts(page, "#matrix td[data-actual]") == shares
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    page.refresh()
    assert texts(page, "#matrix tbody td:not(.axis)") == counts
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_embedded_audio_plays(page):
    audio = page.find_element(By.CSS_SELECTOR, "#clips audio[src^='data:audio/mpeg']")
    page.execute_script("arguments[0].play()", audio)
    WebDriverWait(page, 10).until(
        lambda _: page.execute_script("return arguments[0].currentTime > 0", audio)
    )
    seconds = page.execute_script("return arguments[0].duration", audio)
    assert seconds == pytest.approx(1, abs=0.2)
    assert len(page.find_elements(By.CSS_SELECTOR, ".player audio")) == 2


def test_no_width_scrolls_sideways_and_only_what_scrolls_is_a_tab_stop(page):
    for width in (1280, 390):
        size = {"width": width, "height": 800, "deviceScaleFactor": 1}
        size["mobile"] = width < 600
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        widest = page.execute_script("return document.documentElement.scrollWidth")
        assert widest <= width
    scrolling = By.CSS_SELECTOR, ".scroll[tabindex]"
    assert page.find_elements(*scrolling) == []
    page.execute_script("document.getElementById('more-columns').click()")
    WebDriverWait(page, 10).until(lambda _: page.find_elements(*scrolling))
    for box in page.find_elements(*scrolling):
        assert page.execute_script(
            "return arguments[0].scrollWidth > arguments[0].clientWidth + 1", box
        )
        assert box.get_attribute("aria-label")
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(page, scheme):
    preferred = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", preferred)
    page.execute_script(
        "for (const box of document.querySelectorAll('details')) box.open = true"
    )
    page.execute_script(files("axe_core_python").joinpath("axe.min.js").read_text())
    page.set_script_timeout(60)
    assert page.execute_async_script(VIOLATIONS) == []
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
