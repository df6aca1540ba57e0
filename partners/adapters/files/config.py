"""Who works by mail and spreadsheet, and which mailbox is ours: one TOML file, secrets in files that it names."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

SECRET_FILE_BYTES_MAX = 8192


class ConfigError(Exception):
    """The file can't be used; the text names the place and the fix, never a secret."""


def _address(text: str) -> str:
    """A plain mail address in lower case."""
    local, at, domain = text.strip().lower().rpartition("@")
    plain = local and domain and at and not set(text) & set(' \t\r\n<>,;:"\\')
    if not plain or not text.isascii() or len(text) > 254:
        raise ValueError("a mail address, such as orders@ngo.example")
    return f"{local}@{domain}"


Address = Annotated[str, AfterValidator(_address)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MailServer(_Strict):
    """How a mail server is reached. Without encryption only on this machine."""

    host: str = Field(min_length=1, max_length=253)
    port: int = Field(ge=1, le=65535)
    security: Literal["tls", "starttls", "none"] = "tls"
    user: str = ""
    password_file: Path | None = None
    timeout_s: float = Field(20.0, gt=0, le=300)
    password: SecretStr = SecretStr("")

    @model_validator(mode="after")
    def _check(self) -> MailServer:
        if self.security == "none" and self.host not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError('security = "none" is for this machine only; use "tls" or "starttls"')
        if bool(self.user) != (self.password_file is not None):
            raise ValueError("user and password_file go together")
        return self


class MailAccount(_Strict):
    """Our own mailbox. `trusted_server`: the name by which our receiving server signs its Authentication-Results;
    where it is set, mail that the server did not find authentic is not read."""

    address: Address
    name: str = Field("Saxaul", max_length=100)
    smtp: MailServer
    imap: MailServer | None = None
    folder: str = "INBOX"
    trusted_server: str = ""
    every_s: float = Field(60.0, ge=1, le=86_400)
    replies_per_h: int = Field(20, ge=1, le=1000, description="Answers to one partner within an hour.")

    @property
    def domain(self) -> str:
        """What follows the @ of our address."""
        return self.address.rpartition("@")[2]


class SftpServer(_Strict):
    """Where a partner's folder lies on an SFTP server. `known_hosts`: a file with the server's key, as ssh keeps it."""

    host: str = Field(min_length=1, max_length=253)
    port: int = Field(22, ge=1, le=65535)
    user: str = Field(min_length=1, max_length=100)
    path: str = Field(".", min_length=1, max_length=1000)
    key_file: Path | None = None
    password_file: Path | None = None
    known_hosts: Path
    timeout_s: float = Field(20.0, gt=0, le=300)
    key: SecretStr = SecretStr("")
    password: SecretStr = SecretStr("")
    hosts: str = Field("", repr=False)

    @model_validator(mode="after")
    def _check(self) -> SftpServer:
        if (self.key_file is None) == (self.password_file is None):
            raise ValueError("either key_file or password_file")
        return self


class SheetPartner(Protocol):
    """What sheets need to know of a partner, however it gets them; `keys` make and check its codes."""

    @property
    def id(self) -> str:
        """The partner."""
        ...

    @property
    def language(self) -> Literal["zh", "en"]:
        """In which sheets are made for it."""
        ...

    @property
    def form(self) -> Literal["xlsx", "csv"]:
        """As which."""
        ...

    @property
    def keys(self) -> tuple[str, ...]:
        """The one in use first."""
        ...


class FilesPartner(_Strict):
    """A partner who works by files. `senders`: the only addresses from which its files are taken. `judges_photos`:
    whether its batches are judged by what their photos show."""

    id: str = Field("", pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$|^$")
    language: Literal["zh", "en"] = "zh"
    to: tuple[Address, ...] = ()
    senders: tuple[Address, ...] = ()
    folder: Path | None = None
    sftp: SftpServer | None = None
    form: Literal["xlsx", "csv"] = "xlsx"
    key_file: Path
    is_live: bool = True
    judges_photos: bool = True
    keys: tuple[str, ...] = Field((), repr=False)

    @model_validator(mode="after")
    def _check(self) -> FilesPartner:
        if not self.to and not self.shares_folder:
            raise ValueError("a partner needs an address (to) or a folder")
        if self.folder is not None and self.sftp is not None:
            raise ValueError("a folder here or on an SFTP server (sftp), not both")
        if self.to and not self.senders:
            raise ValueError("a partner who is written to needs the addresses that it answers from (senders)")
        return self

    @property
    def shares_folder(self) -> bool:
        """Whether there is a folder that both sides read and write."""
        return self.folder is not None or self.sftp is not None

    @property
    def address(self) -> str:
        """Where orders go, for people to read."""
        if self.to:
            return self.to[0]
        return (
            str(self.folder)
            if self.sftp is None
            else f"sftp://{self.sftp.host}:{self.sftp.port}/{self.sftp.path}"
        )


class FilesConfig(_Strict):
    """All that the file says."""

    mail: MailAccount | None = None
    partners: dict[str, FilesPartner] = Field(default_factory=dict, max_length=1000)

    @model_validator(mode="after")
    def _check(self) -> FilesConfig:
        owners: dict[str, str] = {}
        for name, partner in self.partners.items():
            if partner.to and self.mail is None:
                raise ValueError(f"{name} is written to, so there must be a [mail] section")
            for sender in partner.senders:
                if owners.setdefault(sender, name) != name:
                    raise ValueError(f"{sender} is a sender of both {owners[sender]} and {name}")
        return self

    def partner_of(self, sender: str) -> FilesPartner | None:
        """The partner who may write from this address."""
        return next((one for one in self.partners.values() if sender.lower() in one.senders), None)


def read_config(path: Path) -> FilesConfig:
    """The file, with passwords and keys read from the files that it names. Raises ConfigError."""
    try:
        stated = tomllib.loads(path.read_text("utf-8"))
        config = FilesConfig(**stated)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise ConfigError(f"{path}: {problem}") from problem
    except ValidationError as problem:
        told = [f"{'.'.join(map(str, one['loc'])) or 'file'}: {one['msg']}" for one in problem.errors()]
        raise ConfigError(f"{path}: {'; '.join(told)}") from None
    except TypeError as problem:
        raise ConfigError(f"{path}: {problem}") from None
    partners = {
        name: partner.model_copy(
            update={
                "id": name,
                "keys": _keys(path, partner.key_file),
                "sftp": _with_secrets(path, partner.sftp),
            }
        )
        for name, partner in config.partners.items()
    }
    return config.model_copy(update={"mail": _with_passwords(path, config.mail), "partners": partners})


def _with_passwords(path: Path, mail: MailAccount | None) -> MailAccount | None:
    if mail is None:
        return None
    servers: dict[str, MailServer] = {}
    for name, server in (("smtp", mail.smtp), ("imap", mail.imap)):
        if server is not None and server.password_file is not None:
            password = SecretStr(_secret(path, server.password_file))
            servers[name] = server.model_copy(update={"password": password})
    return mail.model_copy(update=servers)


def _with_secrets(path: Path, server: SftpServer | None) -> SftpServer | None:
    if server is None:
        return None
    secrets = {
        name: SecretStr(_secret(path, file) + "\n" * (name == "key"))
        for name, file in (("key", server.key_file), ("password", server.password_file))
        if file is not None
    }
    return server.model_copy(update={**secrets, "hosts": _secret(path, server.known_hosts)})


def _keys(path: Path, file: Path) -> tuple[str, ...]:
    """One key a line, the one in use first."""
    return tuple(line.strip() for line in _secret(path, file).splitlines() if line.strip())


def _secret(path: Path, file: Path) -> str:
    place = file if file.is_absolute() else path.parent / file
    try:
        with place.open("rb") as opened:
            content = opened.read(SECRET_FILE_BYTES_MAX)
        return content.decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{path}: can't read the secret file {place}: {type(problem).__name__}") from None
