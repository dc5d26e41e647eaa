"""What an operator should know about the trail's settings."""

from server.settings import AuditSettings


def audit_notices(settings: AuditSettings) -> tuple[str, ...]:
    """Return what is allowed but should be known: decisions that are not recorded, or not signed."""
    if settings.path is None:
        return ("no audit trail is kept: who read what is not recorded; set audit.path",)
    if not settings.signing_key.get_secret_value():
        return ("the audit trail is not signed; make a key with `tenantgate audit keys` and set audit.signing_key",)
    return ()
