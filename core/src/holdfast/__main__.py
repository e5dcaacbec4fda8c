"""The program, `holdfast` or `python -m holdfast`: the command line between a quick start and a quick end.

Nothing is imported before Ctrl-C has been seen to, which until then ends in a traceback of Python's.
"""

TYPE_CHECKING = False  # that of `typing` takes ten milliseconds
if TYPE_CHECKING:
    from typing import NoReturn

# New objects between two searches for garbage: the 75 000 of a backup's start all stay, and 50 searches took a tenth
# of it.
_GARBAGE = 100_000
# glibc gives a freed block of up to this size to whoever asks next, instead of to the kernel, which clears every page
# that it gives back: 5 % less time at level 1 of zstd. The largest block freed so far sets it, used or not.
_KEPT = 4 << 20


class _Exit:
    """Ends the process after all that has to be done at the end.

    What would follow is Python taking itself apart object by object: 30 ms for nothing.
    """

    code: int | None = None

    def __call__(self) -> None:
        if self.code is not None:
            import os

            from holdfast.cli.standard_streams import flush

            flush()
            os._exit(self.code)


def main() -> "NoReturn":
    """Run the command line and exit."""
    # What `signal` makes enumerations of, which take four milliseconds.
    import _signal as signal  # type: ignore[import-not-found]

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Ctrl-C during the imports ends the process as SIGTERM does there, without a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    import atexit
    import gc

    leave = _Exit()
    atexit.register(leave)  # what is registered first is called last
    gc.set_threshold(_GARBAGE)
    bytes(_KEPT)
    from holdfast import cli

    try:
        cli.main()
    except SystemExit as done:
        leave.code = done.code if isinstance(done.code, int) else None
        raise


if __name__ == "__main__":
    main()
