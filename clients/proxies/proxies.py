"""The proxies of the page, each with its configuration and how it is started here: on free ports, with a certificate of the
suite's own, as the user of the suite."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from listening import free_port, wait_for

START_LIMIT = 20


@dataclass(frozen=True)
class Proxy:
    name: str
    file: str
    """The page's configuration of the proxy."""
    listen: str = "http.toml"
    """The page's `[listen]` of Doorward."""
    speaks_http: bool = True


PROXIES = [
    Proxy("nginx", "doorward.conf"),
    Proxy("Caddy", "Caddyfile"),
    Proxy("HAProxy", "haproxy.cfg", "proxy-protocol.toml", speaks_http=False),
    Proxy("HAProxy without TLS", "passthrough.cfg", "passthrough.toml", speaks_http=False),
]

FOR_APIS = [Proxy("nginx", "billing.conf"), Proxy("Caddy", "billing.Caddyfile")]


class Running:
    """A proxy that listens at `port` and passes on to `upstream`."""

    def __init__(self, proxy: Proxy, text: str, folder: Path, certificate: Path, upstream: int) -> None:
        self.port = free_port()
        self._folder = folder
        folder.mkdir()
        path = folder / proxy.file
        path.write_text(placed(text, self.port, folder, certificate, upstream), encoding="utf-8")
        program = proxy.name.split()[0]
        command = {"nginx": _nginx, "Caddy": _caddy, "HAProxy": _haproxy}[program](path, folder)
        environment = {**os.environ, "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        with open(folder / "proxy.log", "wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        try:
            wait_for(self.port, self._process, START_LIMIT)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log}") from None

    @property
    def log(self) -> str:
        """What the proxy wrote, its access log too."""
        return "".join(path.read_text(encoding="utf-8") for path in sorted(self._folder.glob("*.log")))

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(START_LIMIT)


def placed(text: str, port: int, folder: Path, certificate: Path, upstream: int) -> str:
    """A text of the page with the suite's ports and files. At least one place changes, or it is not what the page says."""
    combined = folder / "combined.pem"
    key = certificate.with_name("privkey.pem")
    combined.write_bytes(certificate.read_bytes() + key.read_bytes())
    replaced = text
    for wanted, instead in [
        ("listen 443 ", f"listen 127.0.0.1:{port} "),
        ("bind :443", f"bind 127.0.0.1:{port}"),
        ("auth.example.com {", f"https://auth.example.com:{port} {{\n\ttls {certificate} {key}"),
        ("billing.example.com {", f"https://billing.example.com:{port} {{\n\ttls {certificate} {key}"),
        ("/etc/haproxy/auth.example.com.pem", str(combined)),
        ("/etc/ssl/doorward/fullchain.pem", str(certificate)),
        ("/etc/ssl/doorward/privkey.pem", str(key)),
        ("/etc/ssl/billing/fullchain.pem", str(certificate)),
        ("/etc/ssl/billing/privkey.pem", str(key)),
        ("/var/log/nginx/", f"{folder}/"),
        ("127.0.0.1:8400", f"127.0.0.1:{upstream}"),
        ("127.0.0.1:8600", f"127.0.0.1:{upstream}"),
    ]:
        replaced = replaced.replace(wanted, instead)
    if replaced == text:
        raise AssertionError(f"nothing to replace in {text}")
    return replaced


def _nginx(path: Path, folder: Path) -> list[str]:
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    main = folder / "nginx.conf"
    main.write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {temporary} include {path}; }}\n"
    )
    return ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(main)]


def _caddy(path: Path, _: Path) -> list[str]:
    text, options = path.read_text(encoding="utf-8"), "{\n\tadmin off\n\tauto_https disable_redirects\n"
    path.write_text(options + text[2:] if text.startswith("{\n") else options + "}\n" + text, encoding="utf-8")
    return ["caddy", "run", "--config", str(path), "--adapter", "caddyfile"]


def _haproxy(path: Path, _: Path) -> list[str]:
    return ["haproxy", "-f", str(path)]
