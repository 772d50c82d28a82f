"""The report in a real browser, on a desk, on a phone and on paper."""

import base64
import shutil

import pytest

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


def show(browser, report, screen):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get(report.as_uri())


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
