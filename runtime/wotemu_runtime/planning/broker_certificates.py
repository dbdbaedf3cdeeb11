"""Certificates of brokers, of an authority that is new in each run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

_BEFORE = timedelta(days=3650)
"""Nodes' clocks may be wrong, also on purpose."""
_AFTER = timedelta(days=3650)
_LOOPBACK = ("localhost", IPv4Address("127.0.0.1"))


class BrokerAuthority:
    """Signs brokers' certificates. Its key is in no file and in no message."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "WoTemu")])
        basic = x509.BasicConstraints(ca=True, path_length=0)
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        built = (
            self._builder(self._name, self._key.public_key())
            .add_extension(basic, critical=True)
            .add_extension(usage, critical=True)
        )
        self._certificate = built.sign(self._key, SHA256())

    @property
    def certificate(self) -> str:
        """Its own certificate, as PEM, by which clients know brokers."""
        return self._certificate.public_bytes(Encoding.PEM).decode()

    def certify(self, names: Sequence[str]) -> tuple[str, str]:
        """A new certificate and its key, both as PEM.

        Args:
            names: The host names by which clients reach the broker, one at least.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
        localhost, loopback = _LOOPBACK
        alternative = x509.SubjectAlternativeName(
            [*(x509.DNSName(name) for name in (*names, localhost)), x509.IPAddress(loopback)]
        )
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        built = (
            self._builder(subject, key.public_key())
            .add_extension(alternative, critical=False)
            .add_extension(authority, critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        )
        certificate = built.sign(self._key, SHA256()).public_bytes(Encoding.PEM).decode()
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return certificate, text

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BEFORE)
            .not_valid_after(now + _AFTER)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )
