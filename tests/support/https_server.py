"""An HTTPS server on loopback for tests: `api.example.com`, a package index, and their certificate authority."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import ssl
import threading
import zipfile
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

API, INDEX = "api.example.com", "pypi.org"
ROWS = [{"name": "first", "value": 1}, {"name": "second", "value": 2}]
WHEEL = "yfinance-0.0.1-py3-none-any.whl"


@dataclass(frozen=True)
class Web:
    """The server's port, and the PEM certificate of its certificate authority."""

    port: int
    certificate: bytes


def _wheel() -> bytes:
    """Returns a wheel named yfinance that contains only its version."""
    data = io.BytesIO()
    files = {
        "yfinance.py": "__version__ = '0.0.1'\n",
        "yfinance-0.0.1.dist-info/METADATA": "Metadata-Version: 2.1\nName: yfinance\nVersion: 0.0.1\n",
        "yfinance-0.0.1.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "yfinance-0.0.1.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(data, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return data.getvalue()


PAGES = {
    "/data": ("application/json", json.dumps(ROWS).encode()),
    "/simple/yfinance/": ("text/html", f'<!DOCTYPE html><a href="/{WHEEL}">{WHEEL}</a>'.encode()),
    f"/{WHEEL}": ("application/octet-stream", _wheel()),
}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Serves one of the pages."""
        kind, body = PAGES.get(self.path, ("text/plain", b""))
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Logs nothing."""


@contextlib.contextmanager
def serving(folder: Path) -> Generator[Web]:
    """Runs the server. Its key and certificate are stored in `folder`."""
    certificate = _make_certificates(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Web(server.server_port, certificate)
        server.shutdown()
        thread.join()


def _make_certificates(folder: Path) -> bytes:
    """Writes the server's certificate and key. Returns the certificate of the authority that signed it."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.datetime.now(datetime.UTC)

    def certificate(name: x509.Name, public: ec.EllipticCurvePublicKey, *, ca: bool) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(authority)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
            .add_extension(
                x509.KeyUsage(
                    digital_signature=not ca,
                    key_cert_sign=ca,
                    crl_sign=ca,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
        )

    names = x509.SubjectAlternativeName([x509.DNSName(API), x509.DNSName(INDEX)])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, API)])
    signed = (
        certificate(server_name, key.public_key(), ca=False)
        .add_extension(names, critical=False)
        .add_extension(usage, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    (folder / "server.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    ca_certificate = certificate(authority, authority_key.public_key(), ca=True).sign(authority_key, hashes.SHA256())
    return ca_certificate.public_bytes(serialization.Encoding.PEM)
