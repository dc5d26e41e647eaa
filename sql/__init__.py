"""The database as plain SQL: migrations, checks and the sample data."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


def sql_files(folder: str) -> list[Traversable]:
    """Return the numbered SQL files of one folder of this package, in their order."""
    return sorted(
        (
            file
            for file in (files(__name__) / folder).iterdir()
            if file.name.endswith(".sql") and file.name[0].isdigit()
        ),
        key=lambda file: file.name,
    )


def checks_prelude() -> str:
    """Return the common table expressions that every check of `checks` begins with."""
    return (files(__name__) / "checks" / "prelude.sql").read_text(encoding="utf-8")


def sample_folder() -> Path:
    """Return the folder of the sample pack's migrations; it need not exist."""
    return Path(str(files(__name__) / "sample"))
