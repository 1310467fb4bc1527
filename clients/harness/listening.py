"""Ports that nothing listens at, processes that do not listen yet, and their end."""

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


def end(process: subprocess.Popen, limit: float) -> None:
    """Ends a Doorward that may have ended before. After SIGTERM it must exit with 0."""
    if process.poll() is not None:
        return
    process.terminate()
    code = process.wait(limit)
    if code != 0:
        raise AssertionError(f"doorward ended with {code}")
