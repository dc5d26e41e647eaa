"""`tenantgate documents sync` against S3 as moto serves it, with genuine boto3: cut off at any moment, it converges.

moto's bedrock-agent knows no data sources and no ingestion, so those three operations are served here.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer
from support.quiet_runner import QuietRunner

from server.__main__ import cli
from server.errors import StartupError

SUFFIX = ".metadata.json"
BUCKET = "guides"
INGESTION = "/knowledgebases/ABCDEFGHIJ/datasources/KLMNOPQRST"


class Ingestion(ThreadingHTTPServer):
    """StartIngestionJob, GetIngestionJob and ListKnowledgeBaseDocuments of the Agents for Amazon Bedrock API."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.started = 0
        self.conflicts = 0
        self.statuses = ["IN_PROGRESS", "COMPLETE"]
        self.statistics = {"numberOfDocumentsScanned": 3, "numberOfNewDocumentsIndexed": 3}
        self.documents = []


class Answers(BaseHTTPRequestHandler):
    server: Ingestion  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_PUT(self):
        assert self.path == f"{INGESTION}/ingestionjobs/"
        if self.server.conflicts:
            self.server.conflicts -= 1
            return self.answer(409, {"message": "a job is running"}, "ConflictException")
        self.server.started += 1
        return self.answer(202, {"ingestionJob": self.job("STARTING")})

    def do_GET(self):
        assert self.path == f"{INGESTION}/ingestionjobs/JOB0000001"
        statuses = self.server.statuses
        self.answer(200, {"ingestionJob": self.job(statuses.pop(0) if len(statuses) > 1 else statuses[0])})

    def do_POST(self):
        assert self.path == f"{INGESTION}/documents"
        self.answer(200, {"documentDetails": self.server.documents})

    def job(self, status):
        return {
            "ingestionJobId": "JOB0000001",
            "knowledgeBaseId": "ABCDEFGHIJ",
            "dataSourceId": "KLMNOPQRST",
            "status": status,
            "statistics": self.server.statistics,
            "failureReasons": ["the store is full"] if status == "FAILED" else [],
            "startedAt": "2026-01-01T00:00:00Z",
            "updatedAt": "2026-01-01T00:00:00Z",
        }

    def answer(self, status, body, error_type=""):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        if error_type:
            self.send_header("x-amzn-errortype", error_type)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format, *args):  # noqa: A002
        pass


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def ingestion() -> Iterator[Ingestion]:
    with Ingestion() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def s3(moto: str) -> Iterator[Any]:
    client = boto3.Session().client(
        "s3",
        endpoint_url=moto,
        region_name="us-east-1",
        aws_access_key_id="worthless",
        aws_secret_access_key="worthless",
        config=Config(s3={"addressing_style": "path"}),
    )
    client.create_bucket(Bucket=BUCKET)
    yield client
    if listed := names(client):
        client.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": name} for name in listed]})
    client.delete_bucket(Bucket=BUCKET)
    client.close()


@pytest.fixture(autouse=True)
def environment(moto: str, ingestion: Ingestion, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's AWS configuration, and loopback addresses alone."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "TENANTGATE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "worthless")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "worthless")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", moto)
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_AGENT", ingestion.url)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")


def names(s3):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return {one["Key"] for page in pages for one in page.get("Contents", ())}


def unlabelled(listed):
    """Return the documents that lie there without their sidecar."""
    return {name for name in listed if not name.endswith(SUFFIX) and name + SUFFIX not in listed}


