"""Defines the settings of a device's telemetry."""

from dataclasses import dataclass

from nestling_device.transport.identity import Identity


@dataclass(frozen=True, kw_only=True)
class TelemetryConfig:
    """The settings of a device's telemetry.

    Attributes:
        device_id: the id of the device.
        host: the host of the broker.
        port: the port of the broker.
        identity: the identity for TLS, or None to connect without TLS.
        batch_limit: the largest number of receipts in one message.
        resend_after_s: the time without an acknowledgement after which receipts are sent again, in
            seconds.
        reconnect_min_s: the pause after the first failed attempt to connect, in seconds. The pause
            doubles with each further failure.
        reconnect_max_s: the longest pause between two attempts to connect, in seconds.
    """

    device_id: str
    host: str
    port: int
    identity: Identity | None = None
    batch_limit: int = 100
    resend_after_s: float = 5.0
    reconnect_min_s: float = 0.2
    reconnect_max_s: float = 5.0
