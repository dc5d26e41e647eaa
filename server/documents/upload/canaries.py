"""Canaries: one document per tier (and tenant) that no caller can find; `doctor` proves with them who sees what."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from server.documents.isolation import CANARY_TYPE, SHARED_TENANT
from server.documents.upload.labels import LabelRules
from server.documents.upload.sidecar import SUFFIX

FOLDER: Final = "tenantgate-canaries"


def write_canaries(folder: Path, rules: LabelRules) -> list[str]:
    """Write the canaries of every tier, and of every tenant named, below `folder`; return their names."""
    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    names: list[str] = []
    for labels in _labels(rules):
        tenant = labels.get("tenant_id", SHARED_TENANT).replace(SHARED_TENANT, "everyone")
        path = place / f"{labels['tier']}-{tenant}.txt"
        path.with_name(path.name + SUFFIX).write_text(json.dumps({"metadataAttributes": labels}), encoding="utf-8")
        # Short and without a subject, so that it is seldom similar to a question.
        path.write_text(f"{CANARY_TYPE} {labels['tier']} {tenant}\n", "utf-8")
        names.append(path.relative_to(folder).as_posix())
    return names


def _labels(rules: LabelRules) -> Iterator[dict[str, str]]:
    for tier in rules.tiers:
        common = {"tier": tier, "document_type": CANARY_TYPE}
        if "tenant_id" not in rules.isolate_by:
            yield common
            continue
        for tenant in (SHARED_TENANT, *rules.tenants):
            yield {**common, "tenant_id": tenant}
