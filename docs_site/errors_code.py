"""The texts of the code that people read when it refuses or fails: taken from the source, without running it."""

import ast
import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Final

from source_texts import ROOT, Source

# The files whose sentences a client or a model can read.
CALLER_FILES: Final = (
    *("server/errors.py", "server/fair_queue.py", "server/auth/access_token.py", "server/catalog/access.py"),
    *("server/catalog/arguments.py", "server/catalog/filters.py", "server/catalog/source.py"),
    *("server/database/cursors.py", "server/database/database.py", "server/doctor/proving_documents.py"),
    *("server/documents/*.py", "server/documents/bedrock/*.py", "server/http/*.py", "server/protocol/*.py"),
    "server/tenancy/*.py",
)
# The errors of a command or of the start.
OPERATOR_ERRORS: Final = frozenset({"StartupError", "SettingsError", "UnreachableError", "CatalogError"})
_LEVELS: Final = frozenset({"warning", "error", "critical", "exception", "levels[check.name]"})
_SENTENCE: Final = re.compile(r"[A-Za-z…]\S* .*(\.|nothing was read: …)")


def caller_sentences() -> dict[str, str]:
    """Return every sentence that a client can read, and the file that says it."""
    found: dict[str, str] = {}
    for file in files(*CALLER_FILES):
        for text in Source(file).texts(OPERATOR_ERRORS):
            # A text of a declaration describes an argument; a refusal of one says that nothing was read.
            if _SENTENCE.fullmatch(text) and ("catalog/" not in file or "othing was read" in text):
                found.setdefault(text, file)
    return found


def log_events() -> dict[str, str]:
    """Return every event of the server's log from warning upwards, and its file."""
    found: dict[str, str] = {}
    for file in files("server/**/*.py"):
        source = Source(file)
        for call in source.calls(_LEVELS):
            is_ours = re.match(r"_?(audit_)?log\.|levels\[", ast.unparse(call.func)) and not file.startswith(
                "server/dev/"
            )
            if is_ours and call.args:
                found |= dict.fromkeys(source.said(call.args[0]), file)
    return found


def token_reasons() -> dict[str, str]:
    """Return every reason for which a token or a proof is refused, as the log has it, and its file."""
    return dict(
        operator_errors("server/auth/*.py", "server/http/*.py", errors={"TokenRefusedError", "ProofRefusedError"})
    )


def operator_errors(*patterns: str, errors: AbstractSet[str] = OPERATOR_ERRORS) -> Iterator[tuple[str, str]]:
    """Yield each text that these files give to one of these errors, and the file."""
    for file in files(*patterns):
        source = Source(file)
        for call in source.calls(errors):
            if call.args:
                yield from ((text, file) for text in source.said(call.args[0]))


def declared_texts(*patterns: str) -> Iterator[tuple[str, str]]:
    """Yield each text of these files that has a remedy after a semicolon, and its file."""
    yield from (
        (text, file) for file in files(*patterns) for text in Source(file).texts(OPERATOR_ERRORS) if "; " in text
    )


def findings() -> Iterator[tuple[str, str]]:
    """Yield the problem and the remedy of each finding of the doctor that is written in Python."""
    for file in files("server/doctor/*.py"):
        source = Source(file)
        for call in source.calls({"Offender"}):
            if len(call.args) == len(("object", "problem", "remedy")):
                problem, remedy = (next(source.said(one), "") if _is_text(one) else "" for one in call.args[1:])
                if problem.strip("… "):
                    yield problem, remedy if remedy.strip("… ") else "run the statement that `tenantgate doctor` prints"


def files(*patterns: str) -> Iterator[str]:
    """Yield the files that fit one of the patterns, in the order of their names."""
    yield from sorted({str(path.relative_to(ROOT)) for one in patterns for path in ROOT.glob(one)})


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant | ast.JoinedStr)
