"""The page in a real browser: nothing leaves it, nothing fails, and what it offers works."""

from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import pandas as pd
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from analysis.page import source
from commandline.terminal import percent

QUIET = (
    *("--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--force-prefers-reduced-motion", "--autoplay-policy=no-user-gesture-required"),
    "--window-size=1280,900",
)
OWN_REQUESTS = ("file:", "data:", "chrome:", "blob:")


@pytest.fixture(scope="module")
def browser(start_chromium: Callable[..., webdriver.Chrome]) -> Iterator[webdriver.Chrome]:
    chrome = start_chromium(*QUIET, **{"goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}})
    yield chrome
    chrome.quit()


@pytest.fixture
def page(browser: webdriver.Chrome, reported: Path) -> webdriver.Chrome:
    browser.get(reported.as_uri())
    return browser


def texts(page: webdriver.Chrome, selector: str) -> list[str]:
    return [element.text for element in page.find_elements(By.CSS_SELECTOR, selector)]


def names(page: webdriver.Chrome) -> list[str]:
    return texts(page, "#comparison-table tbody tr:not([hidden]) td.name b")


def cell(page: webdriver.Chrome, actual: int, predicted: int) -> WebElement:
    return page.find_element(
        By.CSS_SELECTOR, f'#matrix td[data-actual="{actual}"][data-predicted="{predicted}"]'
    )


def filled(page: webdriver.Chrome) -> WebElement:
    """A cell off the diagonal that has clips."""
    cells = page.find_elements(By.CSS_SELECTOR, "#matrix td.some")
    return next(
        one for one in cells if one.get_attribute("data-actual") != one.get_attribute("data-predicted")
    )


def click(page: webdriver.Chrome, element: WebElement) -> None:
    """In the middle of the window, where the sticky bar covers nothing."""
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def test_nothing_fails_and_nothing_leaves_the_page(page: webdriver.Chrome) -> None:
    filled(page).click()
    assert page.get_log("browser") == []
    sent = [
        entry["message"]
        for entry in page.get_log("performance")
        if "Network.requestWillBeSent" in entry["message"]
    ]
    addresses = [text.split('"url":"')[1].split('"')[0] for text in sent if '"url":"' in text]
    assert addresses
    assert all(address.startswith(OWN_REQUESTS) for address in addresses)


def test_class_names_are_words_and_never_markup(page: webdriver.Chrome) -> None:
    heads = [head.get_attribute("title") for head in page.find_elements(By.CSS_SELECTOR, "#matrix thead th")]
    assert set(heads) == {"<script>alert(1)</script>", "犬", "rain & wind", "$x$"}


def test_a_column_sorts_up_and_down_and_the_filter_hides_rows(page: webdriver.Chrome) -> None:
    assert names(page) == ["mel", "mel+rms"]
    head = page.find_element(By.XPATH, "//table[@id='comparison-table']//button[text()='Accuracy %']")
    head.click()
    assert names(page) == ["mel", "mel+rms"]
    head.click()
    assert names(page) == ["mel+rms", "mel"]
    box = page.find_element(By.CSS_SELECTOR, "input[data-filter]")
    box.send_keys("mel+rms")
    assert names(page) == ["mel+rms"]
    assert page.find_element(By.ID, "comparison-table-status").text == "1 of 2 rows"


def test_a_long_table_shows_its_first_rows_until_asked_for_all(
    browser: webdriver.Chrome, tmp_path: Path
) -> None:
    rows = "".join(f"<tr><td data-value='{number}'>{number}</td></tr>" for number in range(20))
    head = "<thead><tr><th><button>N</button></th></tr></thead>"
    table = f"<table id='t' data-sortable data-first='12'>{head}{rows}</table>"
    tools = (
        "<input data-filter='t'><span id='t-status'></span><button id='all' data-all='t' hidden>all</button>"
    )
    (tmp_path / "long.html").write_text(
        f"<style>{source('style.css')}</style>{table}{tools}<script>{source('tables.js')}</script>"
    )
    browser.get((tmp_path / "long.html").as_uri())

    def shown() -> list[int]:
        return [int(text) for text in texts(browser, "#t tbody td") if text]

    assert shown() == list(range(12))
    browser.find_element(By.CSS_SELECTOR, "th button").click()
    assert shown() == list(range(19, 7, -1))
    box = browser.find_element(By.CSS_SELECTOR, "input")
    box.send_keys("0")
    assert shown() == [10, 0]
    box.send_keys(Keys.BACKSPACE)
    browser.find_element(By.ID, "all").click()
    assert len(shown()) == 20 and not browser.find_element(By.ID, "all").is_displayed()


def test_a_cell_shows_its_clips_as_the_tables_count_them(page: webdriver.Chrome, reported: Path) -> None:
    one = filled(page)
    actual, predicted = int(one.get_attribute("data-actual")), int(one.get_attribute("data-predicted"))
    classes = [
        head.get_attribute("title") for head in page.find_elements(By.CSS_SELECTOR, "#matrix thead th")
    ]
    confused = pd.read_csv(reported.parent / "tables" / "mel-resnet18.confused.csv")
    row = confused[
        (confused["true"] == classes[actual]) & (confused["predicted"] == classes[predicted])
    ].iloc[0]
    one.click()
    assert one.get_attribute("aria-selected") == "true"
    assert page.find_element(By.ID, "chosen").text.startswith(
        f"{classes[actual]} predicted as {classes[predicted]}: {row['count']} clip"
    )
    cards = page.find_elements(By.CSS_SELECTOR, "#clips .clip")
    assert len(cards) == row["count"]
    assert all(f"{classes[actual]} → {classes[predicted]}" in card.text for card in cards)
    assert all(card.find_elements(By.CSS_SELECTOR, ".images img") for card in cards)
    assert all("1 other run" in card.find_element(By.CSS_SELECTOR, ".others summary").text for card in cards)


def test_the_matrix_is_worked_by_keys_alone(page: webdriver.Chrome) -> None:
    first = cell(page, 0, 0)
    assert first.get_attribute("tabindex") == "0"
    page.execute_script("arguments[0].focus()", first)
    page.switch_to.active_element.send_keys(Keys.ARROW_DOWN, Keys.ARROW_RIGHT)
    here = page.switch_to.active_element
    assert (here.get_attribute("data-actual"), here.get_attribute("data-predicted")) == ("1", "1")
    here.send_keys(Keys.ENTER)
    assert " predicted as " in page.find_element(By.ID, "chosen").text
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert "this run got wrong" in page.find_element(By.ID, "chosen").text


def test_another_run_and_percentages_change_the_matrix(page: webdriver.Chrome) -> None:
    counts = texts(page, "#matrix td[data-actual]")
    assert sum(int(text) for text in counts if text) == 40
    page.find_element(By.ID, "rates").click()
    rates = [percent(int(text) / 10, 0) if text else "" for text in counts]
    assert texts(page, "#matrix td[data-actual]") == rates != counts
    Select(page.find_element(By.ID, "run-choice")).select_by_visible_text("mel+rms-resnet18")
    assert texts(page, "#matrix td[data-actual]") != counts


def test_embedded_audio_plays(page: webdriver.Chrome) -> None:
    audio = page.find_element(By.CSS_SELECTOR, "#clips audio[src^='data:audio/mpeg']")
    page.execute_script("arguments[0].play()", audio)
    WebDriverWait(page, 10).until(lambda _: page.execute_script("return arguments[0].currentTime > 0", audio))
    assert page.execute_script("return arguments[0].duration", audio) == pytest.approx(1, abs=0.2)


def test_the_first_screen_is_read_from_the_headline_to_the_command(page: webdriver.Chrome) -> None:
    """As a reader would: the answer, how sure, the plot, an error and its clips, why, what to do next."""
    assert texts(page, "h1") == [
        "Best features so far: mel, 80.0 % accuracy, no clear difference from mel+rms yet"
    ]
    assert [heading.partition("?")[0] for heading in texts(page, ".lead")] == [
        "How sure",
        "Why combine",
        "Enough data",
    ]
    assert texts(page, ".eyebrow span")[:3] == ["· 40 clips", "· 4 classes", "· 5-fold cross-validation"]
    rows = page.find_elements(By.CSS_SELECTOR, ".forest-row")
    assert [row.find_element(By.CSS_SELECTOR, "a").text for row in rows] == ["mel", "mel+rms"]
    described = [row.find_element(By.CSS_SELECTOR, "svg").get_attribute("aria-label") for row in rows]
    assert all("not clearly different from the best" in words for words in described)
    error = page.find_element(By.CSS_SELECTOR, "#small-matrix td.error[data-open]")
    click(page, error)
    assert page.find_element(By.ID, "chosen").text.startswith(error.get_attribute("title").partition(":")[0])
    cards = page.find_elements(By.CSS_SELECTOR, "#clips .clip")
    assert len(cards) == int(error.text)
    assert len(page.find_elements(By.CSS_SELECTOR, ".player audio")) == 2
    how = page.find_element(By.ID, "how")
    assert not how.get_attribute("open")
    click(page, how.find_element(By.TAG_NAME, "summary"))
    assert "80.0 % accuracy on 40 test clips" in how.text
    click(page, page.find_element(By.ID, "copy"))
    copied = page.execute_script("return getSelection().toString()")
    assert copied.startswith("python -m train explain mel-resnet18 ")


def test_a_player_whose_file_is_not_there_says_where_it_was(page: webdriver.Chrome) -> None:
    page.execute_script(
        "const player = document.querySelector('.player audio');"
        "player.src = '../sounds/a%20dog.wav'; player.load(); player.play().catch(() => {});"
    )
    note = WebDriverWait(page, 20).until(
        lambda page: page.find_element(By.CSS_SELECTOR, ".player audio + .no-audio")
    )
    assert note.text.startswith("no file ../sounds/a dog.wav: it was there, seen from this page’s folder")
    page.get_log("browser")  # that the file was not found


def test_the_first_matrix_shows_the_first_run_also_after_another_was_chosen(page: webdriver.Chrome) -> None:
    Select(page.find_element(By.ID, "run-choice")).select_by_visible_text("mel+rms-resnet18")
    click(page, page.find_element(By.CSS_SELECTOR, "#small-matrix td.error[data-open]"))
    assert Select(page.find_element(By.ID, "run-choice")).first_selected_option.text == "mel-resnet18"
    small = texts(page, "#small-matrix tbody td")
    assert texts(page, "#matrix td[data-actual]") == small


@pytest.mark.parametrize("width", [1280, 390])
def test_no_width_scrolls_sideways(page: webdriver.Chrome, width: int) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


VIOLATIONS = """const done = arguments[0];
axe.run(document).then((found) => done(found.violations.map(
    (one) => `${one.id}: ${one.nodes[0].html.slice(0, 150)} ${one.nodes[0].failureSummary}`)));"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(page: webdriver.Chrome, scheme: str) -> None:
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    page.execute_script("for (const box of document.querySelectorAll('details')) box.open = true")
    page.execute_script(files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
    page.set_script_timeout(60)
    assert page.execute_async_script(VIOLATIONS) == []
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_only_what_scrolls_is_a_tab_stop(page: webdriver.Chrome) -> None:
    def stops() -> list[WebElement]:
        return page.find_elements(By.CSS_SELECTOR, ".scroll[tabindex]")

    def scrolls(box: WebElement) -> bool:
        return page.execute_script("return arguments[0].scrollWidth > arguments[0].clientWidth + 1", box)

    assert all(scrolls(box) for box in stops())
    size = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    WebDriverWait(page, 10).until(lambda _: stops())
    assert all(scrolls(box) and box.get_attribute("aria-label") for box in stops())
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_paper_shows_what_is_folded_and_the_screen_folds_it_again(page: webdriver.Chrome) -> None:
    def folded() -> list[WebElement]:
        return page.find_elements(By.CSS_SELECTOR, "details.more:not([open]):not(details.run *)")

    before = len(folded())
    assert before > 0
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert folded() == []
    assert not page.find_elements(By.CSS_SELECTOR, ".gallery details[open]")  # pages of them otherwise
    page.execute_script("dispatchEvent(new Event('afterprint'))")
    assert len(folded()) == before


def test_without_a_script_the_matrix_stands_in_the_page(page: webdriver.Chrome) -> None:
    drawn = texts(page, "#matrix tbody td:not(.axis)")
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    page.refresh()
    try:
        assert texts(page, "#matrix tbody td:not(.axis)") == drawn != []
        assert "need JavaScript" in page.find_element(By.CSS_SELECTOR, "noscript").text
        assert not page.find_element(By.ID, "gallery-tools").is_displayed()
        assert texts(page, "#matrix td.axis") == ["", "Predicted", "Actual"]
    finally:
        page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_other_columns_stand_behind_more_columns(page: webdriver.Chrome) -> None:
    def heads() -> list[str]:
        return [text for text in texts(page, "#comparison-table th button") if text]

    few = ["Rank", "Features", "Model", "Accuracy %", "95 % interval", "Seeds", "Folds", "Epochs", "Verdict"]
    assert heads() == few
    page.find_element(By.ID, "more-columns").click()
    assert heads()[len(few) :][:3] == ["Macro F1", "Top 3 %", "Log loss"]
    page.find_element(By.ID, "more-columns").click()


def test_what_is_better_lower_sorts_upwards_first(page: webdriver.Chrome) -> None:
    def sorted_by(name: str) -> str:
        head = page.find_element(By.XPATH, f"//table[@id='comparison-table']//th[button[text()='{name}']]")
        head.find_element(By.TAG_NAME, "button").click()
        return head.get_attribute("aria-sort")

    assert [sorted_by(name) for name in ("Rank", "Epochs", "Folds")] == [
        "ascending",
        "ascending",
        "descending",
    ]


def test_the_gallery_shows_a_clip_of_each_class_in_any_feature_to_play(page: webdriver.Chrome) -> None:
    def shown() -> list[str | None]:
        drawn = page.find_elements(By.CSS_SELECTOR, ".gallery-clip [data-shown] .drawn")
        return [one.get_attribute("alt") or one.get_attribute("aria-label") for one in drawn]

    labels = sorted(["<script>alert(1)</script>", "犬", "rain & wind", "$x$"])
    assert shown() == [f"mel of {label}" for label in labels]
    Select(page.find_element(By.ID, "gallery-feature")).select_by_visible_text("rms")
    assert shown() == [f"rms of {label}" for label in labels]
    sources = [one.get_attribute("src") for one in page.find_elements(By.CSS_SELECTOR, ".gallery-clip audio")]
    assert sources and all(str(source).startswith(("data:audio/mpeg;base64,", "file:")) for source in sources)


def test_two_clips_of_the_gallery_stand_side_by_side_in_every_feature(page: webdriver.Chrome) -> None:
    pair = page.find_element(By.ID, "gallery-pair")
    page.execute_script("arguments[0].scrollIntoView()", pair)
    WebDriverWait(page, 10).until(lambda _: pair.find_elements(By.CSS_SELECTOR, ".pair-rows li"))
    left, right = (Select(one) for one in pair.find_elements(By.TAG_NAME, "select"))
    assert left.first_selected_option.text != right.first_selected_option.text
    left.select_by_visible_text("$x$")
    right.select_by_visible_text("rain & wind")
    rows = pair.find_elements(By.CSS_SELECTOR, ".pair-rows li")
    assert len(rows) == 2 and [row.text.split("\n")[0] for row in rows] == ["mel", "rms"]
    images = pair.find_elements(By.CSS_SELECTOR, ".pair-rows img")
    assert [one.get_attribute("alt") for one in images] == ["mel of $x$", "mel of rain & wind"]
