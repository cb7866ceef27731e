"""Defines the configuration and the addresses of a cloud process."""

from dataclasses import dataclass
from pathlib import Path

from nestling_cloud.console.server import ConsoleAddress
from nestling_cloud.fleet.listeners import needs_tls
from nestling_cloud.mqtt.broker_process import BrokerKind
from nestling_cloud.mqtt.client import BrokerAddress
from nestling_cloud.store.hard_inputs import NEWEST_PER_DEVICE


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """The configuration of one cloud process.

    Attributes:
        repository: the folder with the releases.
        state: the folder with the cloud's own state, such as receipts, credentials and the
            authority.
        store: the database URL or the SQLite file of the receipt store; None for receipts.sqlite in
            the state folder.
        host: the host that gRPC and the started broker listen on. 127.0.0.1 serves this machine
            only; a host that other machines can reach turns on TLS.
        port: the port of inference and delivery; 0 picks a free one.
        tls: whether to use TLS and certificates even if only this machine can connect.
        public_host: the name or address by which devices reach this machine; None for `host`.
        enrolment_port: the port of the enrolment service, which runs only with TLS; 0 picks a free
            one.
        broker: the address of a running broker; None starts a broker.
        broker_port: the port of the started broker; 0 picks a free one. None means 8883 with TLS
            and 1883 without.
        broker_kind: the program of the started broker.
        console: the address of the console and the API; None to start neither of them.
        threads: the number of runs of the teacher at the same time; None for one for each usable
            core, but at most 8.
        keep_per_device: the maximum number of inputs without a label to keep for one device.
        keep_no_inputs: whether to store no inputs at all, whatever the task allows.
    """

    repository: Path
    state: Path
    store: str | None = None
    host: str = "127.0.0.1"
    port: int = 8500
    tls: bool = False
    public_host: str | None = None
    enrolment_port: int = 8501
    broker: BrokerAddress | None = None
    broker_port: int | None = None
    broker_kind: BrokerKind = "auto"
    console: ConsoleAddress | None = None
    threads: int | None = None
    keep_per_device: int = NEWEST_PER_DEVICE
    keep_no_inputs: bool = False

    @property
    def exposed_host(self) -> str:
        """The host of a listener that other machines can reach, or `host` if there is none."""
        hosts = [self.host, *([self.console.host] if self.console else [])]
        return next((host for host in hosts if needs_tls(host)), self.host)

    @property
    def wants_tls(self) -> bool:
        """Whether `tls` is set, or a listener or the connection to the broker needs TLS."""
        broker = [self.broker.host] if self.broker else []
        return self.tls or needs_tls(self.exposed_host, *broker)


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """The addresses of a running cloud.

    With TLS, they are the addresses by which devices reach the cloud.

    Attributes:
        grpc: the HOST:PORT of inference and delivery.
        broker: the HOST:PORT of the broker, for telemetry and delivery.
        enrolment: the HOST:PORT of enrolment; None without TLS.
        console: the URL of the console; None if there is no console.
        console_password: the console's password if this start has generated it; None if a password
            was already set, or if there is no console.
    """

    grpc: str
    broker: str
    enrolment: str | None = None
    console: str | None = None
    console_password: str | None = None
