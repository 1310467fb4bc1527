"""Ports that nothing listens at, and processes that do not listen yet."""

import socket
import subprocess
import time


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(port: int, process: subprocess.Popen, limit: float) -> None:
    """Waits until something listens at the port."""
    deadline = time.monotonic() + limit
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"{process.args} does not listen at {port} after {limit} s, its status is {process.poll()}")
