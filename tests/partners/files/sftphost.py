"""A real SFTP server in this process that serves one folder to one user, by key or password."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

USER, PASSWORD = "saxaul", "a-password-of-the-folder"


class _Server(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)


@dataclass
class SftpHost:
    """Where it listens, and the files beside which an operator would put its secrets."""

    port: int
    place: Path
    shared: Path
    acceptor: asyncssh.SSHAcceptor
    opened: list[asyncssh.SSHServerConnection] = field(default_factory=list)

    def section(self, **changes: str) -> str:
        """The lines of the partner's `sftp` section."""
        stated = {
            "host": '"127.0.0.1"',
            "port": str(self.port),
            "user": f'"{USER}"',
            "key_file": '"client-key"',
            "known_hosts": '"known-hosts"',
        }
        stated |= changes
        return "\n".join(f"{name} = {value}" for name, value in stated.items() if value)

    def stop(self) -> None:
        """No longer there, and gone in the middle of what it was doing."""
        self.acceptor.close()
        for connection in self.opened:
            connection.abort()


@asynccontextmanager
async def sftp_host(place: Path, shared: Path, port: int = 0) -> AsyncIterator[SftpHost]:
    """A server for the block; its key and its user's are made in `place` unless they are there."""
    if not (place / "host-key").exists():
        for name in ("host-key", "client-key"):
            key = asyncssh.generate_private_key("ssh-ed25519")
            key.write_private_key(place / name)
            key.write_public_key(place / f"{name}.pub")
        (place / "folder-password").write_text(PASSWORD)
    host_key = asyncssh.read_private_key(place / "host-key")
    opened: list[asyncssh.SSHServerConnection] = []

    def served(channel: asyncssh.SSHServerChannel) -> asyncssh.SFTPServer:
        opened.append(channel.get_connection())
        return asyncssh.SFTPServer(channel, chroot=str(shared).encode())

    acceptor = await asyncssh.listen(
        "127.0.0.1",
        port,
        server_factory=_Server,
        server_host_keys=[host_key],
        authorized_client_keys=str(place / "client-key.pub"),
        sftp_factory=served,
    )
    port = acceptor.get_port()
    line = f"[127.0.0.1]:{port} {host_key.export_public_key().decode()}"
    (place / "known-hosts").write_text(line)
    try:
        yield SftpHost(port, place, shared, acceptor, opened)
    finally:
        acceptor.close()
        await acceptor.wait_closed()
