"""The report in a real browser, on a desk, on a phone and on paper."""

import base64
import shutil
import subprocess
import time

import pytest

from reports.pdf import write_pdf
from reports.report import write_report
from tests.reports.case_files import add_pictures
from tests.reports.synthetic import many_frames, write_evaluation

pytestmark = pytest.mark.slow
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
)
PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
DESK = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM or not DRIVER:
        pytest.skip("needs chromium and chromedriver (Debian: apt install chromium chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def cases_report(tmp_path_factory):
    """report.html of 36 frames of 9 patients, with a picture of each."""
    folder, frames = tmp_path_factory.mktemp("cases"), many_frames(9)
    return write_report(add_pictures(write_evaluation(folder, frames), frames))


def show(browser, report, screen, address=""):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get("about:blank")  # or an address that differs behind the # alone would load nothing
    browser.get(report.as_uri() + address)


@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
def test_every_picture_shows_and_nothing_sticks_out(browser, full_report, screen):
    show(browser, full_report, screen)
    pictures = browser.execute_script(
        "return [...document.images].map(i => [i.alt, i.naturalWidth, i.getBoundingClientRect().width])"
    )
    assert len(pictures) == 8 + 3
    for alt, natural, shown in pictures:
        assert natural > 0, alt
        assert 250 < shown <= screen["width"], alt
    whole, shown, scrolled = browser.execute_script(
        "const page = document.documentElement; window.scrollTo(9999, 0);"
        "return [page.scrollWidth, page.clientWidth, window.scrollX]"
    )
    assert whole == shown <= screen["width"]  # less by a scroll bar on the desk
    assert scrolled == 0
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("report", ["full_report", "located_report"])
def test_wide_tables_scroll_inside_their_box(browser, report, request):
    show(browser, request.getfixturevalue(report), PHONE)
    boxes = browser.execute_script(
        "return [...document.querySelectorAll('.scroll')].map(b => [b.ariaLabel, b.clientWidth, b.scrollWidth])"
    )
    assert len(boxes) >= 12
    assert all(shown <= PHONE["width"] for _, shown, _ in boxes)
    assert any(whole > shown for _, shown, whole in boxes)
    captions = browser.execute_script(
        "return [...document.querySelectorAll('caption span')].map(c => c.getBoundingClientRect().right)"
    )
    assert max(captions) <= PHONE["width"]


def test_it_reads_without_javascript(browser, full_report):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        show(browser, full_report, DESK)
        assert "evaluation report" in browser.title
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def names(browser):
    """The cases that the table shows, from top to bottom."""
    return browser.execute_script(
        "return [...document.querySelectorAll('#all-cases tbody tr')].filter(r => r.checkVisibility())"
        ".map(r => r.cells[0].textContent)"
    )


def column(browser, name):
    """What a column shows, from top to bottom."""
    return browser.execute_script(
        "const headings = [...document.querySelectorAll('#all-cases thead th')];"
        "const at = headings.findIndex(h => h.textContent === arguments[0]);"
        "return [...document.querySelectorAll('#all-cases tbody tr')].map(r => r.cells[at].textContent)",
        name,
    )


def press(browser, *keys):
    browser.switch_to.active_element.send_keys(*keys)


def focused(browser):
    return browser.execute_script("return document.activeElement.textContent")


def opened(browser):
    """The case that is open; None where none is."""
    return browser.execute_script(
        "return document.getElementById('case').open ? document.getElementById('case-title').textContent : null"
    )


def displayed(browser, selector):
    return browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map(e => getComputedStyle(e).display !== 'none')", selector
    )


