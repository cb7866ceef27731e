"""The configuration of a cloud process, and the addresses that it serves at."""

from dataclasses import dataclass
from pathlib import Path

from nestling_cloud.console.server import ConsoleAddress
from nestling_cloud.fleet.listeners import needs_tls
from nestling_cloud.mqtt.broker_process import BrokerKind
from nestling_cloud.mqtt.client import BrokerAddress


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """The configuration of one cloud process.

    Attributes:
        repository: folder of the releases.
        state: folder of the cloud's own state: receipts, credentials, authority.
        store: database URL or file of the receipts; None for receipts.sqlite in the state folder.
        host: the host that gRPC and the started broker listen on. 127.0.0.1 serves this machine
            only; a host that others can reach turns on TLS.
        port: port of inference and delivery; 0 picks a free port.
        tls: use TLS and certificates even if only this machine can connect.
        public_host: name or address by which devices reach this machine; None for `host`.
        enrolment_port: port of the enrolment service, used with TLS only; 0 picks a free port.
        broker: address of a running broker; None starts one.
        broker_port: port of the started broker; 0 picks a free port, None is 1883 or, with TLS,
            8883.
        broker_kind: which broker to start.
        console: address of the console and the API; None for neither.
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

    @property
    def exposed_host(self) -> str:
        """A host of a listener that other machines can reach, if there is one; else `host`."""
        hosts = [self.host, *([self.console.host] if self.console else [])]
        return next((host for host in hosts if needs_tls(host)), self.host)

    @property
    def wants_tls(self) -> bool:
        """True if any listener or broker connection needs TLS."""
        broker = [self.broker.host] if self.broker else []
        return self.tls or needs_tls(self.exposed_host, *broker)


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """The addresses of a running cloud.

    Attributes:
        grpc: HOST:PORT of inference and delivery.
        broker: HOST:PORT of the broker, for telemetry and delivery.
        enrolment: HOST:PORT of enrolment; None without TLS.
        console: URL of the console; None if there is none.
        console_password: the console's password at the first start; None later.
    """

    grpc: str
    broker: str
    enrolment: str | None = None
    console: str | None = None
    console_password: str | None = None
