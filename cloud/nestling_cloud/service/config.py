"""What one cloud process serves, and where it is then to be found."""

from dataclasses import dataclass
from pathlib import Path

from nestling_cloud.console.server import ConsoleAddress
from nestling_cloud.fleet.listeners import needs_tls
from nestling_cloud.mqtt.broker_process import BrokerKind
from nestling_cloud.mqtt.client import BrokerAddress


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """What one cloud process serves, and where.

    Attributes:
        repository: folder of the releases.
        state: folder of what the cloud itself has to keep: receipts, credentials, authority.
        store: database URL or file of the receipts; None for receipts.sqlite in the state folder.
        host: where gRPC and the started broker listen. 127.0.0.1 is this machine only; what others
            can reach has TLS.
        port: its port; 0 takes a free one.
        tls: TLS and certificates even on this machine only.
        public_host: how devices reach this machine, if not by `host`.
        enrolment_port: where devices enrol, with TLS; 0 takes a free port.
        broker: a running broker; None starts one.
        broker_port: where the started one listens; 0 takes a free port, None is 1883, and 8883
            with TLS.
        broker_kind: which one to start.
        console: where the console and the API listen; None for neither.
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
        """A host that other machines can reach, where there is one; else where gRPC listens."""
        hosts = [self.host, *([self.console.host] if self.console else [])]
        return next((host for host in hosts if needs_tls(host)), self.host)

    @property
    def wants_tls(self) -> bool:
        """Whether anything here has to speak TLS."""
        broker = [self.broker.host] if self.broker else []
        return self.tls or needs_tls(self.exposed_host, *broker)


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where a cloud is to be found.

    Attributes:
        grpc: HOST:PORT of inference and delivery.
        broker: HOST:PORT of telemetry and delivery.
        enrolment: HOST:PORT of enrolment, None without TLS.
        console: URL of the console, None if there is none.
        console_password: the one that was just made, None after the first start.
    """

    grpc: str
    broker: str
    enrolment: str | None = None
    console: str | None = None
    console_password: str | None = None
