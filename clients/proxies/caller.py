"""Requests from an address that is not the proxy's, sent as they are written."""

import http.client
import socket
import ssl
from pathlib import Path

from answer import Answer

ADDRESS = "127.0.0.2"
"""Where the requests come from. The proxies connect from 127.0.0.1."""

LIMIT = 10


def call(
    port: int,
    target: str,
    *headers: tuple[str, str],
    host: str = "auth.example.com",
    authority: str | None = None,
    certificate: Path | None = None,
    method: str = "GET",
    body: str | None = None,
) -> Answer:
    """Sends one request to the port; over TLS if there is a certificate to trust."""
    with socket.create_connection(("127.0.0.1", port), LIMIT, source_address=(ADDRESS, 0)) as connected:
        connection = http.client.HTTPConnection(host)
        connection.sock = connected
        if certificate:
            connection.sock = ssl.create_default_context(cafile=certificate).wrap_socket(connected, server_hostname=host)
        connection.putrequest(method, target, skip_host=True)
        connection.putheader("Host", authority or f"{host}:{port}")
        for name, value in headers:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Type", "application/x-www-form-urlencoded")
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body.encode() if body is not None else None)
        response = connection.getresponse()
        answered = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, answered, response.read().decode("utf-8"))
