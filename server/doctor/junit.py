"""The doctor's report as JUnit XML, which continuous integration systems show as test results.

The standard library's writer is enough for five elements, so no further dependency is needed.
"""

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from server.doctor.report import Check, Proved, Report
from server.doctor.watch import Names
from server.errors import SettingsError
from server.terminal import visible

_NAME: Final = "tenantgate doctor"


def write_report(file: Path, report: Report, duration_s: float) -> None:
    """Write a test suite for each group: its checks, and in the group of rows also each proved relation."""
    root = _root(report.checks, len(report.proved), duration_s)
    for group, members in groupby(report.checks, lambda check: check.group):
        checks = list(members)
        proved = report.proved if group == Names.ROWS else ()
        suite = _suite(root, group, checks, len(proved))
        for check in checks:
            _check(suite, check)
        for one in proved:
            _proved(suite, one)
    if report.notices:
        SubElement(root[0], "system-out").text = "\n".join(visible(f"notice: {one}") for one in report.notices)
    _write(file, root)


def write_error(file: Path, problem: str) -> None:
    """Write that no check could be made, so that the report of an earlier run does not stay."""
    root = Element("testsuites", name=_NAME, tests="1", failures="0", errors="1", time="0")
    suite = SubElement(root, "testsuite", name=_NAME, tests="1", failures="0", errors="1", skipped="0", time="0")
    case = SubElement(suite, "testcase", classname=_NAME, name="isolation can be examined", time="0")
    SubElement(case, "error", message=visible(problem), type="error").text = visible(problem)
    _write(file, root)


def _root(checks: Iterable[Check], proved: int, duration_s: float) -> Element:
    return Element("testsuites", {"name": _NAME, **_counts(checks, proved), "time": f"{duration_s:.3f}"})


def _suite(root: Element, group: str, checks: Iterable[Check], proved: int) -> Element:
    time = f"{sum(check.duration_s for check in checks):.3f}"
    return SubElement(root, "testsuite", {"name": group, **_counts(checks, proved), "skipped": "0", "time": time})


def _counts(checks: Iterable[Check], proved: int) -> dict[str, str]:
    held = [check.holds for check in checks]
    return {"tests": str(len(held) + proved), "failures": str(held.count(False)), "errors": "0"}


def _check(suite: Element, check: Check) -> None:
    where, time = f"{_NAME}.{check.group}", f"{check.duration_s:.3f}"
    case = SubElement(suite, "testcase", classname=where, name=f"{check.name}: {check.purpose}", time=time)
    if not check.holds:
        problems = [visible(f"{one.object}: {one.problem}; remedy: {one.remedy}") for one in check.offenders]
        SubElement(case, "failure", message=problems[0], type=check.name).text = "\n".join(problems)


def _proved(suite: Element, one: Proved) -> None:
    name = visible(f"{one.relation}: {one.sentence}")
    SubElement(suite, "testcase", classname=f"{_NAME}.{Names.ROWS}", name=name, time="0")


def _write(file: Path, root: Element) -> None:
    indent(root)
    try:
        ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise SettingsError(f"{file} cannot be written ({error.strerror}); name another file with --junit") from error
