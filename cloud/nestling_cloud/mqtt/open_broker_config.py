"""Generates the configuration of a broker that every client on this machine may use."""

import os

from nestling import topics
from nestling_cloud.fleet.broker_config import COMMON_SETTINGS, MAX_MESSAGE_BYTES

# While it runs, iotcore keeps one log for each subscription filter, from which it serves its
# subscribers. A full log drops its oldest segment, read or not. The defaults allow a gigabyte for
# each filter.
#
# A slow subscriber to the whole fleet's messages may fall behind by 15 to 20 MiB.
_FLEET_SEGMENT_BYTES = 5 * 1024 * 1024
# A device's filters carry short commands, and one chunk of a delivery at a time.
_DEVICE_SEGMENT_BYTES = 64 * 1024
_SEGMENTS = 4
_DEVICE_FILTERS = (topics.sparkplug("NCMD", "+"), topics.delivery_response("+"))
_CONNECTIONS = 10_000
# From the TCP connection to the CONNECT packet.
_CONNECT_TIMEOUT_MS = 10_000


def mosquitto(host: str, port: int) -> str:
    """Return the text of Mosquitto's configuration file.

    Args:
        host: the host to listen on.
        port: the port to listen on.
    """
    lines = [
        f"listener {port} {host}",
        "allow_anonymous true",
        *COMMON_SETTINGS,
        # Started as root, Mosquitto would change its user, which cancels the parent-death guard.
        *(["user root"] if os.geteuid() == 0 else []),
    ]
    return "\n".join(lines) + "\n"


def iotcore(host: str, port: int) -> str:
    """Return the text of iotcore's configuration file, which is TOML for its broker rumqttd.

    Args:
        host: the IPv4 address to listen on.
        port: the port to listen on.
    """
    lines = [
        "id = 0",
        "[router]",
        "id = 0",
        f"max_connections = {_CONNECTIONS}",
        "max_outgoing_packet_count = 200",
        *_segments(_FLEET_SEGMENT_BYTES),
        *(
            line
            for topic_filter in _DEVICE_FILTERS
            for line in (
                f"[router.custom_segment.'{topic_filter}']",
                *_segments(_DEVICE_SEGMENT_BYTES),
            )
        ),
        "[v4.1]",
        'name = "mqtt"',
        f'listen = "{host}:{port}"',
        "next_connection_delay_ms = 1",
        "[v4.1.connections]",
        f"connection_timeout_ms = {_CONNECT_TIMEOUT_MS}",
        f"max_payload_size = {MAX_MESSAGE_BYTES}",
        "max_inflight_count = 100",
        "dynamic_filters = true",
    ]
    return "\n".join(lines) + "\n"


def _segments(size_bytes: int) -> list[str]:
    return [f"max_segment_size = {size_bytes}", f"max_segment_count = {_SEGMENTS}"]
