"""Addresses of servers are judged before anybody is called."""

import pytest

from isthmus import cli
from isthmus.errors import ConfigurationError
from isthmus.serving.addresses import check_address, is_host_and_port


@pytest.mark.parametrize("address", ["street:1", "[::1]:50051", "dns:50051", "dns:///street", "unix:/run/isthmus.sock"])
def test_what_grpc_knows_is_taken(address):
    check_address(address, "--server")


@pytest.mark.parametrize("address", ["", "street", ":1", "street:0", "street:99999", "street:x", "::1:1", "a/b:1"])
def test_what_is_none_is_refused(address):
    assert not is_host_and_port(address)
    with pytest.raises(ConfigurationError, match=r"^--server: .* is no HOST:PORT\. Write for example"):
        check_address(address, "--server")


def test_nothing_is_made_for_an_address_that_is_none(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    out = tmp_path / "out"
    with pytest.raises(ConfigurationError, match=r"^--server: 'street' is no HOST:PORT"):
        cli.run(["segment", str(tmp_path / "a.png"), "--server", "street", "--out", str(out)])
    assert not out.exists()
