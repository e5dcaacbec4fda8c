"""holdfast key, and what it does with keys and recipients."""

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.console import Console
from holdfast.cli.options import identity_option, json_option, output_options, store_option
from holdfast.errors import HoldfastError, PartialError, os_error_text, quote_name

if TYPE_CHECKING:
    from holdfast.identities import IdentitySource
    from holdfast.operations.keys import KeyResult
    from holdfast.setup import StoreLike

_backups = click.argument("backups", nargs=-1, metavar="[ID]...")


@click.group("key")
def command() -> None:
    """Make keys, and say who can open encrypted backups."""


@command.command("new")
@click.argument("file")
@click.option("--cipher", default="age", metavar="NAME", show_default=True, help="Cipher that the identity is for.")
@json_option(run=False)
@output_options
@click.pass_obj
def new(console: Console, file: str, cipher: str) -> None:
    """Make an identity, write it into FILE, which must not be there, and print its recipient."""
    from holdfast.defaults import installed
    from holdfast.operations.keys import new_identity

    identity, recipient = new_identity(installed(), cipher)
    try:
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(f"# public key: {recipient}\n{identity}\n")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise HoldfastError(f"cannot write {quote_name(file)}: {os_error_text(error)}") from error
    console.say(
        f"the identity is in {quote_name(file)}: keep a copy of it elsewhere, for without it nothing can be opened"
    )
    if console.json:
        console.data({"recipient": recipient, "file": file})
    else:
        console.out(recipient)


@command.command("list")
@_backups
@store_option
@json_option(run=False)
@output_options
@click.pass_obj
def list_(console: Console, backups: tuple[str, ...], store: "StoreLike") -> None:
    """List the key files of encrypted backups: the backup, a digest of the recipient, and since when."""
    from holdfast.cli.text import table
    from holdfast.defaults import installed
    from holdfast.operations.keys import encrypted_backups, key_files
    from holdfast.store.catalog import open_catalog

    catalog = open_catalog(store, installed())
    rows = [(entry, file) for entry in encrypted_backups(catalog, backups) for file in key_files(entry)]
    if console.json:
        console.data(
            [
                {
                    "id": entry.id,
                    "name": entry.name,
                    "recipient": file.recipient,
                    "since": file.time.isoformat().replace("+00:00", "Z"),
                    "file": file.path,
                }
                for entry, file in rows
            ]
        )
        return
    lines = [
        {
            "ID": entry.id,
            "NAME": entry.name,
            "RECIPIENT": file.recipient,
            "SINCE (UTC)": f"{file.time:%Y-%m-%d %H:%M:%S}",
        }
        for entry, file in rows
    ]
    if lines:
        console.out(table(lines))
    else:
        console.say("there are no encrypted backups")


@command.command("add-recipient")
@click.argument("recipient")
@_backups
@store_option
@identity_option
@json_option(run=True)
@output_options
@click.pass_obj
def add(
    console: Console, recipient: str, backups: tuple[str, ...], store: "StoreLike", identity: "IdentitySource"
) -> None:
    """Let RECIPIENT open encrypted backups too, all of the store if none is named: one small file more for each."""
    from holdfast.operations.keys import add_recipient

    _change(
        console,
        store,
        backups,
        lambda catalog, entry, registry: add_recipient(catalog, entry, recipient, registry=registry, identity=identity),
    )


@command.command("remove-recipient")
@click.argument("recipient")
@_backups
@store_option
@json_option(run=True)
@output_options
@click.pass_obj
def remove(console: Console, recipient: str, backups: tuple[str, ...], store: "StoreLike") -> None:
    """Delete the key files of RECIPIENT, of all backups of the store if none is named.

    Who has read a key file, or has a copy of the store, can open those backups still.
    """
    from holdfast.operations.keys import remove_recipient

    _change(
        console,
        store,
        backups,
        lambda catalog, entry, registry: remove_recipient(catalog, entry, recipient, registry=registry),
    )


@command.command("export")
@click.argument("backup", metavar="ID")
@store_option
@identity_option
@output_options
@click.pass_obj
def export(console: Console, backup: str, store: "StoreLike", identity: "IdentitySource") -> None:
    """Write the key of the backup ID to stdout: an identity that opens this backup and no other."""
    from holdfast.defaults import installed
    from holdfast.operations.keys import encrypted_backups, export_key
    from holdfast.store.catalog import open_catalog

    registry = installed()
    catalog = open_catalog(store, registry)
    (entry,) = encrypted_backups(catalog, (backup,))
    key = export_key(catalog, entry, registry=registry, identity=identity)
    console.out(key.decode().rstrip("\n"))


@command.command("test")
@_backups
@store_option
@identity_option
@json_option(run=True)
@output_options
@click.pass_obj
def test(console: Console, backups: tuple[str, ...], store: "StoreLike", identity: "IdentitySource") -> None:
    """Try whether an identity opens encrypted backups, all of the store if none is named; exit 12 if it does not."""
    from holdfast.operations.keys import try_identity

    _change(
        console,
        store,
        backups,
        lambda catalog, entry, registry: try_identity(catalog, entry, registry=registry, identity=identity),
    )


def _change(
    console: Console, store: "StoreLike", backups: tuple[str, ...], work: Callable[[Any, Any, Any], "KeyResult"]
) -> None:
    from holdfast.defaults import installed
    from holdfast.operations.keys import each, encrypted_backups
    from holdfast.store.catalog import open_catalog

    registry = installed()
    catalog = open_catalog(store, registry)
    entries = encrypted_backups(catalog, backups)
    if not entries:
        console.warn("there are no encrypted backups")
    _tell(console, each(entries, lambda entry: work(catalog, entry, registry)), len(entries))


def _tell(console: Console, results: "Iterable[KeyResult]", count: int) -> None:
    failures: list[HoldfastError] = []
    changed = 0
    for result in results:
        console.last_id = result.entry.id
        changed += result.changed
        if result.error is not None:
            failures.append(result.error)
            console.failed(result.error, result.error.exit_code)
        elif console.json:
            console.data({"type": "key", "id": result.entry.id, "name": result.entry.name, "changed": result.changed})
    if failures:
        kinds = {type(failure) for failure in failures}
        kind = kinds.pop() if len(failures) == count and len(kinds) == 1 else PartialError
        raise kind(f"{len(failures)} of {count} backups failed", hint=failures[0].hint)
    if not console.json:
        console.say(f"{count} encrypted backups, of which {changed} were changed")
