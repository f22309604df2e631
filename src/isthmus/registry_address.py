"""How a registry's address is written, for those who fill it and those who serve from it."""

from typing import Final

from isthmus.errors import ConfigurationError

SQLITE: Final = "sqlite:///"
"""Begins the address of a database in a file."""


def check_address(uri: str) -> None:
    """Refuse what is none; MLflow takes it for a folder of files, a kind of store that it no longer offers.

    Raises:
        ConfigurationError: It is a path, such a folder's `file:` address, or a database's address that is not whole.
    """
    is_folder = uri.lower().startswith("file:")
    wrong_sqlite = uri.startswith("sqlite:") and not uri.startswith(SQLITE)
    if is_folder or wrong_sqlite or not ("://" in uri or uri.startswith("databricks")):
        raise no_address(uri)


def no_address(uri: str) -> ConfigurationError:
    """What to raise for such a one."""
    return ConfigurationError(
        "this is no address of a registry",
        where=place_of(uri),
        remedy="Write https://HOST of a server, or sqlite:///FOLDER/mlflow.db for a folder of this machine.",
    )


def place_of(uri: str) -> str:
    """A registry's address without user and password.

    >>> place_of("https://me:secret@mlflow.example/a@b")
    'https://mlflow.example/a@b'
    >>> place_of("sqlite:////srv/mlflow.db")
    'sqlite:////srv/mlflow.db'
    """
    scheme, mark, rest = uri.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"
