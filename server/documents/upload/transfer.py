"""Synchronise one folder through the real AWS clients, with progress for a person and one line per AWS error."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from server.documents.upload.bucket import Bucket
from server.documents.upload.check import CheckedFolder, check_folder
from server.documents.upload.ingestion import DataSource
from server.documents.upload.labels import LabelRules
from server.documents.upload.sync import Synced, sync
from server.errors import StartupError
from server.progress import progress


@dataclass(frozen=True, slots=True)
class Destination:
    """The target of an upload: a bucket, a prefix, and the data source that reads it; region None is AWS's default."""

    bucket: str
    prefix: str
    knowledge_base_id: str
    data_source_id: str
    region: str | None


def transfer(folder: Path, rules: LabelRules, to: Destination, *, delete: bool) -> tuple[CheckedFolder, Synced | None]:
    """Check the folder and, only if nothing is wrong, bring it to the knowledge base; StartupError when AWS refuses."""
    checked = check_folder(folder, rules)
    if checked.findings:
        return checked, None
    clients = cast("Any", boto3.Session())
    try:
        place = Bucket(clients.client("s3", region_name=to.region), to.bucket, to.prefix)
        agent = clients.client("bedrock-agent", region_name=to.region)
        source = DataSource(agent, to.knowledge_base_id, to.data_source_id)
        with progress("reading the bucket") as shown:
            return checked, sync(checked, place, source, shown, delete=delete)
    except (ClientError, BotoCoreError) as error:
        raise StartupError(f"{error}; what was uploaded stays, run the same command again") from error
