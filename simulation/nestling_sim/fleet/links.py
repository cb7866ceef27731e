"""A link that can be cut: a TCP proxy between an agent and the cloud or the broker."""

import asyncio
import errno
import socket
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Self

from nestling_core.network.address import Address

_CHUNK_BYTES = 65536
# Of an accept for which there is no file or no memory just now.
_FULL = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_PAUSE_S = 0.1


class CuttableLink:
    """Carry connections to a target until `cut`, and again after `restore`.

    While cut, new connections are refused at once, as they are by a host whose service is down;
    the port stays the link's own. The link shapes no traffic: what a slow link costs is modelled.

    Args:
        name: for the thread, such as the device's id.
        host: of the target.
        port: its port.
    """

    def __init__(self, name: str, host: str, port: int) -> None:
        self._name = name
        self._target = (host, port)
        self._loop: asyncio.AbstractEventLoop
        self._thread: threading.Thread
        self._guard: socket.socket
        self._listener: socket.socket | None = None
        self._carried: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Port on 127.0.0.1 where the agent connects."""
        port: int = self._guard.getsockname()[1]
        return port

    @property
    def address(self) -> Address:
        """Where the agent connects."""
        return Address(host="127.0.0.1", port=self.port)

    def cut(self) -> None:
        """Close the live connections and refuse new ones; returns when that is so."""
        self._in_loop(self._close())

    def restore(self) -> None:
        """Accept connections again."""
        self._in_loop(self._listen())

    def __enter__(self) -> Self:
        """Start, restored."""
        # Bound and never listening: keeps the port from being lent to others while cut.
        self._guard = _bound(0)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"link-{self._name}")
        self._thread.start()
        self.restore()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Cut, and give back thread, loop and port."""
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._guard.close()

    def _in_loop(self, work: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = _bound(self.port)
            self._listener.listen()
            self._loop.add_reader(self._listener, self._accept, self._listener)

    async def _close(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        for task in self._carried:
            task.cancel()
        await asyncio.gather(*self._carried, return_exceptions=True)

    def _accept(self, listener: socket.socket) -> None:
        try:
            near, _ = listener.accept()
        except OSError as err:
            if err.errno in _FULL:  # it stays at the door: without a pause we would spin
                self._loop.remove_reader(listener)
                self._loop.call_later(_PAUSE_S, self._accept_again, listener)
            return  # otherwise the caller hung up before we got to it
        task = self._loop.create_task(self._carry(near))
        self._carried.add(task)
        task.add_done_callback(self._carried.discard)
        task.add_done_callback(lambda _: near.close())  # also of a task cut before it began

    def _accept_again(self, listener: socket.socket) -> None:
        if self._listener is listener:  # otherwise the link was cut meanwhile
            self._loop.add_reader(listener, self._accept, listener)

    async def _carry(self, near: socket.socket) -> None:
        try:
            with socket.socket() as far:
                for end in (near, far):
                    end.setblocking(False)
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await self._loop.sock_connect(far, self._target)
                async with asyncio.TaskGroup() as pumps:
                    pumps.create_task(self._pump(near, far))
                    pumps.create_task(self._pump(far, near))
        except* OSError:  # either end went away: closing both is all there is to do
            pass

    async def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        while data := await self._loop.sock_recv(source, _CHUNK_BYTES):
            await self._loop.sock_sendall(sink, data)
        sink.shutdown(socket.SHUT_WR)


def _bound(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setblocking(False)
    made.bind(("127.0.0.1", port))
    return made
