"""The listener of a native application: a loopback address whose port nobody registered (RFC 8252 section 7.3)."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

from demo import demo


@contextmanager
def listening() -> Iterator[str]:
    """Listens on a free port of the host of the registered redirect URI; gives the redirect URI with that port."""
    registered = urlsplit(demo.redirect_uri)
    with ThreadingHTTPServer((registered.hostname, 0), _Page) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield registered._replace(netloc=f"{registered.hostname}:{server.server_port}").geturl()
        finally:
            server.shutdown()


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"You can close this page."
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing: the requests carry codes."""
