"""report.pdf: the report on A4 pages, printed by a browser, or by WeasyPrint where there is none."""

import importlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from shell.errors import UserError
from shell.files import atomic_path

BROWSERS: Final = ("chromium", "google-chrome", "google-chrome-stable", "chromium-browser", "chrome")
CHROME_VARIABLE: Final = "CHROME"
TIME_LIMIT_S: Final = 300.0
FLAGS: Final = (
    "--headless=new",
    "--disable-gpu",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # nothing is looked up anywhere
    "--no-pdf-header-footer",  # the page's own style has them
    "--generate-pdf-document-outline",
)
HOW_TO_MEND: Final = (
    "install Chromium or Chrome (Debian: apt install chromium), or name one in $CHROME, or pip install weasyprint; "
    "any browser prints the page as well"
)


def write_pdf(report_html: Path) -> Path:
    """Prints a report; report.pdf lies beside report.html.

    Chromium or Chrome is taken where there is one (`$CHROME`, else on the path), else WeasyPrint. Nothing is fetched.

    Args:
        report_html: of `write_report`.

    Returns:
        The path of the PDF. It is written whole or not at all.

    Raises:
        UserError: no such page, nothing to print it with, or printing failed or took more than five minutes.
    """
    if not report_html.is_file():
        raise UserError(f"{report_html}: no such file; write the report first")
    target = report_html.with_suffix(".pdf")
    print_to = _printer(os.environ)
    with atomic_path(target) as temporary:
        print_to(report_html.resolve(), temporary)
        with temporary.open("rb") as file:
            if file.read(5) != b"%PDF-":
                raise UserError(f"{target}: what was printed is no PDF; {HOW_TO_MEND}")
    return target


def _printer(environment: Mapping[str, str]) -> Callable[[Path, Path], None]:
    if named := environment.get(CHROME_VARIABLE):
        browser = shutil.which(named, path=environment.get("PATH"))
        if browser is None:
            raise UserError(f"$CHROME must name a browser that can be started. Received: {named}; {HOW_TO_MEND}")
        return lambda page, target: _by_browser(browser, page, target)
    for name in BROWSERS:
        if browser := shutil.which(name, path=environment.get("PATH")):
            return lambda page, target: _by_browser(browser, page, target)
    if importlib.util.find_spec("weasyprint") is not None:
        return _by_weasyprint
    raise UserError(f"report.pdf: nothing to print it with; {HOW_TO_MEND}")


def _by_browser(browser: str, page: Path, target: Path, *, time_limit_s: float = TIME_LIMIT_S) -> None:
    """Prints with a browser that knows nothing of the user's: its profile is a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="annulus-pdf-", ignore_cleanup_errors=True) as profile:
        command = [browser, *FLAGS, f"--user-data-dir={profile}", f"--print-to-pdf={target.resolve()}"]
        if os.geteuid() == 0:
            command.append("--no-sandbox")  # Chromium does not start as root with it; the page has no foreign content
        try:
            process = subprocess.Popen(
                [*command, page.as_uri()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise UserError(f"{browser}: cannot be started ({error.strerror}); {HOW_TO_MEND}") from error
        try:
            _, said = process.communicate(timeout=time_limit_s)
        except subprocess.TimeoutExpired:
            raise UserError(
                f"{page}: printing with {browser} took more than {time_limit_s:g} s; {HOW_TO_MEND}"
            ) from None
        finally:
            _end(process)
        if process.returncode != 0 or not target.stat().st_size:
            last = said.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
            raise UserError(
                f"{page}: {browser} failed to print it (exit {process.returncode}: {last[0]}); {HOW_TO_MEND}"
            )


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ends the browser and the processes it started, where any is left."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        if process.stderr is not None:
            process.stderr.close()
    process.wait()


def _by_weasyprint(page: Path, target: Path) -> None:
    try:
        weasyprint: Any = importlib.import_module("weasyprint")
        weasyprint.HTML(filename=str(page)).write_pdf(str(target), pdf_tags=True)
    except (OSError, ValueError) as error:
        raise UserError(f"{page}: WeasyPrint failed to print it ({error}); {HOW_TO_MEND}") from error
