import shutil
import stat
import sys
import time

import pytest

from reports import pdf
from reports.pdf import write_pdf
from shell.errors import UserError


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "a report" / "report.html"
    path.parent.mkdir()
    path.write_text("<!DOCTYPE html><title>A page</title><p>Words on it")
    return path


@pytest.fixture
def as_browser(tmp_path, monkeypatch):
    """Puts a script in the place of the browser; it finds the target in `target` and the page in `page`."""

    def put(body):
        script = tmp_path / "browser"
        script.write_text(
            f"#!{sys.executable}\nimport sys, time\nfrom pathlib import Path\npage = sys.argv[-1]\n"
            "target = Path(next(a.split('=', 1)[1] for a in sys.argv if a.startswith('--print-to-pdf=')))\n" + body
        )
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("CHROME", str(script))

    return put


def test_it_is_printed_beside_the_page(page, as_browser):
    as_browser("target.write_bytes(b'%PDF-1.7 ' + page.encode())")
    assert write_pdf(page) == page.with_name("report.pdf")
    assert page.with_name("report.pdf").read_bytes() == b"%PDF-1.7 " + page.as_uri().encode()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("print('out of luck', file=sys.stderr); sys.exit(3)", r"failed to print it \(exit 3: out of luck\)"),
        ("", r"failed to print it \(exit 0: it said nothing\)"),
        ("target.write_text('<html>')", "what was printed is no PDF"),
    ],
)
def test_a_failure_is_said_and_the_old_pdf_kept(page, as_browser, body, message):
    page.with_name("report.pdf").write_text("the old one")
    as_browser(body)
    with pytest.raises(UserError, match=message):
        write_pdf(page)
    assert sorted(path.name for path in page.parent.iterdir()) == ["report.html", "report.pdf"]
    assert page.with_name("report.pdf").read_text() == "the old one"


def test_a_browser_that_hangs_is_ended_with_its_children(page, as_browser, tmp_path):
    child = f"import time; time.sleep(4); open({str(tmp_path / 'lives')!r}, 'w')"
    as_browser(f"import subprocess\nsubprocess.Popen([sys.executable, '-c', {child!r}])\ntime.sleep(60)")
    started = time.monotonic()
    with pytest.raises(UserError, match="took more than 1 s"):
        pdf._by_browser(str(tmp_path / "browser"), page, tmp_path / "out.pdf", time_limit_s=1)
    assert time.monotonic() - started < 4
    time.sleep(max(0.0, 5 - (time.monotonic() - started)))
    assert not (tmp_path / "lives").exists()


def test_without_anything_to_print_with_it_says_what_to_install(page, monkeypatch, tmp_path):
    monkeypatch.delenv("CHROME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(pdf.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"install Chromium or Chrome .* or pip install weasyprint"):
        write_pdf(page)
    monkeypatch.setenv("CHROME", "no-such-browser")
    with pytest.raises(UserError, match=r"\$CHROME must name a browser .* Received: no-such-browser"):
        write_pdf(page)


def test_weasyprint_stands_in_for_a_browser(page, monkeypatch, tmp_path):
    class WeasyPrint:
        class HTML:
            def __init__(self, filename):
                self.filename = filename

            def write_pdf(self, target, *, pdf_tags):
                with open(target, "w") as file:  # noqa: PTH123
                    file.write(f"%PDF-{self.filename} {pdf_tags}")

    monkeypatch.delenv("CHROME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(pdf.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(pdf.importlib, "import_module", lambda name: WeasyPrint)
    assert write_pdf(page).read_text() == f"%PDF-{page} True"


def test_a_page_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match="no such file; write the report first"):
        write_pdf(tmp_path / "report.html")


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, pdf.BROWSERS)), reason="needs Chromium or Chrome")
def test_a_real_browser_prints_a4(page, monkeypatch):
    monkeypatch.delenv("CHROME", raising=False)
    page.write_text("<!DOCTYPE html><title>A page</title><style>@page { size: A4 }</style><p>Words on it")
    content = write_pdf(page).read_bytes()
    assert content.startswith(b"%PDF-")
    assert b"/MediaBox [0 0 594" in content or b"/MediaBox [0 0 595" in content
    assert content.count(b"/Type /Page\n") == 1
