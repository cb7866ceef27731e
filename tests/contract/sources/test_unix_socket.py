"""A UNIX socket as a source."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nestling_device.sources.source import Origin, SourceError, Windows
from nestling_device.sources.unix_socket import UnixSocket
from tests.support.processes import until
from tests.support.source_contract import LINE, PATIENCE_S, SHAPE, SourceContract, window


class FedSocket:
    shape = SHAPE

    def __init__(self, path: Path, *, patience_s: float = PATIENCE_S) -> None:
        self.path = path
        self.source = UnixSocket(path, SHAPE, patience_s=patience_s)
        self.producer = self.connect()

    def connect(self) -> socket.socket:
        producer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        producer.settimeout(PATIENCE_S)
        producer.connect(str(self.path))
        return producer

    def feed(self, number: int) -> Windows:
        self.producer.sendall(frame(window(number)))
        return window(number)

    def close(self) -> None:
        self.producer.close()
        self.source.close()


def frame(values: NDArray[np.float32]) -> bytes:
    data = values.astype("<f4").tobytes()
    return len(data).to_bytes(4, "little") + data


def id_frame(text: str) -> bytes:
    data = text.encode()
    return (1 << 31 | len(data)).to_bytes(4, "little") + data


def line_from(producer: socket.socket) -> dict[str, Any]:
    with producer.makefile("rb") as file:
        line: dict[str, Any] = json.loads(file.readline())
    return line


class TestUnixSocket(SourceContract):
    @pytest.fixture
    def fed(self, tmp_path: Path) -> Iterator[FedSocket]:
        fed = FedSocket(tmp_path / "inputs")
        yield fed
        fed.close()

    def test_only_owner_and_group_may_connect(self, fed: FedSocket) -> None:
        assert fed.path.stat().st_mode & 0o777 == 0o660

    def test_answer_is_sent_to_the_producer(self, fed: FedSocket) -> None:
        fed.feed(1)
        assert fed.source.take(PATIENCE_S) is not None
        fed.source.settle(LINE)

        assert line_from(fed.producer) == {"answer": "a"}

    def test_revision_of_a_window_with_an_id_is_sent_to_the_producer(self, fed: FedSocket) -> None:
        fed.producer.sendall(id_frame("porch/1") + frame(window(1)) + frame(window(2)))
        for _ in range(2):
            assert fed.source.take(PATIENCE_S) is not None
            fed.source.settle(LINE)
        fed.source.revise('{"revises": "a"}', Origin(id="porch/1"))
        fed.source.revise('{"revises": "lost"}', Origin())  # the producer could not tell whose
        fed.source.settle('{"answer": "last"}')

        with fed.producer.makefile("rb") as file:
            lines = [json.loads(file.readline()) for _ in range(4)]
        assert lines == [{"answer": "a"}, {"answer": "a"}, {"revises": "a"}, {"answer": "last"}]

    def test_revision_without_a_producer_is_dropped_and_the_next_one_is_served(
        self, fed: FedSocket
    ) -> None:
        fed.feed(1)
        assert fed.source.take(PATIENCE_S) is not None
        fed.producer.close()
        until(lambda: fed.source.take(0.05) is None and fed.source._producer is None)
        fed.source.revise('{"revises": "a"}', Origin(id="porch/1"))

        fed.producer = fed.connect()
        fed.feed(2)
        assert fed.source.take(PATIENCE_S) is not None
        fed.source.settle(LINE)
        assert line_from(fed.producer) == {"answer": "a"}

    def test_split_and_joined_frames_are_read(self, fed: FedSocket) -> None:
        both = frame(window(1)) + frame(window(2))
        taken = []
        for piece in (both[:3], both[3:20], both[20:50], both[50:]):
            fed.producer.sendall(piece)
            taken.append(fed.source.take(0.0))
        taken.append(fed.source.take(0.0))

        assert [None if found is None else found.window[0, 0] for found in taken] == [
            None,
            None,
            1,
            2,
            None,
        ]

    def test_second_producer_is_rejected_and_the_first_continues(self, fed: FedSocket) -> None:
        fed.feed(1)
        assert fed.source.take(PATIENCE_S) is not None
        with fed.connect() as second:
            assert fed.source.take(0.05) is None
            assert "one at a time" in line_from(second)["error"]
            assert second.recv(1) == b""
        fed.feed(2)

        assert fed.source.take(PATIENCE_S) is not None

    def test_producer_that_dies_in_mid_frame_can_be_replaced(self, fed: FedSocket) -> None:
        fed.producer.sendall(frame(window(1))[:-1])
        fed.source.take(0.05)
        fed.producer.close()
        fed.source.take(0.05)
        fed.producer = fed.connect()
        fed.feed(2)

        taken = fed.source.take(PATIENCE_S)
        assert taken is not None
        assert taken.window[0, 0] == 2

    def test_answer_to_a_producer_that_is_gone_is_dropped(self, fed: FedSocket) -> None:
        fed.feed(1)
        assert fed.source.take(PATIENCE_S) is not None
        fed.producer.close()

        fed.source.settle(LINE)

        assert fed.source.take(0.05) is None

    def test_producer_that_does_not_read_its_answers_never_blocks_the_agent(
        self, fed: FedSocket
    ) -> None:
        for _ in range(3):
            fed.feed(1)
            assert fed.source.take(PATIENCE_S) is not None
            fed.source.settle("x" * 1_000_000)

    def test_slow_producer_loses_whole_lines(self, fed: FedSocket) -> None:
        fed.feed(1)
        assert fed.source.take(PATIENCE_S) is not None
        first = "a" * 1_000_000  # more than a socket's buffer holds
        fed.source.settle(first)
        fed.source.settle("lost")
        received = bytearray()

        def latest_came() -> bool:
            fed.source.settle("latest")
            received.extend(fed.producer.recv(1_000_000))
            return received.endswith(b"latest\n")

        until(latest_came)

        lines = received.decode().splitlines()
        assert lines[0] == first
        assert set(lines[1:]) == {"latest"}

    @pytest.mark.parametrize("length", [0, 20, 28, 2**31 - 1])
    def test_frame_of_another_size_disconnects_the_producer(
        self, fed: FedSocket, length: int
    ) -> None:
        fed.producer.sendall(length.to_bytes(4, "little"))

        assert fed.source.take(0.05) is None
        assert "float32 (2, 3) is 24 bytes" in line_from(fed.producer)["error"]
        assert fed.producer.recv(1) == b""

    def test_window_that_is_not_finite_is_rejected_and_the_next_one_is_read(
        self, fed: FedSocket
    ) -> None:
        fed.producer.sendall(frame(np.full(SHAPE, np.inf, np.float32)))
        fed.feed(2)

        taken = fed.source.take(PATIENCE_S)
        assert taken is not None
        assert taken.window[0, 0] == 2
        assert "not finite" in line_from(fed.producer)["error"]

    def test_id_belongs_to_its_window_only(self, fed: FedSocket) -> None:
        fed.producer.sendall(id_frame("porch/1") + frame(window(1)) + frame(window(2)))

        ids = []
        for _ in range(2):
            taken = fed.source.take(PATIENCE_S)
            assert taken is not None
            ids.append(taken.origin.id)

        assert ids == ["porch/1", ""]

    def test_rejected_window_is_reported_with_its_id(self, fed: FedSocket) -> None:
        fed.producer.sendall(id_frame("bad") + frame(np.full(SHAPE, np.inf, np.float32)))
        fed.feed(2)
        taken = fed.source.take(PATIENCE_S)

        assert taken is not None
        assert taken.origin.id == ""
        assert line_from(fed.producer)["id"] == "bad"

    def test_refused_window_is_reported_with_its_id_and_the_reason(self, fed: FedSocket) -> None:
        fed.producer.sendall(id_frame("porch/1") + frame(window(1)) + frame(window(2)))
        for known in ({"id": "porch/1"}, {}):
            assert fed.source.take(PATIENCE_S) is not None
            fed.source.refuse("too large")

            assert line_from(fed.producer) == {"error": "too large", **known}

    def test_invalid_utf8_in_an_id_is_replaced(self, fed: FedSocket) -> None:
        fed.producer.sendall((1 << 31 | 2).to_bytes(4, "little") + b"a\xff" + frame(window(1)))

        taken = fed.source.take(PATIENCE_S)

        assert taken is not None
        assert taken.origin.id == "a\ufffd"

    @pytest.mark.parametrize("length", [0, 129, 2**31 - 1])
    def test_id_of_an_invalid_length_disconnects_the_producer(
        self, fed: FedSocket, length: int
    ) -> None:
        fed.producer.sendall((1 << 31 | length).to_bytes(4, "little"))

        assert fed.source.take(0.05) is None
        assert "1 to 128 are allowed" in line_from(fed.producer)["error"]
        assert fed.producer.recv(1) == b""

    def test_producer_that_stops_in_mid_frame_is_disconnected(self, tmp_path: Path) -> None:
        fed = FedSocket(tmp_path / "slow", patience_s=0.01)
        fed.producer.sendall(b"\x18")
        until(lambda: fed.source.take(0.05) is None and fed.source._producer is None)

        assert "did not end in time" in line_from(fed.producer)["error"]
        fed.close()

    def test_socket_of_a_killed_process_is_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "left"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
            left.bind(str(path))

        FedSocket(path).close()

    def test_socket_in_use_is_rejected(self, fed: FedSocket) -> None:
        with pytest.raises(SourceError, match="another program listens there"):
            UnixSocket(fed.path, SHAPE)
        fed.feed(1)
        assert fed.source.take(PATIENCE_S) is not None

    def test_existing_file_is_rejected_and_kept(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("precious")

        with pytest.raises(SourceError, match="not a socket has this name"):
            UnixSocket(tmp_path / "file", SHAPE)
        assert (tmp_path / "file").read_text() == "precious"

    def test_path_too_long_for_a_socket_is_rejected(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="too long"):
            UnixSocket(tmp_path / ("x" * 120), SHAPE)