def write(folder, name, text, tier="regular"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.with_name(path.name + SUFFIX).write_text(json.dumps({"metadataAttributes": {"tier": tier}}))


def options(folder, *more):
    place = ["--bucket", BUCKET, "--data-source", "KLMNOPQRST", "--knowledge-base", "ABCDEFGHIJ"]
    return ["documents", "sync", str(folder), *place, "--region", "us-east-1", *more]


def sync(folder, *more, code=0) -> dict[str, Any]:
    """Run the verb to its end and return what it printed as JSON."""
    run = QuietRunner().invoke(cli, options(folder, "--json", *more))
    assert run.exit_code == code, (run.stdout, run.exception)
    return json.loads(run.stdout)


def started(folder):
    """Start the command as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "server", *options(folder)],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_only_what_changed_is_uploaded_and_ingested(tmp_path, s3, ingestion):
    for number in range(3):
        write(tmp_path, f"deep/{number}.md", f"document {number}")
    first = sync(tmp_path, "--prefix", "guides/")
    assert (sorted(first["uploaded"]), first["unchanged"]) == (["deep/0.md", "deep/1.md", "deep/2.md"], [])
    assert first["is_whole"]
    assert first["ingestion"]["status"] == "COMPLETE"
    assert len(names(s3)) == 6
    assert unlabelled(names(s3)) == set()
    there = s3.get_object(Bucket=BUCKET, Key="guides/deep/1.md.metadata.json")
    assert json.loads(there["Body"].read()) == {"metadataAttributes": {"tier": "regular"}}
    write(tmp_path, "deep/1.md", "document !")
    write(tmp_path, "deep/2.md", "document 2", tier="platinum")
    second = sync(tmp_path, "--prefix", "guides/")
    assert (sorted(second["uploaded"]), second["unchanged"]) == (["deep/1.md", "deep/2.md"], ["deep/0.md"])
    third = sync(tmp_path, "--prefix", "guides/")
    assert (third["uploaded"], len(third["unchanged"])) == ([], 3)
    assert ingestion.started == 3


def test_nothing_is_deleted_unless_asked_for(tmp_path, s3):
    write(tmp_path, "a.md", "a")
    write(tmp_path, "b.md", "b")
    sync(tmp_path)
    s3.put_object(Bucket=BUCKET, Key="orphan.md.metadata.json", Body=b"{}")
    for name in ("b.md", "b.md.metadata.json"):
        (tmp_path / name).unlink()
    assert sync(tmp_path)["leftover"] == ["b.md", "orphan.md"]
    assert "b.md" in names(s3)
    deleted = sync(tmp_path, "--delete")
    assert (sorted(deleted["deleted"]), deleted["leftover"]) == (["b.md", "orphan.md"], [])
    assert names(s3) == {"a.md", "a.md.metadata.json"}


def test_objects_outside_the_prefix_are_not_changed(tmp_path, s3):
    s3.put_object(Bucket=BUCKET, Key="other.md", Body=b"x")
    write(tmp_path, "a.md", "a")
    sync(tmp_path, "--prefix", "mine/", "--delete")
    assert names(s3) == {"other.md", "mine/a.md", "mine/a.md.metadata.json"}


def test_a_folder_with_a_mistake_is_not_uploaded_at_all(tmp_path, s3, ingestion):
    write(tmp_path, "a.md", "a")
    (tmp_path / "b.md").write_text("b")
    refused = sync(tmp_path, code=1)
    assert [one["kind"] for one in refused["findings"]] == ["missing-sidecar"]
    assert (names(s3), ingestion.started) == (set(), 0)


def test_documents_that_bedrock_could_not_take_are_reported_one_by_one(tmp_path, s3, ingestion):
    write(tmp_path, "a.md", "a")
    ingestion.statistics["numberOfDocumentsFailed"] = 1
    place = {"knowledgeBaseId": "ABCDEFGHIJ", "dataSourceId": "KLMNOPQRST"}
    ingestion.documents = [
        {**place, "status": status, "identifier": {"dataSourceType": "S3", "s3": {"uri": uri}}, "statusReason": reason}
        for uri, status, reason in [
            ("s3://guides/a.md", "FAILED", "the file is damaged"),
            ("s3://guides/b.md", "INDEXED", ""),
        ]
    ]
    result = sync(tmp_path, code=1)
    assert result["ingestion"]["failed"] == {"s3://guides/a.md": "FAILED: the file is damaged"}
    assert not result["is_whole"]
    run = QuietRunner().invoke(cli, options(tmp_path))
    assert run.exit_code == 1
    assert "the file is damaged" in " ".join(run.stdout.split())


def test_a_failed_ingestion_fails_the_command(tmp_path, s3, ingestion):
    write(tmp_path, "a.md", "a")
    ingestion.statuses = ["FAILED"]
    result = sync(tmp_path, code=1)
    assert (result["ingestion"]["status"], result["ingestion"]["reasons"]) == ("FAILED", ["the store is full"])


def test_another_ingestion_is_waited_for(tmp_path, s3, ingestion):
    write(tmp_path, "a.md", "a")
    ingestion.conflicts = 1
    assert sync(tmp_path)["is_whole"]
    assert ingestion.started == 1


def test_a_missing_bucket_is_one_line(tmp_path):
    write(tmp_path, "a.md", "a")
    run = QuietRunner().invoke(cli, options(tmp_path))
    assert isinstance(run.exception, StartupError)
    assert str(run.exception).startswith("An error occurred (NoSuchBucket)")
    assert str(run.exception).endswith("what was uploaded stays, run the same command again")


def test_old_text_never_lies_under_new_labels(tmp_path, s3):
    """When the text and the labels of a document change together, the old text is gone before the new labels come."""
    write(tmp_path, "a.md", "for platinum alone", "platinum")
    sync(tmp_path)
    write(tmp_path, "a.md", "for everybody here", "regular")
    seen = []
    with started(tmp_path) as run:
        while run.poll() is None:
            seen.append(pair(s3))
    assert pair(s3) == ("for everybody here", "regular")
    assert ("for platinum alone", "regular") not in seen
    assert ("for platinum alone", "platinum") in seen


def pair(s3):
    """Return the text of a.md, or None while it is not there, and the tier that it has then."""
    text = tier = None
    for name in ("a.md", "a.md.metadata.json"):
        try:
            content = s3.get_object(Bucket=BUCKET, Key=name)["Body"].read().decode()
        except s3.exceptions.NoSuchKey:
            continue
        if name == "a.md":
            text = content
        else:
            tier = json.loads(content)["metadataAttributes"]["tier"]
    return text, tier


def test_killed_in_the_middle_it_converges_and_no_document_is_ever_without_its_sidecar(tmp_path, s3, ingestion):
    for number in range(120):
        write(tmp_path, f"{number:03}.md", f"document {number}")
    for _ in range(2):
        aim = len(names(s3)) + 10
        with started(tmp_path) as run:
            while run.poll() is None:
                listed = names(s3)
                assert unlabelled(listed) == set()
                if len(listed) >= aim:
                    run.send_signal(signal.SIGKILL)
                    break
                time.sleep(0.01)
        assert run.returncode == -signal.SIGKILL
        assert unlabelled(names(s3)) == set()
    assert 0 < len(names(s3)) < 240
    assert ingestion.started == 0
    resumed = sync(tmp_path)
    assert resumed["is_whole"]
    assert resumed["uploaded"]
    assert resumed["unchanged"]
    assert len(names(s3)) == 240
    assert ingestion.started == 1
