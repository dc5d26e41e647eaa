"""Upload the changes of a checked folder to the bucket, and start an ingestion."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from server.documents.upload.bucket import Bucket, Outcome, no_longer_wanted
from server.documents.upload.check import CheckedFolder
from server.documents.upload.ingestion import DataSource, Ingested
from server.progress import Progress

_THREADS: Final = 8


@dataclass(slots=True)
class Synced:
    """The outcome of each document, by name; `failed` gives the reason, `leftover` what `--delete` would remove."""

    uploaded: list[str] = field(default_factory=list[str])
    unchanged: list[str] = field(default_factory=list[str])
    deleted: list[str] = field(default_factory=list[str])
    leftover: list[str] = field(default_factory=list[str])
    failed: dict[str, str] = field(default_factory=dict[str, str])
    ingestion: Ingested | None = None

    @property
    def is_whole(self) -> bool:
        """Whether everything is in the bucket and was ingested."""
        return not self.failed and self.ingestion is not None and self.ingestion.is_whole


def sync(checked: CheckedFolder, bucket: Bucket, source: DataSource, shown: Progress, *, delete: bool) -> Synced:
    """Upload what differs, delete documents that are gone if `--delete` asks for it, and ingest.

    The state is read from the bucket itself, so the next run completes one that was interrupted. When every document
    failed, nothing is ingested. Raises botocore's errors when the bucket cannot be listed.
    """
    sizes = bucket.sizes()
    synced = Synced(leftover=list(no_longer_wanted(sizes, checked.documents)))
    with ThreadPoolExecutor(_THREADS) as threads:
        work = {
            threads.submit(bucket.upload, document, checked.sidecars[document.name], sizes): document.name
            for document in checked.documents
        }
        if delete:
            work |= {threads.submit(bucket.delete, name): name for name in synced.leftover}
            synced.leftover = []
        shown.step(f"uploading {len(work)} documents", len(work))
        try:
            for _ in _outcomes(work, synced):
                shown.advance()
        finally:
            threads.shutdown(cancel_futures=True)
    if not synced.failed or synced.uploaded or synced.unchanged:
        synced.ingestion = source.ingest(shown.step)
    return synced


def _outcomes(work: dict[Future[Outcome], str], synced: Synced) -> Iterator[None]:
    """Keep each outcome as soon as it is there, and yield."""
    for done in as_completed(work):
        name = work[done]
        try:
            outcome = done.result()
        except (ClientError, BotoCoreError, OSError) as error:
            synced.failed[name] = f"{type(error).__name__}: {error}"
        else:
            {"uploaded": synced.uploaded, "unchanged": synced.unchanged, "deleted": synced.deleted}[outcome].append(
                name
            )
        yield
