"""Bedrock's ingestion of the bucket: start it, wait for it, and report the documents that failed."""

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from server.errors import StartupError

_ENDED: Final = frozenset({"COMPLETE", "FAILED", "STOPPED"})
_FAILED: Final = frozenset(
    {"FAILED", "PARTIALLY_INDEXED", "METADATA_PARTIALLY_INDEXED", "METADATA_UPDATE_FAILED", "IGNORED"}
)


@dataclass(frozen=True, slots=True)
class Ingested:
    """How an ingestion ended; `failed` maps a document's address to the reason."""

    job: str
    status: str
    statistics: dict[str, int]
    reasons: list[str]
    failed: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def is_whole(self) -> bool:
        """Whether every document was ingested."""
        return self.status == "COMPLETE" and not self.failed and not self.statistics.get("numberOfDocumentsFailed")


@dataclass(frozen=True, slots=True)
class DataSource:
    """One data source of one knowledge base, through boto3's bedrock-agent client."""

    client: Any
    knowledge_base_id: str
    data_source_id: str
    patience_s: float = 3_600.0

    def ingest(self, report: Callable[[str], None]) -> Ingested:
        """Start an ingestion and wait for its end, reporting its state; StartupError after an hour."""
        deadline = time.monotonic() + self.patience_s
        job = self._start(deadline, report)
        pauses = _pauses()
        while job["status"] not in _ENDED:
            self._pause(next(pauses), deadline, f"ingestion {job['ingestionJobId']} still runs")
            job = self.client.get_ingestion_job(**self._place, ingestionJobId=job["ingestionJobId"])["ingestionJob"]
            report(f"ingestion {job['status'].lower().replace('_', ' ')}: {_progress(job.get('statistics', {}))}")
        statistics = job.get("statistics", {})
        troubled = job["status"] != "COMPLETE" or statistics.get("numberOfDocumentsFailed")
        failed = self._failed() if troubled else {}
        return Ingested(job["ingestionJobId"], job["status"], statistics, job.get("failureReasons", []), failed)

    @property
    def _place(self) -> dict[str, str]:
        return {"knowledgeBaseId": self.knowledge_base_id, "dataSourceId": self.data_source_id}

    def _start(self, deadline: float, report: Callable[[str], None]) -> dict[str, Any]:
        """Start after any running ingestion has ended: that one may have begun before the last upload."""
        token = str(uuid.uuid4())
        pauses = _pauses()
        while True:
            try:
                return self.client.start_ingestion_job(**self._place, clientToken=token)["ingestionJob"]
            except self.client.exceptions.ConflictException:
                report("waiting for another ingestion to end")
                self._pause(next(pauses), deadline, "another ingestion still runs")

    def _pause(self, seconds: float, deadline: float, what: str) -> None:
        if time.monotonic() > deadline:
            raise StartupError(f"{what} after {self.patience_s:g} s; run the same command again later")
        time.sleep(seconds)

    def _failed(self) -> dict[str, str]:
        pages = self.client.get_paginator("list_knowledge_base_documents").paginate(**self._place)
        documents = (document for page in pages for document in page["documentDetails"])
        return {
            _address(document["identifier"]): f"{document['status']}: {document.get('statusReason', 'no reason given')}"
            for document in documents
            if document["status"] in _FAILED
        }


def _pauses() -> Iterator[float]:
    """Yield the seconds between two questions: few for a small folder, more for a large one."""
    seconds = 0.25
    while True:
        yield seconds
        seconds = min(seconds * 1.5, 5.0)


def _address(identifier: dict[str, Any]) -> str:
    return identifier.get("s3", {}).get("uri") or identifier.get("custom", {}).get("id", "unnamed document")


def _progress(statistics: dict[str, int]) -> str:
    scanned = statistics.get("numberOfDocumentsScanned", 0)
    taken = statistics.get("numberOfNewDocumentsIndexed", 0) + statistics.get("numberOfModifiedDocumentsIndexed", 0)
    return f"{scanned} scanned, {taken} indexed, {statistics.get('numberOfDocumentsFailed', 0)} failed"
