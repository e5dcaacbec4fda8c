"""Whether an account may make the databases beside a target that a replacement takes."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from holdfast.api import CredentialsError, quote_name
from holdfast_mysql.catalog.privileges import privileges_on
from holdfast_mysql.restore.journal import Journal, away_name, building_name
from holdfast_mysql.session import Session, quoted


def check_rights_beside(session: Session, target: str) -> None:
    """Refuse, without making anything, what `made_beside` would."""
    with _telling(target):
        for name in (building_name(target, "0" * 8), away_name(target, "0" * 8)):
            if not privileges_on(session, name) & {"ALL PRIVILEGES", "CREATE"}:
                raise CredentialsError(f"the account may not make a database such as {quote_name(name)}")


def made_beside(journal: Journal | None) -> AbstractContextManager[None]:
    """Say of a right that is missing in the block what a replacement, which has a journal, needs it for."""
    return _telling(journal.target) if journal else nullcontext()


@contextmanager
def _telling(target: str) -> Iterator[None]:
    try:
        yield
    except CredentialsError as error:
        pattern = quoted(target.replace("_", "\\_") + "\\_holdfast\\_%")
        raise CredentialsError(
            f"cannot replace {quote_name(target)}, which takes databases beside it: {error.message}",
            hint=f"GRANT ALL ON {pattern}.* to the account, or empty {quote_name(target)} first: a restore into an "
            "empty database makes none",
        ) from error
