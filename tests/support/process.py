"""Child processes of the tests: each leads its own process group, writes its log to a file and dies with us.

Knows nothing of what it runs. Every group that is still alive when pytest ends, however it ends, is killed.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import pwd
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_alive: set[Child] = set()


class StartFailed(RuntimeError):
    """A process did not become ready; the message carries the end of its log."""


class Child:
    """One running program and its descendants.

    `log` is where standard output and error go. `user` (a name) runs it as another user, which only root can.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
    ) -> None:
        self.log = log
        identity = pwd.getpwnam(user) if user else None
        with log.open("ab") as sink:
            self._popen = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=dict(env) if env is not None else None,
                cwd=cwd,
                start_new_session=True,
                user=identity.pw_uid if identity else None,
                group=identity.pw_gid if identity else None,
                extra_groups=[] if identity else None,
                # one prctl call, before any thread of the child
                preexec_fn=die_with_parent if _lives_with_us() else None,  # noqa: PLW1509
            )
        self.pid = self._popen.pid
        _alive.add(self)

    @property
    def running(self) -> bool:
        """Whether the leading process has not ended yet."""
        return self._popen.poll() is None

    @property
    def returncode(self) -> int | None:
        """Exit status, negative for a signal; None while it runs."""
        return self._popen.poll()

    def send(self, number: int) -> None:
        """Send a signal to the leading process only; nothing happens if it has ended."""
        if self.running:
            self._popen.send_signal(number)

    def kill_group(self) -> None:
        """kill -9 of the process and all its descendants at once, and wait for the end."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait(10)
        _alive.discard(self)

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = 20) -> int:
        """Ask it to end, wait, kill what is left of the group; returns the exit status of the leader."""
        self.send(number)
        try:
            return self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL
        finally:
            self.kill_group()

    def log_text(self) -> str:
        """All that it has written so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait_until(self, ready: Callable[[], bool], what: str, timeout_s: float) -> None:
        """Poll until `ready`; raises StartFailed with the log's end when it is late or the process ended."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if not self.running or time.monotonic() > deadline:
                raise self.failure(what, timeout_s)
            time.sleep(0.02)

    def failure(self, what: str, timeout_s: float) -> StartFailed:
        """The error that tells why it is not ready."""
        state = (
            f"still not ready after {timeout_s:.0f} s" if self.running else f"ended with {self.returncode}"
        )
        return StartFailed(f"{what} {state}; its log ends:\n{self.log_text()[-4000:]}")


def _lives_with_us() -> bool:
    """Whether the kernel may end the child with us. It goes by the thread that starts it; only the main one stays."""
    return sys.platform == "linux" and threading.current_thread() is threading.main_thread()


def die_with_parent() -> None:
    """Run in the child before exec: the kernel kills it when the process that started it dies."""
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port: int) -> bool:
    """Whether something accepts connections on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@atexit.register
def _kill_all() -> None:
    for child in list(_alive):
        with contextlib.suppress(Exception):
            child.kill_group()
