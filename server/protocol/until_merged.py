"""Stands in for what other branches build; each call of it becomes a call of the real thing, then this file goes."""

from typing import Any

from server.auth.access_token import AccessToken
from server.catalog.arguments import parse
from server.catalog.tool import TenantAccess, Tool
from server.errors import TenancyError
from server.tenancy.context import Tenancy, TenantContext


def needs_tenant(_tool: Tool[Any, Any]) -> bool:
    """Becomes `tool.needs_tenant`."""
    return True


async def answer(tool: Tool[Any, Any], arguments: dict[str, Any], access: TenantAccess) -> str:
    """Becomes `tool.answer(arguments, access)`."""
    result = await tool.call(parse(tool.arguments, arguments), access)
    return result.model_dump_json()


async def resolve(tenancy: Tenancy, token: AccessToken, asked: str | None, *, required: bool) -> TenantContext:  # noqa: ARG001
    """Becomes `tenancy.resolve(token, asked, required=required)`."""
    context = await tenancy.resolve(token)
    if asked is not None and asked != context.tenant:
        raise TenancyError("This address is not one of your tenants; ask your administrator for yours.")
    return context
