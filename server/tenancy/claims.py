"""Which tenants a token claims: the values at the configured claim paths, in their canonical spelling."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from server.auth.access_token import ABSENT, claim_at, is_left_out
from server.errors import TenancyError
from server.tenant_id import IdType, canonical_tenant

# In a claim path: the keys of the map at this point.
KEYS: Final = ".*"
_ASK: Final = "ask your administrator to correct it"
LEFT_OUT: Final = (
    "Your identity provider left your groups out of the access token, because there are too many; "
    "ask your administrator to send only the groups of this application, or app roles."
)


def claimed_tenants(claims: Mapping[str, Any], paths: Sequence[str], id_type: IdType) -> frozenset[str] | None:
    """Return the tenants that the claims name, or None when no path finds a claim.

    A claim holds one id or a list of them; an empty list names no tenant, which is not the same as no claim. Raises
    TenancyError when a claim that is present is malformed, and when two paths name different tenants.
    """
    found = {path: ids for path in paths if (ids := _ids_at(claims, path, id_type)) is not None}
    if len(set(found.values())) > 1:
        raise TenancyError(
            f"The claims of your access token name different tenants; {_ASK}.",
            reason="the claims name different tenants",
            claim=", ".join(found),
        )
    return next(iter(found.values()), None)


def _ids_at(claims: Mapping[str, Any], path: str, id_type: IdType) -> frozenset[str] | None:
    values = _values_at(claims, path)
    if values is None:
        return None
    ids = [canonical_tenant(value, id_type) for value in values]
    if None in ids:
        raise _malformed(path, f"the claim contains a value that is not a tenant id of the type {id_type}")
    return frozenset(cast("list[str]", ids))


def _values_at(claims: Mapping[str, Any], path: str) -> list[Any] | None:
    """Return the values at a path: `a.b` is a value or a list, `a.*` the keys of a map, `a.*.b` the b of each entry."""
    map_path, keys, rest = path.partition(KEYS)
    value = claim_at(claims, map_path)
    if value is ABSENT:
        # A claim that is stored elsewhere is not a missing claim: the registry alone must not decide then.
        if is_left_out(claims, map_path):
            raise TenancyError(LEFT_OUT, reason="the issuer left the claim out of the token (_claim_names)", claim=path)
        return None
    if not keys:
        # A path that finds an object by mistake would give its keys; to use the keys, the path must say so.
        if isinstance(value, Mapping):
            raise _malformed(path, f'the claim is a map; write "{path}{KEYS}" if its keys are the tenants')
        return cast("list[Any]", value) if isinstance(value, list) else [value]
    if not isinstance(value, Mapping):
        raise _malformed(path, f'the claim is not a map; write "{map_path}" for a text or a list')
    entries = cast("Mapping[str, Any]", value)
    return [_inside(entry, rest.removeprefix("."), path) for entry in entries.values()] if rest else list(entries)


def _inside(entry: Any, rest: str, path: str) -> Any:
    """Return the value at `rest` in one entry of a map; an entry without it is malformed and is not skipped."""
    value = claim_at(cast("Mapping[str, Any]", entry), rest) if isinstance(entry, Mapping) else ABSENT
    if value is ABSENT:
        raise _malformed(path, f'an entry of the map has no "{rest}"')
    return value


def _malformed(path: str, reason: str) -> TenancyError:
    return TenancyError(f"Your access token names a malformed tenant; {_ASK}.", reason=reason, claim=path)
