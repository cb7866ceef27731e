"""Serves a UNIX socket through which another program on the device sends inputs.

The program (the producer) reads the answers from the same socket. It sends frames, each of which
has a header and a body. The header is the length of the body, a little-endian unsigned integer of
four bytes. The body is one window as little-endian float32 values in C order. If the highest bit of
the header is set, the other bits are the length, and the body is the id of the window in the next
frame. The id has 1 to 128 bytes of UTF-8, and is returned with the answer.

Every window is answered by one line of JSON, which is the answer or {"error": ...}. If the answer
to a window with an id is revised later, a line with the id and "revises" follows. A producer that
reads too slowly misses whole lines. Only one producer at a time may be connected; any other gets an
error and is disconnected.
"""

import json
import logging
import os
import select
import socket
import stat
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nestling_core.parsing.throttled_log import ThrottledLog
from nestling_device.sources.source import Input, Origin, SourceError

_log = logging.getLogger(__name__)

_HEADER = struct.Struct("<I")
# Read and write for the owner and its group; the folder's mode restricts who reaches the socket.
_MODE = 0o660
_CHUNK_BYTES = 65536
_ID_BIT = 1 << 31
_LONGEST_ID_BYTES = 128


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """The body of a frame, which is a window or the id of the next window."""

    data: bytes
    is_id: bool


class UnixSocket:
    """A source of the windows that a producer (another program) sends."""

    live = True

    def __init__(self, path: Path, shape: Sequence[int], *, patience_s: float = 5.0) -> None:
        """Listen on a socket.

        Args:
            path: the path of the socket. A socket that no process listens on is replaced.
            shape: the shape of the task's inputs.
            patience_s: the time in seconds after which a producer that stops in the middle of a
                frame is disconnected.

        Raises:
            SourceError: the path is in use or too long, or its folder cannot be written.
        """
        self._path = path
        self._rejected_log = ThrottledLog(_log)
        self._shape = tuple(shape)
        self._size = 4 * int(np.prod(self._shape))
        self._patience_s = patience_s
        self._producer: _Producer | None = None
        self._last_id = ""  # id of the last window taken
        try:
            _remove_stale(path)
            self._listener = _listen(path)
        except OSError as err:
            raise SourceError(
                f"cannot listen on {path}: {err.strerror or err}",
                advice="name a path in a folder that the device may write",
            ) from err

    def take(self, timeout_s: float) -> Input | None:
        """Wait for the next valid window and return it, or None if none comes in time.

        Windows with values that are not finite are answered with an error. If a frame has an
        invalid length or is not completed in time, the producer gets an error and is disconnected.
        """
        deadline = time.monotonic() + timeout_s
        window = self._next_input()
        while window is None:
            left_s = max(0.0, deadline - time.monotonic())
            self._poll(min(left_s, self._patience_s))
            window = self._next_input()
            if left_s == 0:
                break
        return window

    def settle(self, line: str) -> None:
        """Send the answer to the producer if it is still connected.

        The line is dropped if an earlier line has not been sent completely yet.
        """
        if self._producer is not None:
            self._producer.send(line)

    def revise(self, line: str, origin: Origin) -> None:
        """Send a revised answer to the producer, if the input has an id."""
        if origin.id and self._producer is not None:
            self._producer.send(line)

    def refuse(self, reason: str) -> None:
        """Send the reason to the producer as an error, with the id of the last window."""
        self.settle(_error(reason, self._last_id))

    def close(self) -> None:
        """Disconnect the producer and remove the socket."""
        self._hang_up()
        self._listener.close()
        with suppress(OSError):  # the next start replaces a leftover socket
            self._path.unlink()

    def _poll(self, timeout_s: float) -> None:
        waiting: list[socket.socket] = [self._listener]
        if self._producer is not None:
            waiting.append(self._producer.connection)
        ready, _, _ = select.select(waiting, [], [], timeout_s)
        if self._producer is not None:
            if self._producer.connection in ready and not self._producer.receive():
                self._hang_up()
            elif self._producer.silent_s > self._patience_s and self._producer.began:
                self._reject("the frame did not end in time")
        if self._listener in ready:
            self._accept()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError as err:  # the producer disconnected, or no file descriptor is free
            _log.warning("%s: a producer could not connect: %s", self._path, err.strerror)
            return
        newcomer = _Producer(connection)
        if self._producer is None:
            self._producer = newcomer
        else:
            newcomer.send(_error("another producer is connected; one at a time"))
            connection.close()

    def _next_input(self) -> Input | None:
        """Return the next valid window among the received frames, or None if there is none."""
        while (frame := self._next_frame()) is not None:
            producer = self._producer
            assert producer is not None
            if frame.is_id:
                producer.next_id = frame.data.decode("utf-8", "replace")
                continue
            window_id, producer.next_id = producer.next_id, ""
            window = np.frombuffer(frame.data, "<f4")
            if np.isfinite(window).all():
                self._last_id = window_id
                return Input(
                    window=window.reshape(self._shape).astype(np.float32),
                    origin=Origin(id=window_id),
                )
            producer.send(_error("values that are not finite", window_id))
        return None

    def _next_frame(self) -> _Frame | None:
        producer = self._producer
        if producer is None or len(producer.received) < _HEADER.size:
            return None
        (header,) = _HEADER.unpack_from(producer.received)
        is_id, length = bool(header & _ID_BIT), header & ~_ID_BIT
        fault = self._fault_of(length, is_id=is_id)
        if fault:
            self._reject(fault)
            return None
        end = _HEADER.size + length
        if len(producer.received) < end:
            return None
        data = bytes(producer.received[_HEADER.size : end])
        del producer.received[:end]
        return _Frame(data=data, is_id=is_id)

    def _fault_of(self, length: int, *, is_id: bool) -> str:
        """Return what is wrong with a frame's length, or "" if the length is valid."""
        if is_id and not 0 < length <= _LONGEST_ID_BYTES:
            return f"an id of {length} bytes; 1 to {_LONGEST_ID_BYTES} are allowed"
        if not is_id and length != self._size:
            sizes = ", ".join(map(str, self._shape))
            return f"a frame of {length} bytes; float32 ({sizes}) is {self._size} bytes"
        return ""

    def _reject(self, fault: str) -> None:
        """Send the producer an error and disconnect it.

        The connection cannot be used any longer, because it is unknown where the next frame begins.
        """
        assert self._producer is not None
        self._rejected_log.add("a frame; its producer is disconnected", str(self._path), fault)
        self._producer.send(_error(fault))
        self._hang_up()

    def _hang_up(self) -> None:
        if self._producer is not None:
            self._producer.connection.close()
            self._producer = None


