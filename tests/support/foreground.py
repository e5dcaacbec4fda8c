"""Signals as a person at a terminal has them, for tests that send them.

Started by `nohup`, or in the background of a script, the tests would inherit SIGINT and SIGHUP ignored, and so would
the commands that they start, which rightly go on ignoring them.
"""

import signal


def take_signals() -> None:
    """Stop ignoring what whoever started the tests ignores."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
