"""Scripts run by psql, and their rows by a COPY of our own; what the server refused of them."""

import itertools
import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from holdfast.api import Chunk, HoldfastError
from holdfast_postgres.errors import client_failure
from holdfast_postgres.formats import script
from holdfast_postgres.location import Location
from holdfast_postgres.restore.failed_statement import FOREIGN_KEY_VIOLATION, FailedStatement
from holdfast_postgres.restore.restore_log import Classifier
from holdfast_postgres.restore.run import RestoreRun, ender
from holdfast_postgres.restore.script_feed import Fed, Feed, SectionRows, Stretch
from holdfast_postgres.restore.script_rows import RowsOfScript

log = logging.getLogger("holdfast.postgres.restore")


def run_script(
    run: RestoreRun,
    parts: Iterable[Iterable[Chunk]],
    target: Location,
    location: Location | None,
    *,
    continues: bool = False,
    classifies: bool = False,
    echoes: bool = False,
    transaction: bool = False,
    takes: Callable[[FailedStatement], bool] = lambda _refusal: False,
) -> Sequence[str]:
    """Feed scripts to psql, one after the other; returns the lines of its standard error.

    As a `transaction` all of it happens, or nothing, also where this process ends in the middle. `echoes` adds the
    statements that failed. `takes` tells of what was refused whether it is kept for later. A script that `continues`
    after errors must have no rows: psql runs those of a COPY that was refused as statements.
    """
    script.check_psql(run.programs)
    command = [run.programs.path("psql"), "--no-psqlrc", "--no-password", "--quiet", "--output=/dev/null"]
    command += [f"--set=ON_ERROR_STOP={int(not continues)}", "--set=VERBOSITY=verbose"]
    if transaction:
        command += ["--file=-"]
        # Not by --single-transaction: psql would commit what it has when its input ends, as it does when we are killed.
        parts = itertools.chain([[b"BEGIN;\n"]], parts, [[b"\nCOMMIT;\n"]])
    if classifies or echoes:
        command += ["--echo-errors", "--file=-"]  # named, so that its messages say that they are psql's
    classifier = Classifier(
        action=f"cannot restore into {target.label}",
        script=classifies,
        schemas=run.target.schemas,
        judge=run.judge,
        takes=takes,
        ends=ender(run),
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
            if transaction and state == FOREIGN_KEY_VIOLATION:
                raise _rows_apart(error, child.lines)
            raise run.judge(error, state)
        classifier.end()
        if end not in child.lines:
            raise HoldfastError(f"{classifier.action}: psql ended before it had read the whole script")
        lines = child.lines
    run.warn(classifier.degraded)
    return lines


def _rows_apart(error: HoldfastError, lines: Sequence[str]) -> HoldfastError:
    """What is put into a database does not go with what stays there: the server says of which key, apart."""
    detail = next((line.partition("DETAIL:")[2].strip() for line in lines if line.startswith("DETAIL:")), "")
    hint = "select both tables of the foreign key, so that rows of one moment come together"
    return HoldfastError(": ".join(filter(None, (error.message, detail))), hint=hint)


def run_sections(
    run: RestoreRun, sections: Iterable[Fed], location: Location | None, takes: Callable[[FailedStatement], bool]
) -> None:
    """Run sections of a script in the target, to the end: psql runs their statements, COPY loads their rows.

    `takes` tells of what was refused, with the number of its section and its line there, whether it is kept for later;
    all else is raised.
    """
    feed = Feed(sections)
    with RowsOfScript(run, location, takes) as rows:
        for stretch in feed:
            if isinstance(stretch, SectionRows):
                rows.load(stretch)
            else:
                rows.close()  # a pooler may have no more than one session for us
                _run_stretch(run, stretch, location, takes)


def _run_stretch(
    run: RestoreRun, stretch: Stretch, location: Location | None, takes: Callable[[FailedStatement], bool]
) -> None:
    def take(refusal: FailedStatement) -> bool:
        number, line = stretch.place_of(refusal.line)
        return takes(replace(refusal, entry=number, line=line))

    run_script(run, [stretch], run.target.into, location, continues=True, classifies=True, takes=take)
