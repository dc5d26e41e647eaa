"""Whether a connection to the database is protected: it stays on this machine, or the certificate is verified."""

import ipaddress
from collections.abc import Collection, Mapping

from server.errors import SettingsError


def require_verified(parameters: Mapping[str, object], key: str, unverified: Collection[str]) -> None:
    """Refuse a host on another machine unless its certificate and name are verified (sslmode=verify-full).

    `unverified` are the hosts that the settings accept without verification. Raises SettingsError that names the host.
    """
    # libpq's defaults: with sslrootcert=system, it allows only verify-full.
    default = "verify-full" if parameters.get("sslrootcert") == "system" else "prefer"
    mode = str(parameters.get("sslmode") or default)
    if mode == "verify-full":
        return
    accepted = {name.lower() for name in unverified}
    for host, address in _hosts(parameters):
        if not is_here(address or host) and not {host.lower(), address.lower()} & accepted:
            raise SettingsError(
                f"{key}: {host or address} is not on this machine and sslmode is {mode}, so anyone on the network "
                "path could read and change the traffic; add sslmode=verify-full to the URL (with sslrootcert, see "
                "docs/database.md), "
                "or accept the host by name in database.unverified_tls"
            )


def _hosts(parameters: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return each host with the address that libpq connects to instead, if one is given."""
    if parameters.get("service") and not parameters.get("host") and not parameters.get("hostaddr"):
        return [(f"the service {parameters['service']}", "")]
    hosts = str(parameters.get("host") or "").split(",")
    addresses = str(parameters.get("hostaddr") or "").split(",")
    count = max(len(hosts), len(addresses))
    hosts += [""] * (count - len(hosts))
    addresses += [""] * (count - len(addresses))
    return list(zip(hosts, addresses, strict=True))


def is_here(host: str) -> bool:
    """Whether a host is this machine; without a host, libpq uses a local socket."""
    if not host or host.startswith(("/", "@")) or host.lower() in {"localhost", "localhost."}:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
