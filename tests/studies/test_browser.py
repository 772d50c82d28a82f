"""A study's page in a real browser, on a desk, on a phone and on paper."""

import base64

import pytest

from studies.catalogue import PLANS
from studies.page import write_page
from studies.results import tables_of
from tests.reports.test_browser import DESK, PHONE, browser, show  # noqa: F401  the fixture is used by its name
from tests.studies.made import finished, made_job, row

pytestmark = pytest.mark.slow
PLAN = PLANS["lu_net_table2"]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory):
    """The LU-Net paper's second study, whose tables are the widest, with one network done on two folds."""
    out = tmp_path_factory.mktemp("out")
    cases = [f"p{number}_{view}_ED" for number in range(3) for view in ("4CH", "2CH")]
    rows = [row(case, name, "dice", 0.9123) for case in cases for name in ("LV", "EPI")]
    rows += [row(case, "LV", "hausdorff", 12.3, "mm") for case in cases]
    jobs = [finished(made_job(out, fold=fold), rows) for fold in (1, 2)]
    jobs += [made_job(out, network.name, fold=1) for network in PLAN.networks[1:]]
    failed = {jobs[-1].name: "train ended with 1: " + "a long message " * 20}
    tables = tables_of(PLAN, PLAN.networks, jobs)
    return write_page(out / "page", PLAN, tables, jobs, failed=failed, command="python reproduce.py lu_net_table2")


@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
def test_nothing_sticks_out_and_nothing_fails(browser, page, screen):  # noqa: F811  the fixture
    show(browser, page, screen)
    assert "study" in browser.title
    assert browser.execute_script("return document.querySelectorAll('table.study').length") == 4
    whole, shown = browser.execute_script(
        "const page = document.documentElement; return [page.scrollWidth, page.clientWidth]"
    )
    assert whole == shown <= screen["width"]
    assert browser.get_log("browser") == []


def test_it_prints_on_a4_with_nothing_cut_off(browser, page):  # noqa: F811  the fixture
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.get(page.as_uri())
    pdf = browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True, "printBackground": True})
    assert base64.b64decode(pdf["data"]).startswith(b"%PDF")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    show(browser, page, {**DESK, "width": 695})  # as wide as the paper between its margins
    rights = browser.execute_script(
        "return [...document.querySelectorAll('table')].map(e => [e.id, e.getBoundingClientRect().right])"
    )
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    for name, right in rights:
        assert right <= 695.5, name
