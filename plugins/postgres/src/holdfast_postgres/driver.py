"""The driver is there: imported before all else that needs psycopg, which cannot be imported without a libpq."""

from holdfast.api import PluginError

try:
    import psycopg  # noqa: F401 (whether it can be)
except ImportError as error:
    raise PluginError(
        f"psycopg cannot be imported: {' '.join(str(error).split())}",
        hint="pip install 'holdfast-postgres[binary]', or install libpq",
    ) from error
