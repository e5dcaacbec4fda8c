"""Which server a drill uses."""

import os
from collections.abc import Mapping

from holdfast.api import DatabaseURL, Engine
from holdfast.errors import UsageError
from holdfast.url import redact

VARIABLE = "HOLDFAST_DRILL_URL"


def drill_server(engine: Engine, into: str | None, environ: Mapping[str, str] = os.environ) -> str | None:
    """The server to use: as asked, else the first in the environment that is of the engine."""
    schemes = (engine.name, *engine.aliases)
    if into is not None:
        other = DatabaseURL.parse(into).scheme
        if other not in schemes:
            raise UsageError(f"the backup is of engine '{engine.name}', but {redact(into)} is of '{other}'")
        return into
    return next((url for url in environ.get(VARIABLE, "").split() if DatabaseURL.parse(url).scheme in schemes), None)
