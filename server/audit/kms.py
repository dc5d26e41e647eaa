"""A key in AWS KMS that signs the audit trail (KeySpec ECC_NIST_EDWARDS25519): its private half never leaves KMS.

It authorises a key of this process to sign checkpoints for an hour, and again every quarter of an hour, in a thread:
neither a request nor the event loop waits for it. While KMS does not answer, service goes on until the last hour is
over; then records cannot be signed, and requests are refused until it answers.
"""

import errno
import secrets
import threading
import time
from functools import cache
from typing import Any, Final, cast

import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from server.audit.delegation import Delegation, TenantGrants, delegated
from server.audit.keys import SigningKey, key_id, public_text_of
from server.errors import StartupError

LENT_S: Final = 3_600
RENEWED_S: Final = 900
RETRIED_S: Final = 30
# Allows for a clock that was set back a little.
_SLACK_S: Final = 30
_CONNECT_S: Final = 2
_READ_S: Final = 5
_ATTEMPTS: Final = 2
_log: Final = structlog.get_logger("audit")


class KmsKey:
    """Signs as a SigningKey does, with a key in KMS."""

    def __init__(self, arn: str) -> None:
        """Ask KMS for the public half, for the key of grants, and for the first hour.

        Raises StartupError with the key, AWS's code and the remedy.
        """
        self._arn: Final = arn
        self._public: Final = kms_public_key(arn)
        self.kid: Final = key_id(self._public)
        try:
            self._grants: Final = TenantGrants(self._public, self._sign)
            self._now = self._borrow()
        except (ValueError, InvalidSignature) as error:
            raise StartupError(f"audit.signing_key: {arn} {error or 'does not sign as Ed25519 does'}") from error
        except Exception as error:
            raise StartupError(_explained(arn, error)) from error
        self._renew_at = time.monotonic() + RENEWED_S
        self._renewing: threading.Thread | None = None

    def public_text(self) -> str:
        """Return the base64 form of the public key."""
        return public_text_of(self._public)

    def lent(self) -> tuple[Ed25519PrivateKey, dict[str, Any]]:
        """Return the key that signs a checkpoint now, and its statement; raise OSError when its time is over."""
        if time.monotonic() >= self._renew_at and self._renewing is None:
            self._renewing = threading.Thread(target=self._renew, name="audit-kms", daemon=True)
            self._renewing.start()
        now = self._now
        if time.time() >= now.until:
            raise OSError(errno.ETIMEDOUT, "AWS KMS has not answered for an hour, so checkpoints cannot be signed")
        return now.key.private, {"delegation": now.statement}

    def grant(self, text: bytes) -> bytes:
        """Return a signature of `text` with which a tenant checks its secret."""
        return self._grants.grant(text)

    def _renew(self) -> None:
        try:
            self._now = self._borrow()
            self._renew_at = time.monotonic() + RENEWED_S
        except Exception as error:  # noqa: BLE001  # tried again, whatever it is
            self._renew_at = time.monotonic() + RETRIED_S
            _log.warning(
                "the audit key in AWS KMS was not renewed; it is tried again", problem=_explained(self._arn, error)
            )
        finally:
            self._renewing = None

    def _borrow(self) -> Delegation:
        now = int(time.time())
        own = SigningKey(secrets.token_bytes(32))
        return delegated(own, self.kid, now - _SLACK_S, now + LENT_S, self._sign)

    def _sign(self, text: bytes) -> bytes:
        answer = _client(_region(self._arn)).sign(
            KeyId=self._arn, Message=text, MessageType="RAW", SigningAlgorithm="ED25519_SHA_512"
        )
        return bytes(answer["Signature"])


def kms_public_key(arn: str) -> Ed25519PublicKey:
    """Return the public half of a key in KMS; raises StartupError."""
    try:
        key = load_der_public_key(_client(_region(arn)).get_public_key(KeyId=arn)["PublicKey"])
    except Exception as error:
        raise StartupError(_explained(arn, error)) from error
    if not isinstance(key, Ed25519PublicKey):
        raise StartupError(f"audit.signing_key: {arn} is not an Ed25519 key; create one of ECC_NIST_EDWARDS25519")
    return key


def _explained(arn: str, error: Any) -> str:
    code = str(getattr(error, "response", {}).get("Error", {}).get("Code", type(error).__name__))
    remedy = "check the AWS credentials and the network"
    if "AccessDenied" in code:
        remedy = "allow kms:Sign and kms:GetPublicKey on it"
    elif code in {"NotFoundException", "DisabledException", "KMSInvalidStateException", "InvalidKeyUsageException"}:
        remedy = "name an enabled key of ECC_NIST_EDWARDS25519 for SIGN_VERIFY"
    return f"audit.signing_key: {arn} cannot be used ({code}); {remedy}"


def _region(arn: str) -> str:
    return arn.split(":")[3]


@cache
def _client(region: str) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=_CONNECT_S, read_timeout=_READ_S, retries={"total_max_attempts": _ATTEMPTS})
    return cast("Any", boto3.Session()).client("kms", region_name=region, config=config)
