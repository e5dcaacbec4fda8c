"""Scripts, run by psql: a backup in format plain, and the roles and tablespaces of a server."""

from collections.abc import Sequence

from holdfast.api import Blob
from holdfast_postgres.formats.globals_script import leaving_alone
from holdfast_postgres.location import Location
from holdfast_postgres.restore.failed_statement import FailedStatement
from holdfast_postgres.restore.run import RestoreRun, keeper
from holdfast_postgres.restore.script_entries import ScriptEntries
from holdfast_postgres.restore.script_feed import Script
from holdfast_postgres.restore.script_run import run_script, run_sections
from holdfast_postgres.restore.second_attempt import SecondAttempt
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
    lines = run_script(run, [leaving_alone(blob.chunks())], location, location, continues=True, classifies=False)
    errors = [line.partition("ERROR:")[2].strip() for line in lines if "ERROR:" in line]
    run.warn(
        f"a role or tablespace was not restored: {text.partition(': ')[2] or text}"
        for text in errors
        if not text.startswith("42710")
    )
