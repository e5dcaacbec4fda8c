"""What it costs to start: `holdfast --help` against an empty Python."""

import argparse
import sys

from benchmarks.measure import Contender, compare


def main(arguments: list[str]) -> None:
    """Compare the start-up of the command line with that of the interpreter."""
    parser = argparse.ArgumentParser(prog="benchmarks startup")
    parser.add_argument("--runs", type=int, default=15)
    options, _ = parser.parse_known_args(arguments)
    nothing = Contender(name="python -c pass", command=[sys.executable, "-c", "pass"])
    for words in (["--help"], ["list", "--help"], ["plugins"]):
        ours = Contender(name=f"holdfast {' '.join(words)}", command=[sys.executable, "-m", "holdfast", *words])
        compare("start-up", ours, [nothing], runs=options.runs)
