"""Certificates for tests, made when the test runs: an authority of its own and what it signs.

    authority = Authority(folder)                       # .pem: its certificate's path
    play = authority.issue("play", ["play.example"])    # folder/play.pem, folder/play.key
"""

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def name_of(common_name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def in_days(days):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)


def san(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Identity:
    """A certificate and its key, as files."""

    def __init__(self, folder, name, certificate, key, chain=()):
        self.certificate, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        self.serial = certificate.serial_number
        self.x509 = certificate
        parts = [certificate, *chain]
        self.certificate.write_bytes(b"".join(c.public_bytes(serialization.Encoding.PEM) for c in parts))
        self.key.touch(mode=0o600)
        self.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    def files(self):
        """As a listener's or a pool's `tls` has them."""
        return {"certificate": str(self.certificate), "key": str(self.key)}


class Authority:
    def __init__(self, folder, name="test authority"):
        self.folder = folder
        self.name = name_of(name)
        self.key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(self.name, self.key.public_key(), -1, 365)
        builder = builder.add_extension(x509.BasicConstraints(True, 0), True)
        builder = builder.add_extension(
            x509.KeyUsage(False, False, False, False, False, True, True, False, False), True
        )
        self.certificate = builder.sign(self.key, hashes.SHA256())
        self.pem = folder / f"{name.replace(' ', '-')}.pem"
        self.pem.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, file, names, days=90, since=-1, common_name=None, kind="ecdsa", client=False,
              crl=None):
        """`names`: DNS names and IP addresses. Written as FILE.pem and FILE.key, over what was there before."""
        key = (
            ec.generate_private_key(ec.SECP256R1())
            if kind == "ecdsa"
            else rsa.generate_private_key(public_exponent=65537, key_size=2048)
        )
        subject = name_of(common_name or (names[0] if names else file))
        builder = self._builder(subject, key.public_key(), since, days)
        builder = builder.add_extension(x509.BasicConstraints(False, None), True)
        builder = builder.add_extension(
            x509.KeyUsage(True, False, False, False, False, False, False, False, False), True
        )
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), False)
        if crl:
            point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl)], None, None, None)
            builder = builder.add_extension(x509.CRLDistributionPoints([point]), False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([san(n) for n in names]), False)
        return Identity(self.folder, file, builder.sign(self.key, hashes.SHA256()), key)

    def revoke(self, file, *identities, days=30):
        """Writes FILE.pem, a list of these of its certificates, and says where it is."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name)
        builder = builder.last_update(in_days(-60)).next_update(in_days(days))
        for identity in identities:
            one = x509.RevokedCertificateBuilder().serial_number(identity.serial).revocation_date(in_days(-1))
            builder = builder.add_revoked_certificate(one.build())
        path = self.folder / f"{file}.pem"
        path.write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return path

    def _builder(self, subject, public_key, since, days):
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(in_days(since))
            .not_valid_after(in_days(days))
        )
