"""The ports that servers of a comparison are given."""

import socket

import pytest
from servers import PORTS, free_port


def test_a_port_that_somebody_listens_at_is_passed_over() -> None:
    first = free_port(20000)
    with socket.create_server(("127.0.0.1", first)):
        second = free_port(first)
        assert second > first
        assert free_port(first, [second]) > second
    assert free_port(first) == first


def test_where_no_port_is_free_it_is_said() -> None:
    with pytest.raises(SystemExit, match="no port from 20000 to 20099 is free"):
        free_port(20000, range(20000, 20000 + PORTS))
