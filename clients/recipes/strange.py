"""A server in Doorward's place that answers what the suite wants, or nothing at all, and keeps what it was asked."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

ALLOWED = {"allowed": True, "principal": {"kind": "key", "sub": "key_strange", "scope": "", "credential": "api_key"}}


class Reply(NamedTuple):
    """An answer; a text is sent as it is, anything else as JSON."""

    body: object
    status: int = 200
    headers: dict[str, str] = {}
    pause: float = 0
    """Seconds between the bytes of the body."""


class Asked(NamedTuple):
    path: str
    headers: dict[str, str]
    question: dict


class Strange:
    """Answers with `reply`, or keeps the caller waiting while that is `None`."""

    def __init__(self, port: int) -> None:
        self.reply: Reply | None = None
        self.asked: list[Asked] = []
        self._connections: list[socket.socket] = []
        self._server = _Server(("127.0.0.1", port), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def asked_in(self, body: Callable[[], object], credential: str) -> list[Asked]:
        """The questions that have this credential in them and come while `body` runs."""
        before = len(self.asked)
        body()
        return [asked for asked in self.asked[before:] if credential in json.dumps(asked.question)]

    def close_connections(self) -> None:
        """Closes what clients keep open, as a server does that restarts."""
        connections, self._connections = self._connections, []
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        strange = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                strange._connections.append(self.connection)

            def do_POST(self) -> None:
                body = self._body()
                headers = {name.lower(): value for name, value in self.headers.items()}
                strange.asked.append(Asked(self.path, headers, json.loads(body)))
                if strange.reply is None:
                    threading.Event().wait()
                content, status, extra, pause = strange.reply
                text = content if isinstance(content, str) else json.dumps(content)
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **extra}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                if pause == 0:
                    self.wfile.write(text.encode())
                    return
                with contextlib.suppress(OSError):
                    for byte in text.encode():
                        self.wfile.write(bytes([byte]))
                        time.sleep(pause)

            def _body(self) -> bytes:
                if self.headers["Transfer-Encoding"] != "chunked":
                    return self.rfile.read(int(self.headers["Content-Length"]))
                body = b""
                while length := int(self.rfile.readline(), 16):
                    body += self.rfile.read(length)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
