"""The contract of earlier releases of other software that Holdfast takes over: names, results, files."""
