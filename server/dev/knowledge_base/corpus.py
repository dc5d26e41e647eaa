"""The documents of the development knowledge base: loaded, cut, embedded and searched."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np

from server.dev.knowledge_base.chunks import cut
from server.dev.knowledge_base.embeddings import Embedder, VectorCache, Vectors
from server.dev.knowledge_base.sidecar import read_sidecar
from server.documents.upload.attributes import Attribute, Metadata
from server.documents.upload.sidecar import SUFFIX, Sidecar
from server.errors import StartupError

BUCKET: Final = "s3://tenantgate-documents"
DATA_SOURCE_ID: Final = "DOCUMENTS1"


@dataclass(frozen=True, slots=True)
class FoundChunk:
    """A chunk that was found: its text, its document's address, its metadata, and a score from 0 to 1."""

    text: str
    uri: str
    metadata: Metadata
    score: float


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of one document, as searched."""

    text: str
    uri: str
    metadata: Metadata


class Corpus:
    """Chunks and their vectors, in memory; immutable after `load`, and any thread may search it."""

    def __init__(self, chunks: tuple[Chunk, ...], vectors: Vectors, embedder: Embedder, embedded: int) -> None:
        """Keep chunk n with row n of `vectors`; `embedded` counts those that were not in a cache."""
        self.embedded = embedded
        self._chunks = chunks
        self._vectors = vectors
        self._embedder = embedder

    @classmethod
    def load(cls, folder: Path, cache: Path) -> "Corpus":
        """Read every .md and .txt file below `folder` with its sidecar, and embed what is not in `cache`.

        Blocking: seconds for a new folder, milliseconds afterwards. Raises StartupError, naming the file.
        """
        embedder = Embedder()
        vectors = VectorCache(cache, embedder)
        chunks: list[Chunk] = []
        rows: list[Vectors] = []
        for path in _documents(folder):
            sidecar = read_sidecar(path)
            texts = cut(_text(path), markdown=path.suffix == ".md")
            uri = f"{BUCKET}/{path.relative_to(folder).as_posix()}"
            chunks += [_chunk(text, uri, index, sidecar.attributes) for index, text in enumerate(texts)]
            rows.append(vectors.passages([_embedded_text(text, sidecar) for text in texts]))
        return cls(tuple(chunks), np.concatenate(rows), embedder, vectors.embedded)

    def __len__(self) -> int:
        """Count the chunks."""
        return len(self._chunks)

    def search(
        self, text: str, matches: Callable[[Metadata], bool], limit: int = 5, offset: int = 0
    ) -> list[FoundChunk]:
        """Return the chunks with matching metadata, nearest in meaning first: `limit` of them after `offset`.

        Blocking: about 20 ms of CPU time for a sentence, so call it in a worker thread.
        """
        scores = self._vectors @ self._embedder.query(text)
        nearest_first = (int(index) for index in np.argsort(-scores, kind="stable"))
        found = (index for index in nearest_first if matches(self._chunks[index].metadata))
        return [self._passage(index, float(scores[index])) for index in islice(found, offset, offset + limit)]

    def _passage(self, index: int, score: float) -> FoundChunk:
        chunk = self._chunks[index]
        return FoundChunk(chunk.text, chunk.uri, chunk.metadata, min(max(score, 0.0), 1.0))


def _documents(folder: Path) -> Iterator[Path]:
    """Yield the documents, ordered by name; refuse a folder without any, and a sidecar without a document."""
    if not folder.is_dir():
        raise StartupError(f"The documents' folder {folder} does not exist; create it or name another.")
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in paths:
        # A misspelt sidecar would leave its document without attributes, and so nobody could find it.
        if path.name.endswith(SUFFIX) and not path.with_name(path.name.removesuffix(SUFFIX)).exists():
            raise StartupError(
                f"The sidecar {path} belongs to no document; name it after one, e.g. guide.md{SUFFIX}, or remove it."
            )
    documents = [path for path in paths if path.suffix in (".md", ".txt")]
    if not documents:
        raise StartupError(f"The documents' folder {folder} holds no .md or .txt file; add one.")
    yield from documents


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise StartupError(f"The document {path} is not UTF-8; save it in that encoding.") from error
    except OSError as error:
        raise StartupError(f"The document {path} cannot be read ({error.strerror}); make it readable.") from error


def _chunk(text: str, uri: str, index: int, attributes: dict[str, Attribute]) -> Chunk:
    """Return a chunk with the document's attributes and those that Bedrock adds."""
    chunk_id = hashlib.sha256(f"{uri}\n{index}\n{text}".encode()).hexdigest()[:32]
    metadata: dict[str, Attribute] = {
        **attributes,
        "x-amz-bedrock-kb-source-uri": uri,
        "x-amz-bedrock-kb-chunk-id": chunk_id,
        "x-amz-bedrock-kb-data-source-id": DATA_SOURCE_ID,
    }
    return Chunk(text, uri, MappingProxyType(metadata))


def _embedded_text(text: str, sidecar: Sidecar) -> str:
    """Put the attributes with includeForEmbedding before the text, so that they are part of the vector."""
    return "\n".join([*(f"{name}: {sidecar.attributes[name]}" for name in sidecar.embedded), text])
