"""holdfast unpin."""

from holdfast.cli.pin import pin_command

command = pin_command("unpin", pinned=False, help="Unpin the backup ID.")
