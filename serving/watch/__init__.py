"""A live view of a server for a terminal: its model and the changes, its health, its frames by verdict."""

from isthmus.serving.watch.run import watch

__all__ = ["watch"]
