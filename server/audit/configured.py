"""The audit trail as the settings describe it."""

from server.audit.keys import PublicKeys, TrailSigner, parse_signing_key, public_keys, public_text_of
from server.audit.rules import TrailRules
from server.audit.trail import AuditTrail
from server.settings import AuditSettings
from server.settings.audit import KMS_PREFIX


def configured_trail(settings: AuditSettings, *, announced: bool = True) -> AuditTrail | None:
    """Open the trail for writing, or return None where the settings have none; raises StartupError.

    With `announced`, checkpoints are also written to the log.
    """
    if settings.path is None:
        return None
    rules = TrailRules(
        settings.checkpoint_records,
        settings.checkpoint_s,
        settings.rotate_bytes,
        settings.rotate_s,
        settings.fsync,
        announced,
    )
    return AuditTrail(settings.path, configured_key(settings), rules)


def configured_key(settings: AuditSettings) -> TrailSigner | None:
    """Return the key that signs, None where none is set; raises StartupError for a KMS key that cannot be used."""
    text = settings.signing_key.get_secret_value()
    if text.startswith(KMS_PREFIX):
        # boto3 is loaded only where the key is in KMS.
        from server.audit.kms import KmsKey

        return KmsKey(text.removeprefix(KMS_PREFIX))
    return parse_signing_key(text) if text else None


def configured_public_key(settings: AuditSettings) -> str | None:
    """Return the public half of the signing key in base64; for a key in KMS, the right to sign is not needed."""
    text = settings.signing_key.get_secret_value()
    if text.startswith(KMS_PREFIX):
        from server.audit.kms import kms_public_key

        return public_text_of(kms_public_key(text.removeprefix(KMS_PREFIX)))
    return parse_signing_key(text).public_text() if text else None


def configured_public_keys(settings: AuditSettings) -> PublicKeys | None:
    """Return every key whose checkpoints are trusted; None where trails are not signed."""
    key = configured_public_key(settings)
    texts = (*settings.public_keys, *((key,) if key else ()))
    return public_keys(texts) if texts else None
