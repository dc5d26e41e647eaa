"""One mistake in a folder of documents: where, which kind, and what to do about it."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal[
    "missing-sidecar",
    "orphan-sidecar",
    "oversized-sidecar",
    "invalid-json",
    "duplicate-key",
    "wrong-shape",
    "attribute-name",
    "reserved-name",
    "attribute-type",
    "typed-value",
    "missing-isolating-key",
    "isolating-type",
    "unknown-tier",
    "unknown-tenant",
    "unenforced-tenant",
    "too-much-metadata",
    "unsupported-format",
    "oversized-document",
    "empty-document",
    "not-utf-8",
    "unsafe-name",
    "outside-link",
    "unreadable",
    "no-documents",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake; `path` is relative to the folder, `message` one sentence with the remedy."""

    path: str
    kind: Kind
    message: str
