"""docs/your-own-database.md: its commands run as they stand there, on the PostgreSQL of a distribution."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.ports import free_port
from support.second_server import MISSING, PROGRAMS, second_server

PAGE = (Path(__file__).parents[1] / "docs" / "your-own-database.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"```sh\n(.+?)```", PAGE, re.DOTALL)
SHOWN = re.findall(r"```text\n(.+?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Run every block in one shell after another, in one folder; return what each printed."""
    if PROGRAMS is None or shutil.which("psql") is None or shutil.which("curl") is None:
        pytest.skip(f"{MISSING}, with psql and curl")
    folder = tmp_path_factory.mktemp("page")
    folder.chmod(0o711)
    work = folder / "work"
    work.mkdir()
    with second_server(folder / "postgres") as url:
        subprocess.run(["psql", "-q", url, "-c", "CREATE DATABASE shop"], check=True, capture_output=True)
        yield _run(work, url)


def _run(work: Path, url: str) -> list[str]:
    parts = urlsplit(url)._replace(path="/shop")
    login = parts._replace(netloc=f"app_user:choose-one@{parts.hostname}:{parts.port}")
    # As after the installation: the command is on the path, and nothing else is set.
    program = work.parent / "bin" / "tenantgate"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m server "$@"\n')
    program.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TENANTGATE_")}
    environment |= {
        "PATH": f"{program.parent}:{environment['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1])]),
        "ADMIN_URL": parts.geturl(),
        "LOGIN_URL": login.geturl(),
    }
    exported, found, development = "", list[str](), None
    # The two after it are taken as well.
    port = free_port(3)
    try:
        for written in COMMANDS:
            # The page's port may be in use on a machine that tests other things beside.
            block = written.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
            if block.startswith("tenantgate dev"):
                block = f"{block.rstrip()} --port {port}\n"
            if block.startswith("tenantgate dev"):
                # It runs until it is stopped, in a terminal of its own.
                development = _development(block, work, environment)
                found.append("")
                continue
            if "TENANTGATE_DATABASE__CONTEXT_KEYS" in block:
                _stop(development)
                development = None
            done = subprocess.run(
                ["bash", "-euc", exported + block],
                cwd=work,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{block}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
            found.append(done.stdout)
            exported += "".join(
                f"{line}\n" for line in block.splitlines() if line.startswith("export ") and "$(" not in line
            )
    finally:
        _stop(development)
    return found


def _development(block: str, work: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    with (work / "dev.log").open("w") as log:
        process = subprocess.Popen(
            ["bash", "-euc", f"exec {block}"], cwd=work, env=environment, stdout=log, stderr=log, text=True
        )
    deadline = time.monotonic() + 60
    while "Ctrl-C stops everything" not in (work / "dev.log").read_text():
        assert process.poll() is None, (work / "dev.log").read_text()
        assert time.monotonic() < deadline, (work / "dev.log").read_text()
        time.sleep(0.1)
    return process


def _stop(process: subprocess.Popen[str] | None) -> None:
    if process is not None:
        process.terminate()
        process.wait(20)


def outputs(said: list[str], beginning: str) -> list[str]:
    return [text for block, text in zip(COMMANDS, said, strict=True) if beginning in block]


def test_every_command_of_the_page_runs(said) -> None:
    assert len(said) == len(COMMANDS) == 10


def test_the_report_begins_as_the_page_shows_it(said) -> None:
    first = outputs(said, "tenantgate adopt")[0]
    # Sizes differ from one server to another.
    assert _without_sizes(first).startswith(_without_sizes(SHOWN[0]).rstrip("\n"))
    assert "shop.refunds (1 rows): 2 paths to a tenant are equally short" in first
    assert "they name the same tenant in all 1 rows" in first
    assert 'set id_type = "uuid"' in first


def _without_sizes(text: str) -> str:
    return re.sub(r" +", " ", re.sub(r"\d+ [kM]?B", "SIZE", text))


def test_the_first_answer_is_of_one_account_alone(said) -> None:
    (answer,) = outputs(said, "curl")
    assert '"total":{"count":4,"total_total":"100.00"' in answer


def test_doctor_finds_nothing_and_others_see_everything(said) -> None:
    (proof,) = outputs(said, "tenantgate doctor")
    assert "FAILS" not in proof
    assert "12" in outputs(said, "shop_reports;\nSELECT")[0].split()
