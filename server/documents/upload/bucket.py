"""The documents in S3: a document never exists without its sidecar, nor with labels of another version.

The order of writes and deletions keeps this true after every single request, even when a run is interrupted.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from server.documents.upload.folder import Document
from server.documents.upload.sidecar import SUFFIX

Outcome: TypeAlias = Literal["uploaded", "unchanged", "deleted"]

_HASH: Final = "sha256"


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket, under one prefix, through boto3's S3 client; any thread may use it."""

    client: Any
    name: str
    prefix: str = ""

    def sizes(self) -> dict[str, int]:
        """Return the size in bytes of every object under the prefix, by its name there."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=self.prefix)
        found = (one for page in pages for one in page.get("Contents", ()))
        return {one["Key"].removeprefix(self.prefix): one["Size"] for one in found}

    def upload(self, document: Document, sidecar: bytes, sizes: dict[str, int]) -> Outcome:
        """Upload the document and its sidecar where they differ from what `sizes` says is in the bucket."""
        content = document.path.read_bytes()
        new_labels = self._differs(document.name + SUFFIX, sidecar, sizes)
        new_content = self._differs(document.name, content, sizes)
        if new_labels and new_content and document.name in sizes:
            # A search must not find the old text under the new labels.
            self._delete(document.name)
        if new_labels:
            self._put(document.name + SUFFIX, sidecar, "application/json")
        if new_content:
            self._put(document.name, content, "application/octet-stream")
        return "uploaded" if new_labels or new_content else "unchanged"

    def delete(self, name: str) -> Outcome:
        """Delete a document and then its sidecar, where they exist."""
        self._delete(name)
        self._delete(name + SUFFIX)
        return "deleted"

    def _differs(self, name: str, content: bytes, sizes: dict[str, int]) -> bool:
        if sizes.get(name) != len(content):
            return True
        there = self.client.head_object(Bucket=self.name, Key=self.prefix + name)
        return there["Metadata"].get(_HASH) != hashlib.sha256(content).hexdigest()

    def _put(self, name: str, content: bytes, content_type: str) -> None:
        self.client.put_object(
            Bucket=self.name,
            Key=self.prefix + name,
            Body=content,
            ContentType=content_type,
            Metadata={_HASH: hashlib.sha256(content).hexdigest()},
        )

    def _delete(self, name: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=self.prefix + name)


def no_longer_wanted(sizes: dict[str, int], documents: list[Document]) -> Iterator[str]:
    """Yield the names of documents in the bucket that the folder no longer has, and of sidecars without a document."""
    kept = {document.name for document in documents}
    yield from sorted({name.removesuffix(SUFFIX) for name in sizes} - kept)
