"""Side by side against the peers, in the same run; never part of the tests.

`python -m benchmarks NAME [--runs N] [--size MB]` runs one of them; ratios are what to trust, not seconds.
"""
