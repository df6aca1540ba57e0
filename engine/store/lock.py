"""One writer a SQLite file: whoever serves it holds a lock file, and says where to send commands meanwhile."""

import fcntl
import hashlib
import os
import tempfile
from pathlib import Path

UNIX_PATH_CHARACTERS_MAX = 100  # the kernel's limit for a socket's path, with room


class WriterLock:
    """An exclusive lock beside the database file; the kernel frees it when the process ends, however it ends."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self.path = path

    @classmethod
    def take(cls, database: str) -> "WriterLock | None":
        """The lock, or None while another process holds it."""
        path = Path(f"{Path(database).resolve()}.lock")  # whatever link led to the file, its lock is one
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return cls(descriptor, path)

    def release(self) -> None:
        """Let others write."""
        os.close(self._descriptor)


def admin_socket_path(database: str) -> Path:
    """Where the process that serves the file takes commands; in the temporary folder where the path is too long."""
    path = Path(f"{Path(database).resolve()}.sock")
    if len(str(path)) <= UNIX_PATH_CHARACTERS_MAX:
        return path
    name = hashlib.blake2b(str(path).encode(), digest_size=12).hexdigest()
    return Path(tempfile.gettempdir()) / f"saxaul-{os.getuid()}-{name}.sock"
