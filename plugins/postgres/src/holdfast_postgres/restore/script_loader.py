"""Scripts, run by psql: a backup in format plain, and the roles and tablespaces of a server."""

import re
from collections.abc import Iterator, Sequence

from holdfast.api import Blob, Failure
from holdfast_postgres.formats.globals_script import leaving_alone
from holdfast_postgres.location import Location
from holdfast_postgres.restore.failed_statement import FailedStatement
from holdfast_postgres.restore.run import RestoreRun, keeper
from holdfast_postgres.restore.script_entries import ScriptEntries
from holdfast_postgres.restore.script_feed import Script
from holdfast_postgres.restore.script_run import run_script, run_sections
from holdfast_postgres.restore.second_attempt import SecondAttempt
from holdfast_postgres.restore.statement_objects import object_of
from holdfast_postgres.restore.statements import run_again


def load_plain(run: RestoreRun, blob: Blob) -> None:
    """Run the script of a backup in the target: first all to the end of the rows, and then what needs them.

    psql continues after errors, and its log is classified as that of pg_restore is: it ends at the first failure that
    no second attempt can mend, unless the restore goes on. Rows never come to psql: those of a COPY that was refused
    would be statements to it.
    """
    # Materialized views are filled once event triggers are there, which would act on it.
    location = run.unchecked_location if run.server.superuser else None
    script = Script(run, blob)
    for part in script.parts():
        refusals: list[FailedStatement] = []
        run_sections(run, part, location, keeper(run, refusals, in_order=True))
        _try_again(run, script, refusals, location)


def _try_again(run: RestoreRun, script: Script, refusals: Sequence[FailedStatement], location: Location | None) -> None:
    """Try again what was refused: whole sections of a script, or statements of one that has none."""
    if refusals:
        action = f"cannot restore into {run.target.into.label}"
        run_again(run, [refusal for refusal in refusals if not refusal.entry], action)
        known = [refusal for refusal in refusals if refusal.entry]
        SecondAttempt(run, ScriptEntries(run, script, known, location), action).run(known)


def load_globals(run: RestoreRun, blob: Blob) -> None:
    """Make roles and tablespaces; those that exist are left as they are, all else that fails is a warning."""
    # Backups of older versions hold the script as pg_dumpall writes it.
    location = run.target.into.at("postgres")
    lines = run_script(run, [leaving_alone(blob.chunks())], location, location, continues=True, echoes=True)
    run.warn(
        f"a role or tablespace was not restored: {failure}" for failure in _refused(lines) if failure.code != "42710"
    )


def _refused(lines: Sequence[str]) -> Iterator[Failure]:
    """What a psql says that goes on after errors; of a statement, which may hold a password, only what it is about."""
    state, text = "", ""
    for line in lines:
        if error := _ERROR.search(line):
            if text:
                yield Failure(kind="statement", name="", code=state, message=text)
            state, text = error["state"], error["text"]
        elif text and (statement := _STATEMENT.search(line)):
            wrapped = statement["text"].partition(" THEN ")[2] or statement["text"]  # by `leaving_alone`
            kind, name = object_of(wrapped) or ("statement", "")
            yield Failure(kind=kind, name=name, code=state, message=text)
            text = ""
    if text:
        yield Failure(kind="statement", name="", code=state, message=text)


_ERROR = re.compile(r"ERROR:\s+(?:(?P<state>[0-9A-Z]{5}): )?(?P<text>.*)")
_STATEMENT = re.compile(r"STATEMENT:\s+(?P<text>.*)")
