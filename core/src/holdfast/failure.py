"""What a restore that goes on after errors could not bring back, object by object: the same words for every engine."""

from dataclasses import dataclass

from holdfast.errors import quote_name
from holdfast.field_docs import explain_fields


@explain_fields
@dataclass(frozen=True, kw_only=True)
class Failure:
    """One object of a backup that was not restored, or not as it was."""

    kind: str  #: what it is, such as `table`
    name: str  #: which it is, as the backup calls it
    code: str = ""  #: the server's own code of the error (SQLSTATE, error number), empty where there is none
    message: str  #: what the server said

    def __str__(self) -> str:
        """Say it in one line."""
        code = f" ({self.code})" if self.code else ""
        return f"{self.kind} {quote_name(self.name)}: {' '.join(self.message.split())}{code}"
