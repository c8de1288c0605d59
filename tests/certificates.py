"""Certificates and tokens of an authority that exists for a test."""

import datetime
import ipaddress
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

ISSUER, AUDIENCE = "https://login.test", "ghostback"


@dataclass(frozen=True)
class Files:
    """PEM files of a certificate and its key."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates, and keeps them in a folder."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder = folder
        self.ca = folder / f"{name}.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.ca.write_bytes(self._signed(self._name, self._key, [], authority=True, days=1))

    def issue(self, name: str, *sans: str, days: int = 1) -> Files:
        """A certificate with these URIs, addresses or DNS names; one of a negative number of days has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        files = Files(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        files.certificate.write_bytes(self._signed(subject, key, [_general_name(san) for san in sans], days=days))
        return files

    def _signed(
        self, subject: x509.Name, key: Any, sans: list[x509.GeneralName], *, days: int, authority: bool = False
    ) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=9))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
        )
        if sans:
            builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)


class Issuer:
    """Signs tokens, and keeps the public key in a JWKS file."""

    def __init__(self, keys: Path) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key()))
        keys.write_text(json.dumps({"keys": [public | {"kid": "test", "alg": "ES256", "use": "sig"}]}))

    def token(self, subject: str, seconds: float = 600, **claims: Any) -> str:
        """A token; claims are put in place of the usual ones."""
        now = time.time()
        usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": now - 60, "exp": now + seconds}
        return jwt.encode(usual | claims, self.key, "ES256", {"kid": "test"})

    def forged(self, **header: Any) -> str:
        """A token signed by another key, with this header."""
        now = time.time()
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "admin", "iat": now, "exp": now + 600}
        algorithm = header.pop("alg", "ES256")
        keys = {"none": None, "HS256": "a-secret-that-is-long-enough-for-it"}
        key = keys.get(algorithm, ec.generate_private_key(ec.SECP256R1()))
        return jwt.encode(claims, key, algorithm, {"kid": "test"} | header)


def _general_name(san: str) -> x509.GeneralName:
    if "://" in san:
        return x509.UniformResourceIdentifier(san)
    try:
        return x509.IPAddress(ipaddress.ip_address(san))
    except ValueError:
        return x509.DNSName(san)
