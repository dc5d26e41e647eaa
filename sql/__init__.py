"""The database as plain SQL: migrations, checks and the sample data."""

from importlib.resources import files
from importlib.resources.abc import Traversable


def sql_files(folder: str) -> list[Traversable]:
    """Return the SQL files of one folder of this package, in the order of their names."""
    return sorted(
        (file for file in (files(__name__) / folder).iterdir() if file.name.endswith(".sql")),
        key=lambda file: file.name,
    )
