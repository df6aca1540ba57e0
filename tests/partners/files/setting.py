"""The TOML file, keys and passwords of a partner who works by files, as an operator would write them."""

from __future__ import annotations

from pathlib import Path

from tests.partners.bench import KEY
from tests.partners.files.mailhost import PASSWORD, MailHost

PARTNER = "green-elm"


def partner_files(
    place: Path, host: MailHost | None, /, *, timeout_s: float = 10.0, extra: str = "", **partner: str
) -> Path:
    """Writes the file and those that it names; `partner` are further lines of the partner's section, `extra` of
    [mail]."""
    (place / "key").write_text(KEY + "\n")
    (place / "password").write_text(PASSWORD + "\n")
    lines = []
    if host is not None:
        lines = ["[mail]", f'address = "{host.address("orders")}"', "every_s = 1", extra]
        for name, port in (("smtp", host.smtp_port), ("imap", host.imap_port)):
            lines += [
                f"[mail.{name}]",
                'host = "127.0.0.1"',
                f"port = {port}",
                'security = "none"',
                'user = "orders"',
                'password_file = "password"',
                f"timeout_s = {timeout_s}",
            ]
    lines += [f"[partners.{PARTNER}]", 'key_file = "key"']
    if host is not None:
        partner = {"to": f'["{host.address("ngo")}"]', "senders": f'["{host.address("ngo")}"]', **partner}
    sftp = partner.pop("sftp", "")
    partner = {"judges_photos": "false", **partner}  # most tests' photos are of one colour
    lines += [f"{name} = {value}" for name, value in partner.items()]
    lines += [f"[partners.{PARTNER}.sftp]", sftp] if sftp else []
    path = place / "partners.toml"
    path.write_text("\n".join(lines) + "\n")
    return path
