"""What `tenantgate doctor` shows: readable at any width and through a pipe, in JSON and in JUnit XML."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console
from support.examined_database import CATALOG, KEY, Examined
from support.examined_database import examined as examined  # noqa: PLC0414  # a fixture
from support.terminal import Shown, shown_in_pipe, shown_on_terminal, verb

from server.doctor.examination import examine
from server.doctor.junit import write_report
from server.doctor.offender import Offender
from server.doctor.report import Check, Proved, Report
from server.doctor.view import View
from server.doctor.watch import Watch
from server.progress import Progress

GROUPS = ("Login and core", "Declared relations", "Tenant contexts", "Rows")


@pytest.fixture
def config(examined: Examined, tmp_path: Path) -> Path:
    file = tmp_path / "tenantgate.toml"
    file.touch(mode=0o600)
    file.write_text(
        f'resource_url = "http://127.0.0.1:1/mcp"\ncatalog = {json.dumps(CATALOG)}\n'
        '[[issuers]]\nissuer = "http://127.0.0.1:1"\naudiences = ["x"]\n'
        f'[database]\nurl = "{examined.url}"\ncontext_keys = ["{KEY.text()}"]\n'
    )
    return file


def doctor(config: Path, *arguments: str) -> list[str]:
    return verb("doctor", "--config", str(config), *arguments)


class Recorded(Watch):
    """What happened in one examination, to be shown again at any width."""

    def __init__(self) -> None:
        self.events: list[Callable[[Watch], None]] = []
        self.report: Report | None = None

    def begins(self, group: str) -> None:
        self.events.append(lambda watch: watch.begins(group))

    def checked(self, check: Check) -> None:
        self.events.append(lambda watch: watch.checked(check))

    def proved(self, one: Proved) -> None:
        self.events.append(lambda watch: watch.proved(one))

    def shown(self, width: int | None, *, quiet: bool = False, encoding: str = "utf-8") -> Shown:
        file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace", newline="")
        console = Console(file=file, width=width or 80, force_terminal=width is not None, highlight=False, markup=False)
        view = View(console, Progress(), width=width, quiet=quiet)
        for event in self.events:
            event(view)
        assert self.report is not None
        view.finish(self.report, 1.5)
        file.seek(0)
        return Shown(0, file.read())


def recorded(database: Examined) -> Recorded:
    watch = Recorded()
    watch.report = examine(database.settings(), database.catalog, watch=watch)
    return watch


@pytest.fixture(scope="module")
def passed(examined: Examined) -> Recorded:
    return recorded(examined)


@pytest.fixture(scope="module")
def failed(examined: Examined) -> Recorded:
    with examined.broken("ALTER ROLE app_user CREATEDB", "ALTER ROLE app_user NOCREATEDB"):
        return recorded(examined)


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_every_group_fits_the_terminal_with_its_time_and_what_was_proved(passed, columns) -> None:
    shown = passed.shown(columns)
    assert shown.has_colours
    lines = "\n".join(shown.lines).partition("notice: ")[0].splitlines()
    assert max(map(len, lines)) <= columns
    for group in GROUPS:
        assert any(re.fullmatch(rf"{group}  \d+ passed(, 8 proved)?  \d+\.\d\d s", line) for line in lines), group
    text = " ".join(" ".join(lines).split())
    assert (
        "✓ app.claims rows of another tenant are invisible: proved with 4 statements as 2 real tenants with 5 rows "
        "(own column tenant_id)"
    ) in text
    assert "✓ desk.colours every tenant reads the same rows, and nobody without a tenant: proved with 2 stat" in text
    assert re.search(
        r"8 relations proved with 2 real tenants\.\nAll \d+ checks passed in 1\.50 s$", "\n".join(shown.lines)
    )


def test_through_a_pipe_each_result_is_one_line_without_a_control_character(passed) -> None:
    shown = passed.shown(None)
    assert shown.raw.replace("\n", "").isprintable()
    starts = ("  ✓ ", "notice: ", *GROUPS, "8 relations proved", "All ")
    assert all(not line or line.startswith(starts) for line in shown.lines)
    assert "  ✓ 0014_search_path_of_functions  Functions that run with their owner's rights fix" in shown.raw


def test_a_failure_is_repeated_at_the_end_with_a_remedy_that_can_be_copied(failed) -> None:
    shown = failed.shown(40)
    end = "\n".join(shown.lines).partition("\nFailed\n")[2]
    assert "  ✗ 0001_login_attributes: app_user: has CREATEDB\n    remedy: ALTER ROLE app_user NOCREATEDB\n" in end
    assert re.search(r"1 of \d+ checks failed in ", end)
    assert any(re.fullmatch(r"Login and core  24 passed, 1 FAILED  \d+\.\d\d s", line) for line in shown.lines)


def test_quiet_prints_no_check_that_passed(failed) -> None:
    shown = failed.shown(None, quiet=True)
    assert "✓" not in shown.raw
    assert shown.raw.startswith("Failed\n  ✗ 0001_login_attributes: app_user: has CREATEDB\n")


def test_a_terminal_without_marks_gets_words(passed, failed) -> None:
    assert "  ok   0006_writes  " in passed.shown(None, encoding="ascii").raw
    assert "  FAIL 0001_login_attributes  " in failed.shown(None, encoding="ascii").raw


def test_the_file_of_a_ci_system_names_what_passed_and_what_failed(passed, failed, tmp_path) -> None:
    for one, failures in ((passed, []), (failed, ["app_user: has CREATEDB; remedy: ALTER ROLE app_user NOCREATEDB"])):
        write_report(tmp_path / "isolation.xml", one.report, 1.5)
        root = ET.parse(tmp_path / "isolation.xml").getroot()
        assert [suite.get("name") for suite in root] == list(GROUPS)
        assert [failure.get("message") for failure in root.iter("failure")] == failures
        for counted in (root, *root):
            assert int(counted.get("tests", "")) == len(list(counted.iter("testcase")))
            assert int(counted.get("failures", "")) == len(list(counted.iter("failure")))
        assert len(list(root.iter("testcase"))) == len(one.report.checks) + len(one.report.proved)


def test_a_dumb_terminal_gets_plain_text_and_the_json_of_the_contract(config, tmp_path) -> None:
    shown = shown_on_terminal(doctor(config, "--json", "--junit", str(tmp_path / "x.xml")), 80, TERM="dumb")
    assert "\x1b" not in shown.raw
    told = json.loads(shown.raw)
    assert set(told) == {"ok", "checks", "notices", "proved", "tenants"}
    assert {frozenset(check) for check in told["checks"]} == {frozenset({"name", "ok", "offenders"})}
    assert {frozenset(one) for one in told["proved"]} == {frozenset({"relation", "how"})}
    assert ET.parse(tmp_path / "x.xml").getroot().get("errors") == "0"


def test_on_a_terminal_the_progress_is_gone_at_the_end_and_no_colour_means_none(config) -> None:
    shown = shown_on_terminal(doctor(config), 80, NO_COLOR="1")
    assert shown.code == 0
    assert not shown.has_colours
    assert "connecting to the database" in shown.raw
    text = "\n".join(shown.lines)
    assert "connecting to the database" not in text
    assert text.startswith("Login and core  25 passed  ")
    assert not any(re.search("[\u2800-\u28ff]", line) for line in shown.lines)


def test_no_green_file_of_an_earlier_run_stays_when_nothing_could_be_examined(config, tmp_path) -> None:
    junit = tmp_path / "isolation.xml"
    junit.write_text('<testsuites tests="1" failures="0" errors="0"/>')
    config.write_text(re.sub(r"@127.0.0.1:\d+", "@127.0.0.1:9", config.read_text()))
    assert shown_in_pipe(doctor(config, "--junit", str(junit))).code == 1
    (error,) = ET.parse(junit).getroot().iter("error")
    assert error.get("message", "").startswith("the database cannot be reached")


def test_a_wrong_setting_leaves_no_green_file_either(config, tmp_path) -> None:
    junit = tmp_path / "isolation.xml"
    config.write_text("not toml")
    shown = shown_in_pipe(doctor(config, "--junit", str(junit)))
    assert (shown.code, shown.errors.count("\n")) == (2, 1)
    assert ET.parse(junit).getroot().get("errors") == "1"


def test_a_file_that_cannot_be_written_is_one_line_before_anything_is_examined(config) -> None:
    shown = shown_in_pipe(doctor(config, "--junit", "/none/isolation.xml"))
    assert (shown.code, shown.raw) == (2, "")
    assert shown.errors.count("\n") == 1
    assert "name another file with --junit" in shown.errors


def test_names_of_the_database_cannot_write_to_the_terminal_or_break_the_xml(tmp_path) -> None:
    """R270."""
    name = "shop.\x1b[2J\x00\n<a>"
    check = Check("grants", "The login may read no more.", (Offender(name, "is\x07 granted", "REVOKE"),), "Rows")
    report = Report("app_user", (check,), 0.1, {}, ("a\x1bnotice",), (Proved(name, "shared"),))
    write_report(tmp_path / "x.xml", report, 0.1)
    root = ET.parse(tmp_path / "x.xml").getroot()
    (failure,) = root.iter("failure")
    assert failure.get("message") == "shop.\ufffd[2J\ufffd\ufffd<a>: is\ufffd granted; remedy: REVOKE"
    watch = Recorded()
    watch.report = report
    watch.events = [
        lambda one: one.begins("Rows"),
        lambda one: one.checked(check),
        lambda one: one.proved(report.proved[0]),
    ]
    assert watch.shown(None).raw.replace("\n", "").isprintable()
    assert "\x1b[2J" not in watch.shown(40).raw
