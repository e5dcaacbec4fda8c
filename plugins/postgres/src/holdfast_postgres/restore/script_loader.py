"""Scripts, run by psql: a backup in format plain, and the roles and tablespaces of a server."""

import logging
import secrets
from collections.abc import Callable, Iterable, Sequence

from holdfast.api import Blob, Chunk, HoldfastError
from holdfast_postgres.errors import client_failure
from holdfast_postgres.formats import script
from holdfast_postgres.formats.globals_script import leaving_alone
from holdfast_postgres.location import Location
from holdfast_postgres.restore.failed_statement import FailedStatement
from holdfast_postgres.restore.restore_log import Classifier
from holdfast_postgres.restore.run import RestoreRun, keeper
from holdfast_postgres.restore.search_path import with_path
from holdfast_postgres.restore.statements import run_again

log = logging.getLogger("holdfast.postgres.restore")


def load_plain(run: RestoreRun, blob: Blob) -> None:
    """Run the script of a backup in the target.

    psql continues after errors, and its log is classified as that of pg_restore is: it ends at the first failure that
    no second attempt can mend, unless the restore goes on.
    """
    chunks: Iterable[Chunk] = blob.chunks()
    if run.options.search_path:
        chunks = with_path(chunks, run.options.search_path)
    refusals: list[FailedStatement] = []
    takes = keeper(run, refusals)
    # Materialized views are filled once event triggers are there, which would act on it.
    location = run.unchecked_location if run.server.superuser else None
    run_script(run, [chunks], run.target.into, location, continues=True, classifies=True, takes=takes)
    run_again(run, refusals, f"cannot restore into {run.target.into.label}")


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


def run_script(
    run: RestoreRun,
    parts: Iterable[Iterable[Chunk]],
    target: Location,
    location: Location | None,
    *,
    continues: bool = False,
    classifies: bool = False,
    transaction: bool = False,
    takes: Callable[[FailedStatement], bool] = lambda _refusal: False,
) -> Sequence[str]:
    """Feed scripts to psql, one after the other; returns the lines of its standard error.

    As a `transaction` all of it happens, or nothing. `takes` tells of what was refused whether it is kept for later.
    """
    script.check_psql(run.programs)
    command = [run.programs.path("psql"), "--no-psqlrc", "--no-password", "--quiet", "--output=/dev/null"]
    command += [f"--set=ON_ERROR_STOP={int(not continues)}", "--set=VERBOSITY=verbose"]
    if transaction:
        command += ["--single-transaction", "--file=-"]
    if classifies:
        command += ["--echo-errors", "--file=-"]  # named, so that its messages say that they are psql's
    classifier = Classifier(
        action=f"cannot restore into {target.label}",
        script=classifies,
        schemas=run.target.schemas,
        judge=run.judge,
        takes=takes,
    )
    end = f"psql: end {secrets.token_hex(8)}"
    with run.processes.start(command, feed=True, tied=True, location=location, on_line=classifier.line) as child:
        try:
            for piece in script.restricted_parts(parts, major=run.server.major, end=end):
                child.feed(piece)
        except BrokenPipeError:
            log.info("psql ended before the script did")  # `finish` raises why
        child.end_input()
        code = child.wait_checked()
        if code:
            error, state = client_failure(child.program, code, child.lines, classifier.action)
            raise run.judge(error, state)
        classifier.end()
        if end not in child.lines:
            raise HoldfastError(f"{classifier.action}: psql ended before it had read the whole script")
        lines = child.lines
    run.warn(classifier.degraded)
    return lines