class _Producer:
    """The connection to a producer.

    It buffers received bytes, and at most one line that has not been sent completely yet. While
    there is such a line, further lines are dropped.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.connection = connection
        self.received = bytearray()
        self.next_id = ""  # id of the next window
        self._unsent = b""
        self._received_s = time.monotonic()

    @property
    def began(self) -> bool:
        """Whether any bytes of the next frame have been received."""
        return bool(self.received)

    @property
    def silent_s(self) -> float:
        """The seconds since the last byte was received."""
        return time.monotonic() - self._received_s

    def receive(self) -> bool:
        """Read the bytes that are available; return False if the producer has disconnected."""
        try:
            data = self.connection.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._received_s = time.monotonic()
        self.received += data
        return bool(data)

    def send(self, line: str) -> None:
        """Send a line, or drop it if an earlier line has not been sent completely yet.

        The device therefore never waits for the producer to read.
        """
        self._push()
        if not self._unsent:
            self._unsent = line.encode() + b"\n"
            self._push()

    def _push(self) -> None:
        # A full buffer is retried later, and `receive` detects a lost connection.
        with suppress(OSError):
            while self._unsent:
                self._unsent = self._unsent[self.connection.send(self._unsent) :]


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Before bind, so that the socket is never open to others, whatever the umask.
        os.fchmod(listener.fileno(), _MODE)
        listener.bind(str(path))
        path.chmod(_MODE)
        listener.listen()
    except BaseException:
        listener.close()
        raise
    return listener


def _remove_stale(path: Path) -> None:
    """Remove a socket that a killed process left behind, or raise OSError if the path is in use."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError("something that is not a socket has this name")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError("another program listens there")


def _error(fault: str, window_id: str = "") -> str:
    return json.dumps({"error": fault} | ({"id": window_id} if window_id else {}))