def test_cases_are_sorted_by_their_headings(browser, cases_report):
    show(browser, cases_report, DESK)
    worst_first = names(browser)
    assert len(worst_first) == 36
    assert [status.startswith("measured") for status in column(browser, "status")[:4]] == [False, False, False, True]
    heading = browser.find_element("xpath", "//table[@id='all-cases']//th[.='diameter, mm']")
    heading.find_element("tag name", "button").send_keys("\ue007")  # Enter
    assert heading.get_attribute("aria-sort") == "ascending"
    shown = column(browser, "diameter, mm")
    measured = [float(text) for text in shown if text != "–"]
    assert measured == sorted(measured)
    assert shown[len(measured) :] == ["–"] * 2  # what has no value is last
    heading.find_element("tag name", "button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    shown = column(browser, "diameter, mm")
    assert [float(text) for text in shown[: len(measured)]] == measured[::-1]
    assert shown[len(measured) :] == ["–"] * 2
    browser.find_element("id", "filter-reset").click()
    assert names(browser) == worst_first
    assert heading.get_attribute("aria-sort") == "none"
    assert browser.get_log("browser") == []


def test_cases_are_filtered_and_counted(browser, cases_report):
    show(browser, cases_report, DESK)
    count = browser.find_element("id", "cases-shown")
    assert count.text == "36 of 36 cases shown"
    assert count.get_attribute("role") == "status"
    text = browser.find_element("id", "filter-text")
    text.send_keys("PATIENT0002 a4c")
    assert sorted(names(browser)) == ["patient0002_4CH_ED", "patient0002_4CH_ES"]
    assert count.text == "2 of 36 cases shown"
    for select, option in (("filter-phase", "ES"), ("filter-kind", "measured")):
        browser.find_element("xpath", f"//select[@id='{select}']/option[starts-with(., '{option}')]").click()
    assert names(browser) == ["patient0002_4CH_ES"]
    browser.find_element("id", "filter-reset").click()
    browser.find_element("xpath", "//select[@id='filter-kind']/option[starts-with(., 'failed')]").click()
    assert sorted(names(browser)) == ["patient0004_2CH_ED", "patient0008_4CH_ES", "patient0009_2CH_ED"]
    text.send_keys("nobody")
    assert names(browser) == []
    assert count.text == "0 of 36 cases shown"
    assert browser.get_log("browser") == []


def test_a_case_opens_by_keyboard_and_gives_the_focus_back(browser, cases_report):
    show(browser, cases_report, DESK)
    order = names(browser)
    browser.execute_script("document.querySelector('#all-cases .open').focus()")
    press(browser, "\ue015", "\ue015", "\ue015")  # down to the fourth, the worst that is measured
    assert focused(browser) == order[3]
    press(browser, "\ue007")
    assert opened(browser) == order[3]
    assert browser.current_url.endswith(f"#case={order[3]}")
    assert browser.find_element("id", "case-place").text == "4 of 36"
    image = browser.execute_script(
        "const i = document.querySelector('#case-picture image'); const {width, height} = i.getBoundingClientRect();"
        "return [i.getAttribute('href').slice(0, 16), width, height]"
    )
    assert image[0] == "data:image/webp;"
    assert image[2] / image[1] == pytest.approx(180 * 0.8 / (150 * 0.6), rel=0.01)  # square millimetres
    assert "hinge error, mean" in browser.find_element("id", "case-figures").text
    press(browser, "\ue014")  # right
    assert opened(browser) == order[4]
    press(browser, "\ue012", "\ue012", "\ue012", "\ue012", "\ue012", "\ue012")  # left, beyond the first
    assert opened(browser) == order[0]
    assert browser.find_element("id", "case-previous").get_attribute("aria-disabled") == "true"
    press(browser, "\ue00c")  # Escape
    assert opened(browser) is None
    deadline = time.monotonic() + 5  # a dialog says a little later that it has closed
    while focused(browser) != order[0] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert focused(browser) == order[0]
    assert browser.get_log("browser") == []


def test_layers_of_a_case_are_switched(browser, cases_report):
    show(browser, cases_report, DESK, "#case=patient0002_4CH_ED")
    assert opened(browser) == "patient0002_4CH_ED"
    there = {
        "prediction": ".outline.of-prediction:not(.rim)",
        "reference": ".outline.of-reference:not(.rim)",
        "contact": ".contact.of-contact",
        "points": ".disc.of-points",
        "diameter": ".length.of-diameter",
        "names": ".name.of-names",
    }
    for layer, selector in there.items():
        shapes = f"#case-picture {selector}"
        assert displayed(browser, shapes), layer
        assert all(displayed(browser, shapes)), layer
        browser.find_element("css selector", f"#case-layers input[value={layer}]").send_keys(" ")
        assert not any(displayed(browser, shapes)), layer
    browser.find_element("id", "case-next").click()
    assert not any(displayed(browser, "#case-picture .outline"))  # the next case has the same layers
    browser.find_element("css selector", "#case-layers input[value=reference]").click()
    assert all(displayed(browser, "#case-picture .outline.of-reference:not(.rim)"))
    dashes = browser.execute_script(
        "return ['.of-prediction', '.of-reference'].map(s => getComputedStyle(document.querySelector("
        "'#case-picture .outline:not(.rim)' + s)).strokeDasharray)"
    )
    assert dashes[0] == "none" != dashes[1]  # told apart without colour
    assert browser.get_log("browser") == []


def test_addresses_of_cases_open_them_and_unknown_ones_are_said(browser, cases_report):
    show(browser, cases_report, DESK)
    browser.execute_script("location.hash = '#case=patient0003_2CH_ES'")
    assert opened(browser) == "patient0003_2CH_ES"
    browser.find_element("id", "case-close").click()
    assert opened(browser) is None
    assert browser.current_url.endswith("#cases")
    show(browser, cases_report, DESK, "#case=nobody%")
    assert opened(browser) is None
    assert browser.find_element("id", "cases-shown").text == "There is no case nobody% in this report."
    assert browser.get_log("browser") == []


def test_a_case_fits_on_a_phone(browser, cases_report):
    show(browser, cases_report, PHONE, "#case=patient0002_4CH_ED")
    rights = browser.execute_script(
        "return [...document.querySelectorAll('#case *')].filter(e => e.checkVisibility() && !e.closest('svg'))"
        ".map(e => [e.outerHTML.slice(0, 60), e.getBoundingClientRect().right])"
    )
    assert len(rights) > 40
    assert [item for item in rights if item[1] > PHONE["width"] + 0.5] == []
    targets = browser.execute_script(
        "return [...document.querySelectorAll('#case button, #case-layers label')].map(e => e.offsetHeight)"
    )
    assert min(targets) >= 24  # WCAG 2.2, target size
    assert browser.get_log("browser") == []


def test_nothing_is_fetched_and_no_other_script_runs(browser, cases_report):
    show(browser, cases_report, DESK)
    browser.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.ran = true'; document.body.append(s);"
        "const i = new Image(); i.src = 'http://localhost:9/x.png';"
    )
    assert browser.execute_script("return window.ran ?? false") is False
    assert len(said := browser.get_log("browser")) == 2
    assert all("Content Security Policy" in entry["message"] for entry in said)


