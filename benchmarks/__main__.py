"""`python -m benchmarks [NAME] [OPTION...]`: run one benchmark, or all of them one after the other."""

import importlib
import os
import pkgutil
import sys

import benchmarks

_MACHINERY = {"__main__", "measure", "pages", "plainfile"}


def main(arguments: list[str]) -> None:
    """Run what is named; the options after the name are the benchmark's own."""
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name not in _MACHINERY]
    if arguments and arguments[0] not in names and not arguments[0].startswith("-"):
        sys.exit(f"error: no benchmark '{arguments[0]}' (there are: {', '.join(names)})")
    # An installed package is compiled. From a checkout, a run that may not keep what it compiles does so each time.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.setdefault("TMPDIR", "/var/tmp")  # servers on a disk, as people have them; those of tests are in memory
    chosen, options = (arguments[:1], arguments[1:]) if arguments and arguments[0] in names else (names, arguments)
    for name in chosen:
        importlib.import_module(f"benchmarks.{name}").main(options)


main(sys.argv[1:])
