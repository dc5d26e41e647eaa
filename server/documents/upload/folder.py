"""A folder of documents with sidecars, as it will be in the bucket."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server.documents.upload.sidecar import SUFFIX

# The files that Bedrock's data sources accept, and the largest size of each kind.
MAXIMUM_BYTES: Final = 50 * 1024 * 1024
MAXIMUM_IMAGE_BYTES: Final = 3_932_160
IMAGES: Final = frozenset({".jpeg", ".png"})
TEXTS: Final = frozenset({".txt", ".md", ".html", ".csv"})
FORMATS: Final = TEXTS | IMAGES | {".doc", ".docx", ".xls", ".xlsx", ".pdf"}


@dataclass(frozen=True, slots=True)
class Document:
    """One document; `name` is its path within the folder with forward slashes."""

    name: str
    path: Path

    @property
    def sidecar(self) -> Path:
        """Where its sidecar is, or should be."""
        return self.path.with_name(self.path.name + SUFFIX)


def documents_in(folder: Path) -> Iterator[Document]:
    """Yield every document, ordered by name; names that start with a dot are left out."""
    for path in _files(folder):
        if not path.name.endswith(SUFFIX):
            yield Document(path.relative_to(folder).as_posix(), path)


def orphans_in(folder: Path) -> Iterator[str]:
    """Yield the names of sidecars without a document."""
    for path in _files(folder):
        if path.name.endswith(SUFFIX) and not path.with_name(path.name.removesuffix(SUFFIX)).exists():
            yield path.relative_to(folder).as_posix()


def _files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
