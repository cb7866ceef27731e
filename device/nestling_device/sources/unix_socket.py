"""A UNIX socket: another program on the device hands inputs over and reads the answers.

A frame is four bytes, the length of what follows as a little-endian unsigned integer, and one
window as little-endian float32 values in C order. A frame whose length has the highest bit set
holds, instead of a window, the id of the window in the next frame: 1 to 128 bytes of UTF-8, which
come back with the answer. For every window one line of JSON comes back: the answer, or
{"error": ...}; a producer that lags in reading them loses lines, each one whole. One producer at a
time; another gets an error and is disconnected.
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
# The owner and its group; a folder says who gets that far.
_MODE = 0o660
_CHUNK_BYTES = 65536
_ID_BIT = 1 << 31
_LONGEST_ID_BYTES = 128


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """What one frame holds: a window, or the id of the next one."""

    data: bytes
    is_id: bool


class UnixSocket:
    """Gives the windows that a producer sends."""

    live = True

    def __init__(self, path: Path, shape: Sequence[int], *, patience_s: float = 5.0) -> None:
        """Listen.

        Args:
            path: of the socket; one that nobody listens on any more is replaced.
            shape: of the task's inputs.
            patience_s: a producer that stops in mid-frame for so long is disconnected.

        Raises:
            SourceError: the path is taken, too long, or its folder cannot be written.
        """
        self._path = path
        self._complaints = ThrottledLog(_log)
        self._shape = tuple(shape)
        self._size = 4 * int(np.prod(self._shape))
        self._patience_s = patience_s
        self._producer: _Producer | None = None
        self._given_id = ""  # of the last window
        try:
            _remove_stale(path)
            self._listener = _listen(path)
        except OSError as err:
            raise SourceError(
                f"cannot listen on {path}: {err.strerror or err}; name a path in a folder that the "
                "device may write"
            ) from err

    def take(self, timeout_s: float) -> Input | None:
        """Wait for the next window; bad ones are answered with an error meanwhile."""
        deadline = time.monotonic() + timeout_s
        found = self._framed()
        while found is None:
            left_s = max(0.0, deadline - time.monotonic())
            self._listen_for(min(left_s, self._patience_s))
            found = self._framed()
            if left_s == 0:
                break
        return found

    def settle(self, line: str) -> None:
        """Send the answer back, if its producer is still there."""
        if self._producer is not None:
            self._producer.send(line)

    def refuse(self, reason: str) -> None:
        """Send the reason back instead of an answer."""
        self.settle(_error(reason, self._given_id))

    def close(self) -> None:
        """Hang up and remove the socket."""
        self._hang_up()
        self._listener.close()
        with suppress(OSError):  # the next start replaces what is left of it
            self._path.unlink()

    def _listen_for(self, timeout_s: float) -> None:
        waiting: list[socket.socket] = [self._listener]
        if self._producer is not None:
            waiting.append(self._producer.connection)
        ready, _, _ = select.select(waiting, [], [], timeout_s)
        if self._producer is not None:
            if self._producer.connection in ready and not self._producer.receive():
                self._hang_up()
            elif self._producer.silent_s > self._patience_s and self._producer.began:
                self._refuse("the frame did not end in time")
        if self._listener in ready:
            self._accept()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError as err:  # it hung up before, or no file is free at the moment
            _log.warning("%s: a producer could not connect: %s", self._path, err.strerror)
            return
        newcomer = _Producer(connection)
        if self._producer is None:
            self._producer = newcomer
        else:
            newcomer.send(_error("another producer is connected; one at a time"))
            connection.close()

    def _framed(self) -> Input | None:
        """Take the next good window from what the producer sent, None if there is none."""
        while (frame := self._next_frame()) is not None:
            producer = self._producer
            assert producer is not None
            if frame.is_id:
                producer.next_id = frame.data.decode("utf-8", "replace")
                continue
            given_id, producer.next_id = producer.next_id, ""
            window = np.frombuffer(frame.data, "<f4")
            if np.isfinite(window).all():
                self._given_id = given_id
                return Input(
                    window=window.reshape(self._shape).astype(np.float32),
                    origin=Origin(id=given_id),
                )
            producer.send(_error("values that are not finite", given_id))
        return None

    def _next_frame(self) -> _Frame | None:
        producer = self._producer
        if producer is None or len(producer.received) < _HEADER.size:
            return None
        (word,) = _HEADER.unpack_from(producer.received)
        is_id, length = bool(word & _ID_BIT), word & ~_ID_BIT
        fault = self._fault_of(length, is_id=is_id)
        if fault:
            self._refuse(fault)
            return None
        end = _HEADER.size + length
        if len(producer.received) < end:
            return None
        data = bytes(producer.received[_HEADER.size : end])
        del producer.received[:end]
        return _Frame(data=data, is_id=is_id)

    def _fault_of(self, length: int, *, is_id: bool) -> str:
        """Say what is wrong with a frame's length, "" if nothing is."""
        if is_id and not 0 < length <= _LONGEST_ID_BYTES:
            return f"an id of {length} bytes; 1 to {_LONGEST_ID_BYTES} are allowed"
        if not is_id and length != self._size:
            sizes = ", ".join(map(str, self._shape))
            return f"a frame of {length} bytes; float32 ({sizes}) is {self._size} bytes"
        return ""

    def _refuse(self, fault: str) -> None:
        """Tell a producer what is wrong and hang up: what follows cannot be told apart."""
        assert self._producer is not None
        self._complaints.add("a frame; its producer is disconnected", str(self._path), fault)
        self._producer.send(_error(fault))
        self._hang_up()

    def _hang_up(self) -> None:
        if self._producer is not None:
            self._producer.connection.close()
            self._producer = None


class _Producer:
    """A connection; what comes is kept until it is a frame, what cannot be sent is dropped."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.connection = connection
        self.received = bytearray()
        self.next_id = ""  # of the window that comes next
        self._unsent = b""
        self._heard_s = time.monotonic()

    @property
    def began(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self.received)

    @property
    def silent_s(self) -> float:
        """Since when nothing came."""
        return time.monotonic() - self._heard_s

    def receive(self) -> bool:
        """Take what is there; False if the producer is gone."""
        try:
            data = self.connection.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._heard_s = time.monotonic()
        self.received += data
        return bool(data)

    def send(self, line: str) -> None:
        """Send a line, unless the producer has not read those before: the agent never waits."""
        self._push()
        if not self._unsent:
            self._unsent = line.encode() + b"\n"
            self._push()

    def _push(self) -> None:
        with suppress(OSError):  # full: later; gone: `receive` will tell
            while self._unsent:
                self._unsent = self._unsent[self.connection.send(self._unsent) :]


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listener.fileno(), _MODE)  # so that it is never open to more, whatever the umask
        listener.bind(str(path))
        path.chmod(_MODE)
        listener.listen()
    except BaseException:
        listener.close()
        raise
    return listener


def _remove_stale(path: Path) -> None:
    """Remove a socket that a killed process left behind; raises OSError if it is in use."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError("something that is no socket has this name")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError("another program listens there")


def _error(fault: str, given_id: str = "") -> str:
    return json.dumps({"error": fault, **({"id": given_id} if given_id else {})})
