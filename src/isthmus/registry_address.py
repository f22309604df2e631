"""How a registry's address is written, for those who fill it and those who serve from it."""

from typing import Final

from isthmus.errors import ConfigurationError

SQLITE: Final = "sqlite:///"
"""Begins the address of a database in a file."""


def check_address(uri: str) -> None:
    """Refuse what is none; MLflow takes it for a folder of files, a kind of store that it no longer has.

    Raises:
        ConfigurationError: It is a path, or a database's address that is not whole.
    """
    wrong_sqlite = uri.startswith("sqlite:") and not uri.startswith(SQLITE)
    if wrong_sqlite or not ("://" in uri or uri.startswith("databricks")):
        raise ConfigurationError(
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
