"""Checks whether an MQTT broker answers."""

import contextlib
import socket
import ssl

_TIMEOUT_S = 1.0
# CONNECT (MQTT 3.1.1, clean session, keep-alive 5 s, client "probe"), CONNACK, DISCONNECT.
_CONNECT = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x05\x00\x05probe"
_CONNACK = b"\x20\x02\x00\x00"
_DISCONNECT = b"\xe0\x00"


def answers_mqtt(host: str, port: int, tls: ssl.SSLContext | None) -> bool:
    """Return whether a broker accepts an MQTT connection.

    The connection is closed again immediately. The result is False if the broker does not answer
    within a second.

    Args:
        host: the broker's host.
        port: the broker's port.
        tls: the TLS context with a client certificate; None for an open broker.
    """
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        probe = stack.enter_context(socket.create_connection((host, port), timeout=_TIMEOUT_S))
        if tls is not None:
            probe = stack.enter_context(tls.wrap_socket(probe, server_hostname=host))
        probe.sendall(_CONNECT)
        answer = probe.recv(len(_CONNACK))
        probe.sendall(_DISCONNECT)
        return answer == _CONNACK
    return False
