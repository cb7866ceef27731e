import errno
import socket
from unittest import mock

import pytest

from nestling_sim.fleet.links import CuttableLink, DeviceLinks


@pytest.mark.parametrize(
    ("fault", "pauses"), [(errno.EMFILE, True), (errno.ENFILE, True), (errno.ECONNABORTED, False)]
)
def test_link_without_a_free_file_descriptor_pauses(fault: int, pauses: bool) -> None:
    link = CuttableLink("pi-4b-1", "127.0.0.1", 1)
    loop = link._loop = mock.Mock()
    listener = link._listener = mock.Mock(spec=socket.socket)
    listener.accept.side_effect = OSError(fault, "no")

    link._accept(listener)

    assert loop.remove_reader.called == loop.call_later.called == pauses
    if pauses:
        _, again, *arguments = loop.call_later.call_args.args
        again(*arguments)
        loop.add_reader.assert_called_once_with(listener, link._accept, listener)
        link._listener = None  # cut meanwhile
        again(*arguments)
        loop.add_reader.assert_called_once()


def test_links_of_a_device_are_cut_and_restored_together() -> None:
    cloud, broker = mock.Mock(spec=CuttableLink), mock.Mock(spec=CuttableLink)
    links = DeviceLinks(cloud=cloud, broker=broker)

    links.switch(up=False)
    links.switch(up=True)

    assert cloud.method_calls == broker.method_calls == [mock.call.cut(), mock.call.restore()]
