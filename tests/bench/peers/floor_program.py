"""The floor: a small C program over libpq that sends the server's own statement, without HTTP, token or protocol."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from peers.installed import NotRunError
from peers.processor_time import seconds_of, seconds_of_children
from peers.statement import Signed

_SOURCE: Final = Path(__file__).parent / "floor.c"


class Floor:
    """The compiled program."""

    def __init__(self, directory: Path, signed: Signed, database_url: str, postmaster: int) -> None:
        """Compile it; NotRunError when this machine cannot."""
        self._program: Final = directory / "floor"
        self._directory: Final = directory
        self._signed: Final = signed
        self._url: Final = database_url
        self._postmaster: Final = postmaster
        _compile(self._program)
        (directory / "floor.sql").write_text(signed.text)

    def measure(self, connections: int, seconds: float) -> dict[str, float]:
        """Return the same figures as of a server; `cpu_us` is the program's own."""
        # Fresh ones: a context is accepted for a minute.
        contexts = self._directory / "floor-contexts.txt"
        contexts.write_text("\n".join(self._signed.contexts()))
        command = [str(self._program), self._url, str(self._directory / "floor.sql"), str(self._signed.first_value)]
        before, own = seconds_of(self._postmaster), seconds_of_children()
        done = subprocess.run(
            [*command, str(contexts), str(connections), str(seconds)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"the floor failed: {done.stderr.strip()}")
        answer: dict[str, Any] = json.loads(done.stdout)
        calls = answer.pop("all_calls")
        return {
            **answer,
            "cpu_us": (seconds_of_children() - own) / calls * 1e6,
            "postgres_us": (seconds_of(self._postmaster) - before) / calls * 1e6,
            "generator_share": 0.0,
        }


def _compile(program: Path) -> None:
    compiler, configuration = shutil.which("cc"), shutil.which("pg_config")
    if compiler is None or configuration is None:
        raise NotRunError("needs a C compiler and libpq's headers (Debian: gcc, libpq-dev)")
    paths = [
        flag + subprocess.check_output([configuration, option], text=True).strip()
        for flag, option in (("-I", "--includedir"), ("-L", "--libdir"))
    ]
    done = subprocess.run(
        [compiler, "-O2", "-o", str(program), str(_SOURCE), *paths, "-lpq"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise NotRunError(f"does not compile (Debian: libpq-dev): {done.stderr.strip().splitlines()[0]}")
