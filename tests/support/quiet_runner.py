"""Runs a verb of the command line in this process, where the development stack logs beside it."""

from typing import Any

from structlog.testing import capture_logs
from typer.testing import CliRunner


class QuietRunner(CliRunner):
    """What is printed is the verb's own: the log, which goes to standard error in a real process, is left out."""

    def invoke(self, *arguments: Any, **options: Any) -> Any:
        """Return what `CliRunner.invoke` returns."""
        with capture_logs():
            return super().invoke(*arguments, **options)
