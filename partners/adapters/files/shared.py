"""The folder that a partner and we share, wherever it lies."""

from __future__ import annotations

from partners.adapters.files.config import FilesPartner
from partners.adapters.files.folder import DropFolder
from partners.adapters.files.sftp import OpenSftpFolder, SftpFolder

SharedFolder = DropFolder | SftpFolder
OpenFolder = DropFolder | OpenSftpFolder


def shared_folder(partner: FilesPartner) -> SharedFolder | None:
    """The partner's folder, on this machine or on an SFTP server; None where there is none."""
    if partner.sftp is not None:
        return SftpFolder(partner.sftp)
    return DropFolder(partner.folder) if partner.folder is not None else None
