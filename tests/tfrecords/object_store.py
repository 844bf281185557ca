"""An object store on this machine for TensorFlow's own `gs://` client, which only knows https://*.googleapis.com.

The client is pointed here by the environment, which worker processes inherit: as to its proxy, whose certificate it is
told to trust. Nobody may touch the bucket `forbidden`. The part of the JSON API that it uses is here: whole uploads,
ranged downloads, listings, deletes.
"""

from __future__ import annotations

import datetime
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOSTS = ("www.googleapis.com", "storage.googleapis.com")


@contextmanager
def object_store(folder: Path) -> Iterator[tuple[dict[str, str], dict[str, bytes]]]:
    """The environment in which `gs://` is this store, and its objects by `bucket/name`; `folder` takes the
    certificate."""
    pem = folder / "certificate.pem"
    pem.write_bytes(_self_signed())
    server = _Store(("127.0.0.1", 0), _Handler)
    server.context.load_cert_chain(pem)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    proxy = f"http://127.0.0.1:{server.server_port}"
    try:
        yield {"https_proxy": proxy, "CURL_CA_BUNDLE": str(pem), "NO_GCE_CHECK": "true"}, server.objects
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Store(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.objects: dict[str, bytes] = {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Store

    def parse_request(self) -> bool:
        parsed = super().parse_request()
        if parsed and "forbidden" in self.path:
            self.send_error(403)
            return False
        return parsed

    def do_CONNECT(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.request = self.server.context.wrap_socket(self.connection, server_side=True)
        self.setup()
        self.close_connection = False

    def do_POST(self) -> None:
        """Begins an upload; its address takes the data."""
        bucket, query = self.path.split("/b/")[1].partition("/")[0], parse_qs(urlsplit(self.path).query)
        self._answer(b"", location=f"https://{HOSTS[0]}/upload/{bucket}/{query['name'][0]}")

    def do_PUT(self) -> None:
        data = b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while length := int(self.rfile.readline(), 16):
                data += self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
        else:
            data = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.objects[self.path.removeprefix("/upload/")] = data
        self._answer(b"")

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if not address.path.startswith("/storage/v1/b/"):
            return self._download(unquote(address.path[1:]))
        bucket, _, name = address.path.removeprefix("/storage/v1/b/").partition("/o")
        if not name:
            query = {key: values[0] for key, values in parse_qs(address.query).items()}
            return self._list(bucket, query.get("prefix", ""), query.get("delimiter"))
        data = self.server.objects.get(f"{bucket}{unquote(name)}")
        if data is None:
            return self.send_error(404)
        fields = {"size": str(len(data)), "generation": "1", "updated": "2020-01-01T00:00:00.000Z"}
        return self._answer(json.dumps(fields).encode())

    def do_DELETE(self) -> None:
        bucket, _, name = self.path.removeprefix("/storage/v1/b/").partition("/o")
        found = self.server.objects.pop(f"{bucket}{unquote(name)}", None)
        self.send_error(404) if found is None else self._answer(b"")

    def _download(self, name: str) -> None:
        data = self.server.objects.get(name)
        if data is None:
            return self.send_error(404)
        start, end = (int(number) for number in self.headers["Range"].removeprefix("bytes=").split("-"))
        return self._answer(data[start : end + 1], 206) if start < len(data) else self.send_error(416)

    def _list(self, bucket: str, prefix: str, delimiter: str | None) -> None:
        names = [name.removeprefix(f"{bucket}/") for name in sorted(self.server.objects)]
        names = [name for name in names if name.startswith(prefix)]
        folders = set()
        if delimiter:
            folders = {prefix + name[len(prefix) :].split("/")[0] + "/" for name in names if "/" in name[len(prefix) :]}
            names = [name for name in names if "/" not in name[len(prefix) :]]
        page = {"items": [{"name": name} for name in names], "prefixes": sorted(folders)}
        self._answer(json.dumps(page).encode())

    def _answer(self, body: bytes, status: int = 200, location: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


def _self_signed() -> bytes:
    """A certificate of both hosts and its key, valid today."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOSTS[0])])
    today, day = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), today - day, today + day
    )
    hosts = x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS])
    signed = builder.add_extension(hosts, False).add_extension(x509.BasicConstraints(True, None), True)
    certificate = signed.sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + private
