"""Defines the settings with which a device runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nestling_core.nest.bundle_files import Activations
from nestling_core.network.address import Address
from nestling_device.transport.identity import Identity


@dataclass(frozen=True, kw_only=True)
class DeviceConfig:
    """The settings with which a device runs, such as its id and the addresses of its cloud.

    Attributes:
        device_id: the device's id, made of letters, digits, dots, dashes and underscores.
        profile: the name of the board, as the console shows it.
        state_dir: the folder for everything that has to survive a restart.
        cloud: the address of the inference and delivery services.
        broker: the address of the MQTT broker.
        activations: the integer type of the activations that suits this processor.
        delivery: the transport over which bundles are downloaded.
        deadline_ms: the longest wait for the answer to an offload, in wall-clock milliseconds.
        source: the name of the source of the inputs.
        stream_gap_s: the longest pause between two inputs of a stream, in seconds. After a longer
            one, the belief about the stream is dropped.
        seed: the seed of the device's random choices, for a simulation, or "" for choices that
            nobody can predict.
        identity: the TLS identity issued to `device_id`, for the cloud and the broker. It is None
            to connect without TLS to a cloud on this machine.
    """

    device_id: str
    profile: str
    state_dir: Path
    cloud: Address
    broker: Address
    activations: Activations
    delivery: Literal["grpc", "mqtt"] = "grpc"
    deadline_ms: float = 1000.0
    source: str = ""
    stream_gap_s: float = 60.0
    seed: str = ""
    identity: Identity | None = None
