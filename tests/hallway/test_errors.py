import inspect
import pickle
import re

import grpc
import pytest

from isthmus import errors
from isthmus.errors import DataMissingError, IsthmusError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, IsthmusError)]


def test_the_message_names_thing_place_and_remedy() -> None:
    error = DataMissingError("no such folder", where="/data", remedy="Check the root.")
    assert str(error) == "/data: no such folder. Check the root."


@pytest.mark.parametrize("kind", KINDS)
def test_each_error_has_a_grpc_status_and_stands_in_the_drawn_tree(kind: type[IsthmusError]) -> None:
    assert hasattr(grpc.StatusCode, kind.status)
    (drawn,) = re.findall(rf"^[ │├└─]*{kind.__name__} +([A-Z_]+)(?:  .*)?$", errors.__doc__ or "", re.MULTILINE)
    assert drawn == kind.status


def test_an_error_survives_a_worker_process() -> None:
    error = pickle.loads(pickle.dumps(DataMissingError("gone", where="a.png", remedy="Fetch it.")))
    assert isinstance(error, DataMissingError)
    assert str(error) == "a.png: gone. Fetch it."
    assert error.where == "a.png"
