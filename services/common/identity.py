"""Who calls: the names in a caller's certificate, or the subject of its token."""

import hashlib
import json
import ssl
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote

import jwt
from cryptography import x509
from pydantic import BaseModel, ConfigDict, Field

from services.common.watched import Watched

LEEWAY_SECONDS = 10
"""By how much the clocks of two machines may differ."""

caller: ContextVar[str] = ContextVar("caller", default="")
"""Name of the caller of the call being served; empty where callers need no identity."""


class IdentityError(Exception):
    """A caller did not show who it is; the message says why, for our log alone."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a caller has shown to be.

    Attributes:
        names: URI names of its certificate (SPIFFE id), then DNS names; or the subject of its token.
        kind: what has shown it.
        expires: until when, seconds since 1970.
    """

    names: tuple[str, ...]
    kind: Literal["certificate", "token"]
    expires: float


class TokenPolicy(BaseModel):
    """Which JSON Web Tokens are taken."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: Annotated[str, Field(min_length=1, description="Who must have issued a token (`iss`).")]
    audience: Annotated[str, Field(min_length=1, description="Whom it must be for (`aud`).")]
    keys: Annotated[Path, Field(description="JWKS file with the issuer's public keys; beside the policy.")]
    algorithms: Annotated[
        tuple[Literal["ES256", "ES384", "PS256", "RS256", "EdDSA"], ...],
        Field(min_length=1, description="How it may be signed."),
    ] = ("ES256",)
    longest_seconds: Annotated[int, Field(gt=0, description="Longest time from `iat` to `exp`.")] = 3600
    certificate_bound: Annotated[
        bool,
        Field(description="Refuse tokens that name no certificate (`cnf`, RFC 8705); one that does is always held to."),
    ] = False


class Tokens:
    """Reads the tokens of an issuer."""

    def __init__(self, policy: TokenPolicy, folder: Path) -> None:
        """Read the issuer's keys.

        Args:
            policy: which tokens are taken.
            folder: what `policy.keys` is relative to.

        Raises:
            OSError: the keys cannot be read.
            ValueError: they are no JWKS.
        """
        self._policy = policy
        path = folder / policy.keys
        self.keys = Watched(lambda: _keys(path), [path])

    def identity(self, token: str, certificate: bytes) -> Identity:
        """Who a token is of.

        Args:
            token: the token, signed.
            certificate: PEM of the certificate that its caller showed; empty where it showed none.

        Raises:
            IdentityError: the token is not to be taken from this caller.
        """
        policy = self._policy
        try:
            key = self.keys().get(jwt.get_unverified_header(token).get("kid", ""))
            if key is None:
                raise IdentityError("the token's key is none of its issuer's")
            claims = jwt.decode(
                token,
                key,
                algorithms=policy.algorithms,
                audience=policy.audience,
                issuer=policy.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "sub", "aud", "iss"], "strict_aud": True},
            )
        except jwt.PyJWTError as error:
            raise IdentityError(f"token: {error}") from None
        if claims["exp"] - claims["iat"] > policy.longest_seconds:
            raise IdentityError(f"the token is good for more than {policy.longest_seconds} s")
        if not claims["sub"]:
            raise IdentityError("the token's subject is empty")
        bound = _confirmation(claims)
        if bound is None and policy.certificate_bound:
            raise IdentityError("the token is bound to no certificate")
        if bound is not None and (not certificate or bound != thumbprint(certificate)):
            raise IdentityError(f"the token of {claims['sub']!r} is bound to another certificate")
        return Identity((claims["sub"],), "token", claims["exp"] + LEEWAY_SECONDS)


def caller_at(peer: str) -> str:
    """The caller of the call being served: its name, or its address where callers need no identity.

    Args:
        peer: gRPC's name of where the call comes from: `ipv4:127.0.0.1:4711` is at `127.0.0.1`.
    """
    if name := caller.get():
        return name
    kind, _, address = unquote(peer).partition(":")
    return address.rpartition(":")[0].strip("[]") if kind.startswith("ip") else kind


def of_certificate(shown: Mapping[str, Any], certificate: bytes) -> Identity:
    """Who a certificate is of; TLS has verified it.

    Args:
        shown: gRPC's `auth_context`.
        certificate: PEM of the certificate.
    """
    names = [*shown.get("peer_uri", ()), *shown.get("peer_dns", ())]
    expires = x509.load_pem_x509_certificate(certificate).not_valid_after_utc.astimezone(UTC).timestamp()
    return Identity(tuple(name.decode() for name in names), "certificate", expires)


def thumbprint(certificate: bytes) -> str:
    """SHA-256 of a PEM certificate as tokens name it (`x5t#S256`)."""
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.decode())).digest()
    return jwt.utils.base64url_encode(digest).decode()


def _confirmation(claims: Mapping[str, Any]) -> str | None:
    """The certificate a token is bound to, of any other way of binding one that nobody can show."""
    if "cnf" not in claims:
        return None
    confirmation = claims["cnf"]
    return str(confirmation.get("x5t#S256", "")) if isinstance(confirmation, dict) else ""


def _keys(path: Path) -> dict[str, jwt.PyJWK]:
    try:
        return {key.key_id or "": key for key in jwt.PyJWKSet.from_dict(json.loads(path.read_text())).keys}
    except (jwt.PyJWTError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no JWKS: {error}") from None
