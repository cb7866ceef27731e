"""Provides network links that can be cut, as TCP proxies in front of the cloud and the broker."""

import asyncio
import errno
import socket
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from nestling_core.network.address import Address

_CHUNK_BYTES = 65536
# Errors of an accept for lack of file descriptors or memory.
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_PAUSE_S = 0.1


class CuttableLink:
    """Forwards TCP connections to a target until `cut` is called, and again after `restore`.

    While the link is cut, new connections are refused at once, as if the target were not running,
    and the port stays reserved. The link does not slow down traffic, because the cost of a slow
    link is modelled.
    """

    def __init__(self, name: str, host: str, port: int) -> None:
        """Create a link, which starts when its `with` block begins.

        Args:
            name: the suffix of the thread's name, such as the device's id.
            host: the host of the target.
            port: the port of the target.
        """
        self._name = name
        self._target = (host, port)
        self._loop: asyncio.AbstractEventLoop
        self._thread: threading.Thread
        self._guard: socket.socket
        self._listener: socket.socket | None = None
        self._carried: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port on 127.0.0.1 that the device connects to."""
        port: int = self._guard.getsockname()[1]
        return port

    @property
    def address(self) -> Address:
        """The address that the device connects to."""
        return Address(host="127.0.0.1", port=self.port)

    def cut(self) -> None:
        """Refuse new connections, close all existing ones, and wait until they are closed."""
        self._in_loop(self._close())

    def restore(self) -> None:
        """Accept connections again."""
        self._in_loop(self._listen())

    def __enter__(self) -> Self:
        """Start the link in the restored state."""
        # Bound but never listening, which reserves the port while the link is cut.
        self._guard = _bound(0)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"link-{self._name}")
        self._thread.start()
        self.restore()
        return self

    def __exit__(self, *_: object) -> None:
        """Cut the link, and release its thread, its event loop and its port."""
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
            if err.errno in _EXHAUSTED:  # the connection stays pending; a pause avoids a busy loop
                self._loop.remove_reader(listener)
                self._loop.call_later(_PAUSE_S, self._accept_again, listener)
            return  # any other error: the caller has disconnected
        task = self._loop.create_task(self._carry(near))
        self._carried.add(task)
        task.add_done_callback(self._carried.discard)
        # Also closes the socket if the task is canceled before it starts.
        task.add_done_callback(lambda _: near.close())

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
        except* OSError:  # one end disconnected; both are closed
            pass

    async def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        while data := await self._loop.sock_recv(source, _CHUNK_BYTES):
            await self._loop.sock_sendall(sink, data)
        sink.shutdown(socket.SHUT_WR)


@dataclass(frozen=True, kw_only=True)
class DeviceLinks:
    """The links of one device, which are cut and restored together.

    Attributes:
        cloud: the link to the cloud.
        broker: the link to the broker.
    """

    cloud: CuttableLink
    broker: CuttableLink

    def switch(self, *, up: bool) -> None:
        """Restore or cut both links.

        Args:
            up: whether to restore them.
        """
        for link in (self.cloud, self.broker):
            if up:
                link.restore()
            else:
                link.cut()


@contextmanager
def device_links(device_id: str, *, cloud: Address, broker: Address) -> Iterator[DeviceLinks]:
    """Provide the links of a device during the block, initially in the restored state.

    Args:
        device_id: the id of the device, for the names of the threads.
        cloud: the address of the cloud.
        broker: the address of the broker.
    """
    with (
        CuttableLink(f"{device_id}-c", cloud.host, cloud.port) as to_cloud,
        CuttableLink(f"{device_id}-b", broker.host, broker.port) as to_broker,
    ):
        yield DeviceLinks(cloud=to_cloud, broker=to_broker)


def _bound(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setblocking(False)
    listener.bind(("127.0.0.1", port))
    return listener
