"""Audit records as events of the Open Cybersecurity Schema Framework (OCSF 1.8.0), for a security lake or a SIEM.

A request is an API Activity; each statement and each search of a call is a Datastore Activity beside it. Fields
without a place in the schema are in `unmapped`.
"""

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, Final

VERSION: Final = "1.8.0"
_API: Final = (6003, "API Activity")
_DATASTORE: Final = (6005, "Datastore Activity")
_READ, _OTHER = 2, 99
_DATASTORE_READ: Final = 1
_QUERY: Final = 4
_INFORMATIONAL, _LOW = 1, 2
_SUCCESS, _FAILURE = 1, 2
_DATABASE, _DATABUCKET = 1, 2
_RELATIONAL: Final = 1
_DONE: Final = frozenset({"answered", "done"})
_MAPPED: Final = frozenset(
    {
        *("number", "time", "previous", "hash", "request", "address", "method", "mcp_method", "issuer", "subject"),
        *("client", "tenant", "outcome", "refused", "status", "ms", "statements", "documents", "network", "count"),
        *("first", "last", "event", "token_id"),
    }
)


def events(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the events of one record."""
    yield _api_activity(record)
    for statement in record.get("statements", ()):
        query = {"query_string": statement["name"], "name": statement["name"], "uid": statement["digest"]}
        database = {"name": "tenantgate", "type_id": _RELATIONAL}
        yield _event(record, _DATASTORE, _QUERY) | {"type_id": _DATABASE, "database": database, "query_info": query}
    if record.get("searches"):
        documents = {"name": "documents", "type_id": _OTHER, "type": "knowledge base"}
        event = _event(record, _DATASTORE, _DATASTORE_READ)
        event["unmapped"] = {**event.get("unmapped", {}), "documents": record.get("documents", [])}
        yield event | {"type_id": _DATABUCKET, "databucket": documents}


def _api_activity(record: dict[str, Any]) -> dict[str, Any]:
    known = "mcp_method" in record or "event" in record
    event = _event(record, _API, _READ if known else _OTHER)
    if "event" not in record and not known:
        event["activity_name"] = record.get("method", "request")
    operation = record.get("did") or record.get("mcp_method") or record.get("method") or "request"
    event["api"] = {"operation": operation}
    if "request" in record:
        event["api"]["request"] = {"uid": record["request"]}
    if "status" in record:
        event["api"]["response"] = {"code": record["status"]}
    if "tool" in record:
        event["resources"] = [{"name": record["tool"], "type": "tool"}]
    return event


def _event(record: dict[str, Any], kind: tuple[int, str], activity: int) -> dict[str, Any]:
    uid, name = kind
    failed = record.get("refused") is not None or record.get("outcome", "answered") not in _DONE
    event: dict[str, Any] = {
        "class_uid": uid,
        "class_name": name,
        "category_uid": uid // 1000,
        "activity_id": activity,
        "type_uid": uid * 100 + activity,
        "time": round(record["time"] * 1000),
        "severity_id": _LOW if failed else _INFORMATIONAL,
        "status_id": _FAILURE if failed or record.get("status", 200) >= 400 else _SUCCESS,
        "metadata": _metadata(record),
        "actor": _actor(record),
        "src_endpoint": _source(record),
    }
    if "status" in record:
        event["status_code"] = str(record["status"])
    if detail := record.get("refused") or record.get("outcome"):
        event["status_detail"] = detail
    if "ms" in record:
        event["duration"] = round(record["ms"])
    if "count" in record:
        times = {"start_time": round(record["first"] * 1000), "end_time": round(record["last"] * 1000)}
        event |= {"count": record["count"], **times}
    if left := {name: value for name, value in record.items() if name not in _MAPPED}:
        event["unmapped"] = left
    return event


def _metadata(record: dict[str, Any]) -> dict[str, Any]:
    product = {"name": "tenantgate", "vendor_name": "tenantgate", "version": version("tenantgate")}
    found = {"version": VERSION, "product": product, "uid": record["hash"], "sequence": record["number"]}
    if "tenant" in record:
        found["tenant_uid"] = record["tenant"]
    if "request" in record:
        found["correlation_uid"] = record["request"]
    return found


def _actor(record: dict[str, Any]) -> dict[str, Any]:
    if "subject" not in record:
        return {"app_name": record.get("by", "nobody who was authenticated")}
    session = {"issuer": record["issuer"], "credential_uid": record.get("token_id")}
    found: dict[str, Any] = {
        "user": {"uid": record["subject"], "domain": record["issuer"]},
        "session": {name: value for name, value in session.items() if value is not None},
    }
    if "client" in record:
        found["app_uid"] = record["client"]
    return found


def _source(record: dict[str, Any]) -> dict[str, Any]:
    if record.get("address"):
        return {"ip": record["address"]}
    return {"name": record.get("network") or "unknown"}
