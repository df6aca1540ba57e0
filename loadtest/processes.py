"""Child processes of a load test: started quietly, waited for, ended whatever happens, whatever they do."""

import atexit
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_running: list["Process"] = []


class StartFailed(RuntimeError):
    """A process did not get ready; the message ends with its log."""


class Process:
    """A program in its own process group, with its output in a file."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.log = log
        with log.open("wb") as sink:
            self._popen = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                start_new_session=True,
                user=user,
                extra_groups=[] if user else None,
                cwd=cwd,
            )
        self.pid = self._popen.pid
        _running.append(self)

    def wait_until(self, ready: Callable[[], bool], timeout_s: float = 60) -> None:
        """Raises StartFailed when it ends or takes longer."""
        give_up = time.monotonic() + timeout_s
        while not ready():
            if self._popen.poll() is not None or time.monotonic() > give_up:
                self.stop()
                raise StartFailed(
                    f"{self.log.name} did not get ready:\n{self.log.read_text(errors='replace')[-3000:]}"
                )
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = 20) -> None:
        """Ask it to end; after the timeout, end its whole group."""
        if self in _running:
            _running.remove(self)
        if self._popen.poll() is None:
            self._popen.send_signal(number)
            try:
                self._popen.wait(timeout_s)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self._popen.wait()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port: int) -> bool:
    """Whether something listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def start_yardstick(folder: Path) -> tuple[Process, int]:
    """The FastAPI echo in a process of its own, and its port."""
    port = free_port()
    process = Process([sys.executable, "-m", "loadtest.yardstick", str(port)], folder / "yardstick.log")
    process.wait_until(lambda: answers(port))
    return process, port


@atexit.register
def _end_all() -> None:
    for process in _running[:]:
        process.stop(timeout_s=3)
