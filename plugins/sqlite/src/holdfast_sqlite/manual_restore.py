"""The commands that restore a backup without Holdfast, as its RESTORE.md has them.

Each line stands for itself, whether they are run one by one, pasted, or run as a script: where one fails, those after
it do nothing, and the database is as it was. They take what Debian and Alpine (BusyBox) have.
"""

from typing import Literal

# Below /proc/PID/root realpath leads out of the namespace of the mounts that are meant.
_TARGET = (
    'd=\'TARGET_DB\'; t=$(realpath "$d") && { [ ! -e "$d" ] || [ "$d" -ef "$t" ] || '
    '{ echo "$d is not $t: do this in its container" >&2; t=/dev/null; false; }; }'
)
_CHECKED = f"{_TARGET} && sha256sum -c SHA256SUMS"
_SWAP = (
    f'{_TARGET} && if [ -e "$t" ] && fuser "$t" 2> /dev/null; then echo "stop these, they use $t" >&2; false; '
    'else mv -fT "$t.new" "$t" && rm -f "$t-wal" "$t-shm" "$t-journal"; fi'
)


def restore_steps(stream: str, form: Literal["image", "sql"], *, mode: int = 0o600) -> tuple[str, ...]:
    """The steps for one stream; the core knows how to decode it, and TARGET_DB is for the reader to replace.

    `mode` is that of the source, for a target that is lost.
    """
    return (
        *(_into_nothing(stream) if form == "sql" else ()),
        "# stop the programs that use the database: fuser and lsof tell their processes",
        "# make the new database beside the old one, whole or not at all",
        _make_from_image(stream) if form == "image" else _make_from_script(stream),
        "# owner and mode: those of the old one, or of its folder; access control lists are not carried over",
        _give(mode | 0o600),
        "# put it in the place of the old one, and remove what SQLite would take for its log or journal;",
        "# a file that is mounted by itself is 'busy' for mv: do this on the host, where it is not",
        _SWAP,
    )


def _into_nothing(stream: str) -> tuple[str, ...]:
    """A script needs no more than its shell, where there is no database yet."""
    return (
        "# where there is no database yet, this line alone; it does nothing where there is one",
        f'load() {{ [ ! -e "$2" ] && {{decode:{stream}}} | "$@" -batch -bail; }}; load sqlite3 TARGET_DB',
    )


def _make_from_image(stream: str) -> str:
    make = f'(umask 077 && {{decode:{stream}}} > "$t.new") && sync "$t.new"'
    return f'{_CHECKED} && {make} || {{ rm -f "$t.new"; false; }}'


def _make_from_script(stream: str) -> str:
    # Not a pipe: the shell would not see that the command before it has failed.
    script = f'rm -f "$t.new" "$t.new-journal" && {{decode:{stream}}} > "$t.sql"'
    make = f'(umask 077 && {script} && sqlite3 -batch -bail "$t.new" < "$t.sql") && rm "$t.sql" && sync "$t.new"'
    return f'{_CHECKED} && {make} || {{ rm -f "$t.new" "$t.sql"; false; }}'


def _give(mode: int) -> str:
    like_old = 'chown "$(stat -c %u:%g "$t")" "$t.new" || :; chmod "$(stat -c %a "$t")" "$t.new"'
    like_folder = f'chown "$(stat -c %u:%g "${{t%/*}}/")" "$t.new" || :; chmod {mode:o} "$t.new"'
    return f'{_TARGET} && if [ -e "$t" ]; then {like_old}; else {like_folder}; fi'