def test_every_case_is_there_without_javascript_and_on_paper(browser, cases_report):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        show(browser, cases_report, DESK)
        rows = browser.find_elements("css selector", "#all-cases tbody tr")
        assert len(rows) == 36
        assert rows[0].is_displayed()
        assert not browser.find_element("css selector", ".filters").is_displayed()
        assert "need JavaScript" in browser.find_element("css selector", ".cases noscript").text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    pdf = write_pdf(cases_report)
    if not shutil.which("pdftotext"):
        pytest.skip("needs pdftotext (Debian: apt install poppler-utils)")
    text = subprocess.run(["pdftotext", "-layout", pdf, "-"], capture_output=True, text=True, check=True).stdout
    table = text[text.index("Every case, worst first") : text.index("How this was made")]
    for patient in range(1, 10):
        assert table.count(f"patient000{patient}_") == 4
    assert "Drawn over the frame" not in text
    assert "Search" not in text


def test_text_contrasts_with_its_ground(browser, full_report):
    show(browser, full_report, DESK)
    colours = browser.execute_script(
        """
        const ground = e => { for (; e; e = e.parentElement) {
            const c = getComputedStyle(e).backgroundColor; if (c !== 'rgba(0, 0, 0, 0)') return c; }
            return 'rgb(255, 255, 255)'; };
        return ['.notice', '.subtitle', '.note', '.detail', '.label', 'figcaption', 'nav a', 'td.paper', 'footer p']
            .map(s => { const e = document.querySelector(s); return [s, getComputedStyle(e).color, ground(e)]; });
        """
    )
    for selector, ink, ground in colours:
        assert contrast(ink, ground) >= 4.5, selector


def test_a_case_contrasts_with_its_ground(browser, cases_report):
    show(browser, cases_report, DESK, "#case=patient0002_4CH_ED")
    colours = browser.execute_script(
        """
        const ground = e => { for (; e; e = e.parentElement) {
            const c = getComputedStyle(e).backgroundColor; if (c !== 'rgba(0, 0, 0, 0)') return c; } };
        const texts = ['.filters label', '.shown', '.open', '#case-title', '#case-about', '#case-next',
            '#case-layers label', '.structures li', '#case-figures dt', '#case-figures dd', '#case-figures td',
            '.cases thead button'];
        const lines = ['.symbol .lv', '.symbol .myo', '.symbol .la', '.symbol .diameter', '.symbol .contact'];
        return [...texts.map(s => [s, 'color']), ...lines.map(s => [s, 'stroke'])]
            .map(([s, p]) => { const e = document.querySelector(s); return [s, getComputedStyle(e)[p], ground(e)]; });
        """
    )
    for selector, ink, ground in colours:
        assert contrast(ink, ground) >= 4.5, selector


@pytest.mark.parametrize("report", ["full_report", "located_report"])
def test_it_prints_on_a4_with_nothing_cut_off(browser, report, request):
    page = request.getfixturevalue(report)
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.get(page.as_uri())
    pdf = browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True, "printBackground": True})
    content = base64.b64decode(pdf["data"])
    assert content.startswith(b"%PDF")
    assert b"/MediaBox [0 0 594" in content or b"/MediaBox [0 0 595" in content  # A4 is 595 × 842 points
    assert 5 <= content.count(b"/Type /Page\n") <= 20
    # As wide as the paper between its margins, 184 mm: no table or figure may be wider.
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    show(browser, page, {**DESK, "width": 695})
    rights = browser.execute_script(
        "return [...document.querySelectorAll('table, img, .cards')].map(e => [e.id, e.getBoundingClientRect().right])"
    )
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    for name, right in rights:
        assert right <= 695.5, name


def contrast(first, second):
    """Contrast ratio of two `rgb(r, g, b)` colours, as WCAG 2 defines it."""

    def luminance(colour):
        channels = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)
