"""The tools that come from packages: in an environment of their own, since they want other versions than the server."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
# Another place for the environment that `make attack-tools` makes.
PLACE: Final = Path(os.environ.get("TENANTGATE_ATTACK_TOOLS", ROOT / ".tools-attack")) / "bin"
_ELSEWHERE: Final = f"{PLACE}{os.pathsep}{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin"
_LONGEST_S: Final = 600


def program(name: str) -> str | None:
    """Return where a tool is, if it is installed."""
    return shutil.which(name, path=_ELSEWHERE)


def run(name: str, *options: str, home: Path, patience_s: float = _LONGEST_S, read: str = "") -> str:
    """Return all that a tool says, on either output; `home` is where it may leave files."""
    found = program(name)
    assert found is not None, name
    # Nothing of the user's own settings decides what is found.
    environment = {"PATH": _ELSEWHERE, "HOME": str(home), "LC_ALL": "C.UTF-8", "NO_COLOR": "1", "COLUMNS": "200"}
    try:
        done = subprocess.run(
            [found, *options],
            input=read,
            env=environment,
            cwd=home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=patience_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        output: bytes | str | None = error.stdout
        said = output.decode(errors="replace") if isinstance(output, bytes) else output or ""
        return f"{said}\nno end after {patience_s:.0f} s"
    return done.stdout


def missing(*names: str, how: str) -> str:
    """Return what has to be installed so that these tools are there, or nothing."""
    absent: Sequence[str] = [name for name in names if program(name) is None]
    return f"{', '.join(absent)} ({how})" if absent else ""
