import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from nestling_sim.fleet.links import CuttableLink

DEADLINE_S = 10.0


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(65536):
            self.request.sendall(data)


class _EchoServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    with _EchoServer(("127.0.0.1", 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever, name="echo")
        thread.start()
        host, port = server.server_address[:2]
        yield str(host), port
        server.shutdown()
        thread.join()


@pytest.fixture
def link(echo: tuple[str, int]) -> Iterator[CuttableLink]:
    with CuttableLink("pi-4b-1", *echo) as link:
        yield link


def dial(link: CuttableLink) -> socket.socket:
    return socket.create_connection(("127.0.0.1", link.port), timeout=DEADLINE_S)


def ask(caller: socket.socket, data: bytes) -> bytes:
    caller.sendall(data)
    caller.shutdown(socket.SHUT_WR)
    answer = b""
    while part := caller.recv(65536):
        answer += part
    return answer


def gone(caller: socket.socket) -> bool:
    try:
        return caller.recv(1) == b""
    except ConnectionError:
        return True


def test_link_carries_large_data_both_ways_and_a_half_close(link: CuttableLink) -> None:
    data = bytes(range(256)) * 4096

    with dial(link) as caller:
        sender = threading.Thread(target=caller.sendall, args=(data,))
        sender.start()
        answer = b""
        while len(answer) < len(data):
            answer += caller.recv(65536)
        sender.join()

        assert ask(caller, b"last") == b"last"
    assert answer == data


def test_link_carries_several_connections_at_once(link: CuttableLink) -> None:
    with dial(link) as first, dial(link) as second:
        assert ask(second, b"two") == b"two"
        assert ask(first, b"one") == b"one"


def test_cut_closes_live_connections_and_refuses_new_ones(link: CuttableLink) -> None:
    with dial(link) as caller:
        caller.sendall(b"x")
        assert caller.recv(1) == b"x"

        link.cut()

        assert gone(caller)
    with pytest.raises(ConnectionRefusedError):
        dial(link)


def test_restored_link_serves_at_the_same_port(link: CuttableLink) -> None:
    port = link.port
    for _ in range(3):
        link.cut()
        link.cut()
        link.restore()
        link.restore()

        with dial(link) as caller:
            assert ask(caller, b"again") == b"again"
    assert port == link.port


def test_cut_right_after_a_connect_leaves_no_connection(link: CuttableLink) -> None:
    for _ in range(20):
        with dial(link) as caller:
            link.cut()
            assert gone(caller)
        link.restore()


def test_unreachable_target_closes_the_callers_connection(echo: tuple[str, int]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening, so it refuses connections
        with CuttableLink("pi-5-1", *unused.getsockname()) as link, dial(link) as caller:
            assert gone(caller)


def test_closed_link_leaves_no_thread_and_no_listener(echo: tuple[str, int]) -> None:
    with CuttableLink("pi-5-2", *echo) as link:
        port = link.port
        caller = dial(link)
    with caller:
        assert gone(caller)

    assert "link-pi-5-2" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
