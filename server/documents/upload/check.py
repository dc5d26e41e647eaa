"""Find the mistakes in a folder of documents before anybody can search it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from server.documents.upload.finding import Finding
from server.documents.upload.folder import (
    FORMATS,
    IMAGES,
    MAXIMUM_BYTES,
    MAXIMUM_IMAGE_BYTES,
    TEXTS,
    Document,
    documents_in,
    orphans_in,
)
from server.documents.upload.labels import LabelRules, label_findings
from server.documents.upload.sidecar import SUFFIX, parse_sidecar
from server.errors import SettingsError

# S3 allows other characters too, but they break addresses, shells and terminals.
_NAME: Final = re.compile(r"[A-Za-z0-9 !_.*'()/&$@=;:+,?-]{1,900}")
_EXAMPLE: Final = 'write {"metadataAttributes": {"tier": "regular", "document_type": "guide"}}'


@dataclass(frozen=True, slots=True)
class CheckedFolder:
    """The documents of a folder, the bytes of each valid sidecar, and every mistake."""

    documents: list[Document] = field(default_factory=list[Document])
    sidecars: dict[str, bytes] = field(default_factory=dict[str, bytes])
    findings: list[Finding] = field(default_factory=list[Finding])


def check_folder(folder: Path, rules: LabelRules) -> CheckedFolder:
    """Check every document and sidecar in `folder`; raise SettingsError when there is no such folder."""
    if not folder.is_dir():
        raise SettingsError(f"the documents folder {folder} does not exist; name an existing one")
    checked = CheckedFolder(documents=list(documents_in(folder)))
    for document in checked.documents:
        checked.findings.extend(_document_findings(document, folder))
        checked.findings.extend(_sidecar_findings(document, rules, checked.sidecars))
    for name in orphans_in(folder):
        message = f"belongs to no document; name it after one, such as guide.md{SUFFIX}, or remove it"
        checked.findings.append(Finding(name, "orphan-sidecar", message))
    if not checked.documents:
        checked.findings.append(Finding(".", "no-documents", "holds no document; add one with its sidecar"))
    return checked


def _document_findings(document: Document, folder: Path) -> Iterator[Finding]:
    name, path = document.name, document.path
    suffix = path.suffix
    if not _NAME.fullmatch(name):
        yield Finding(ascii(name), "unsafe-name", "has a character that is not safe in an address; rename it")
    if not path.resolve().is_relative_to(folder.resolve()):
        yield Finding(name, "outside-link", "is a link to a place outside the folder; copy the file into the folder")
    if suffix not in FORMATS:
        yield Finding(
            name, "unsupported-format", f"is of a kind that Bedrock does not read; use {', '.join(sorted(FORMATS))}"
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        yield Finding(name, "unreadable", f"cannot be read ({error.strerror}); make it readable")
        return
    limit = MAXIMUM_IMAGE_BYTES if suffix in IMAGES else MAXIMUM_BYTES
    if len(content) > limit:
        yield Finding(name, "oversized-document", f"is larger than {limit / 1024 / 1024:g} MB; split it")
    if not content.strip():
        yield Finding(name, "empty-document", "is empty; write it or remove it with its sidecar")
    if suffix in TEXTS and not _is_utf_8(content):
        yield Finding(name, "not-utf-8", "is not UTF-8; save it in that encoding")


def _is_utf_8(content: bytes) -> bool:
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    return True


def _sidecar_findings(document: Document, rules: LabelRules, sidecars: dict[str, bytes]) -> Iterator[Finding]:
    name = document.name + SUFFIX
    try:
        content = document.sidecar.read_bytes()
    except FileNotFoundError:
        yield Finding(
            document.name, "missing-sidecar", f"has no sidecar, so nobody would find it; {_EXAMPLE} as {name}"
        )
        return
    except OSError as error:
        yield Finding(name, "unreadable", f"cannot be read ({error.strerror}); make it readable")
        return
    sidecar, errors = parse_sidecar(content)
    for error in errors:
        yield Finding(name, error.kind, f"{error}; {_EXAMPLE}")
    if not errors:
        sidecars[document.name] = content
        yield from label_findings(name, sidecar.attributes, rules)
