"""A small client for the API server of the embedded cluster: JSON over HTTPS with a client certificate.

For the toolchain only, which runs before any library is installed. It ignores proxies and kubeconfig files, knows no
watch, and gives up on the first refusal.
"""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path
from typing import Any

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class ApiError(Exception):
    """The API server refused a request; `status` is the HTTP status, 0 when it could not be reached."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class KubeApi:
    """Requests to one API server on this machine; safe to use from several threads."""

    def __init__(self, port: int, pki: Path, timeout: float = 10, address: str = "127.0.0.1") -> None:
        self.address = address
        self.port = port
        self.timeout = timeout
        self.context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self.context.load_cert_chain(str(pki / "admin.crt"), str(pki / "admin.key"))

    def get(self, path: str, accept: str = JSON) -> dict[str, Any]:
        """Read an object or a list; raises ApiError."""
        return self._decode(self._request("GET", path, None, JSON, accept))

    def send(self, method: str, path: str, body: object, content: str = JSON) -> dict[str, Any]:
        """Write an object: plain data as JSON, bytes as they are; raises ApiError."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._decode(self._request(method, path, data, content, JSON))

    def ready(self) -> bool:
        """Whether the server answers that it is ready."""
        try:
            return self._request("GET", "/readyz", None, JSON, "*/*") == b"ok"
        except ApiError:
            return False

    @staticmethod
    def _decode(content: bytes) -> dict[str, Any]:
        decoded = json.loads(content)
        assert isinstance(decoded, dict)
        return decoded

    def _request(self, method: str, path: str, body: bytes | None, content: str, accept: str) -> bytes:
        connection = http.client.HTTPSConnection(self.address, self.port, timeout=self.timeout, context=self.context)
        try:
            connection.request(method, path, body, {"Content-Type": content, "Accept": accept})
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(0, f"{self.address}:{self.port}: {error}") from error
        finally:
            connection.close()
        if response.status >= 300:
            raise ApiError(response.status, f"{method} {path}: {response.status} {_reason(answer)}")
        return answer


def _reason(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):
        return answer.decode(errors="replace")[:300]
