"""A word to people who wait."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def waiting(what: str) -> Iterator[Callable[[str], None]]:
    """Say at once, and until it is done, what goes on: on a terminal's stderr, and nothing in pipes and logs.

    Args:
        what: For example `asking the registry`.

    Yields:
        Prints a line on stdout meanwhile. Nothing else inside may: it would land on stderr.
    """
    from rich.console import Console

    out, errors = Console(), Console(stderr=True)

    def say(text: str) -> None:
        out.print(text, highlight=False, markup=False, soft_wrap=True)

    if not errors.is_terminal or errors.is_dumb_terminal:
        yield say
        return
    with errors.status(f"{what} …") as status:

        def say_above(text: str) -> None:
            status.stop()
            say(text)
            status.start()

        yield say_above
