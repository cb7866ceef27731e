"""What a Mosquitto needs so that every device is who it says, and sees nothing of the others.

One text for the broker that `serve` starts and for one that runs by itself. Mosquitto reads it at
its start; at SIGHUP it reads the access list, the revocations and its certificate again.
"""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from nestling import topics
from nestling_cloud.atomic_file import write_whole
from nestling_cloud.fleet.authority import CLOUD_NAME, Authority
from nestling_cloud.fleet.certificates import Pair, hosts_of
from nestling_cloud.fleet.roster import Roster
from nestling_core.network.hosts import is_wildcard

# Of one message. What a device sends has kilobytes; one that sends more is mistaken.
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
# Topics of a device, as the broker puts its certificate's name in for %u.
_OWN = "%u"
_WRITES = (
    *(topics.sparkplug(kind, _OWN) for kind in ("NBIRTH", "NDATA", "NDEATH")),
    topics.delivery_request(_OWN),
)
_READS = (
    topics.sparkplug("NCMD", _OWN),
    topics.delivery_response(_OWN),
    topics.HOST_STATE,
)


@dataclass(frozen=True, kw_only=True)
class BrokerFolder:
    """The files of one broker: `mosquitto.conf`, `acl`, `revoked.pem`, `broker.pem`, `ca.pem`.

    Attributes:
        folder: where they lie; the only one that a broker by itself has to see.
        authority: signs the broker and its clients.
        roster: says who may not speak.
    """

    folder: Path
    authority: Authority
    roster: Roster

    @property
    def configuration(self) -> Path:
        """Mosquitto's file."""
        return self.folder / "mosquitto.conf"

    def write(self, host: str, port: int, names: Collection[str]) -> None:
        """Write everything.

        Args:
            host: where the broker listens.
            port: likewise.
            names: what clients reach it by.
        """
        self.write_certificate(names)
        self.write_lists()
        text = configuration(self.folder.absolute(), host, port, root=os.geteuid() == 0)
        write_whole(self.configuration, text.encode())

    def write_lists(self) -> int:
        """Write who may do what, and whose certificate is good no more.

        Returns:
            The roster's revision that they follow from.
        """
        with self.roster.holding() as refused:
            revoked = self.authority.revocation_list(refused.certificates, refused.revision)
            write_whole(self.folder / "revoked.pem", revoked)
            write_whole(self.folder / "acl", access_list(refused.names).encode())
        return refused.revision

    def write_certificate(self, names: Collection[str] | None = None) -> bool:
        """Write the broker's certificate if it is worn, or good for other names.

        Args:
            names: what clients reach it by; None for those that it has. Without any certificate
                there is none to renew.

        Returns:
            Whether it was.
        """
        path = self.folder / "broker.pem"
        before = path.read_bytes() if path.exists() else None
        if names is None:
            if before is None:
                return False
            names = hosts_of(Pair.from_pem(before).certificate)
        self.authority.server("broker", names, folder=self.folder)
        return path.read_bytes() != before


def configuration(folder: Path, host: str, port: int, *, root: bool) -> str:
    """Text of `mosquitto.conf`.

    Args:
        folder: the other files' place, absolute: Mosquitto takes paths from its working folder.
        host: where to listen.
        port: likewise.
        root: it is started by root, and should stay root; otherwise it becomes another user, who
            cannot read its files.
    """
    lines = [
        # An address that stands for all of a machine's does so for both families, as for gRPC;
        # Mosquitto would listen in the one that it is written in.
        f"listener {port}" if is_wildcard(host) else f"listener {port} {host}",
        f"cafile {folder}/ca.pem",
        f"certfile {folder}/broker.pem",
        f"keyfile {folder}/broker.pem",
        f"crlfile {folder}/revoked.pem",
        "tls_version tlsv1.2",
        "allow_anonymous false",
        "require_certificate true",
        "use_identity_as_username true",
        f"acl_file {folder}/acl",
        f"message_size_limit {MAX_MESSAGE_BYTES}",
        "persistence false",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "set_tcp_nodelay true",
        *(["user root"] if root else []),
    ]
    return "\n".join(lines) + "\n"


def access_list(removed: Sequence[str]) -> str:
    """Text of the access list.

    Args:
        removed: devices whose connections may outlive their certificates: they may do nothing.
    """
    blocks = [
        [f"user {CLOUD_NAME}", "topic readwrite #"],
        *([f"user {name}", "topic deny #"] for name in removed),
        [f"pattern write {topic}" for topic in _WRITES],
        [f"pattern read {topic}" for topic in _READS],
    ]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"
