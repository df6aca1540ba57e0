"""Commands about the evidence of planting orders."""

from pathlib import Path
from typing import Annotated, Any

import typer

from engine.cli.shared import (
    DatabaseOption,
    Exit,
    Failure,
    JsonOption,
    note,
    run,
    say_json,
    settings_with,
    step_progress,
)


def orders_evidence(
    number: Annotated[str, typer.Argument(help="The order's public number, as PO-000042-Z.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write; <number>-evidence.zip if not named.")
    ] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pack all evidence of an order into one ZIP file for an auditor; the same facts give the same bytes.

    Runs beside a server too. The photos in it are stripped; manifest.json names the SHA-256 of every original.
    """
    told = run(_pack(number, out, database))
    if as_json:
        say_json(told)
        return
    note(f"{told['file']}: {told['bytes']:,} bytes, {told['photos']} photos, SHA-256 {told['sha256']}.")


async def _pack(number: str, out: Path | None, database: str | None) -> dict[str, Any]:
    import hashlib

    from engine.core.errors import Rejected
    from engine.core.numbers import parse_order_number
    from engine.reading import reading
    from partners.evidence.folder import EvidenceFolder
    from partners.evidence.pack import contents_of, pack

    settings = settings_with(database)
    folder = EvidenceFolder(settings.evidence_folder)
    try:
        order = parse_order_number(number)
        async with reading(settings.database_url) as db, db.snapshot() as view:
            contents = await contents_of(view, order)
    except Rejected as refusal:
        raise Failure(f"{number}: {refusal}", Exit.USAGE) from refusal
    path = out or Path(f"{contents.order}-evidence.zip")
    copies = [folder.public(photo["sha256"]) for photo in contents.photos]
    total = sum(copy.stat().st_size for copy in copies if copy.is_file())
    digest, size = hashlib.sha256(), 0
    draft = path.with_name(f"{path.name}.part")
    try:
        with draft.open("wb") as file, step_progress() as progress:
            for piece in pack(contents, folder.public):
                file.write(piece)
                digest.update(piece)
                size += len(piece)
                progress("packing", min(size, total), total)
        draft.replace(path)
    except OSError as problem:
        draft.unlink(missing_ok=True)
        raise Failure(f"{path}: {problem.strerror or problem}") from problem
    return {"file": str(path), "bytes": size, "photos": len(copies), "sha256": digest.hexdigest()}
