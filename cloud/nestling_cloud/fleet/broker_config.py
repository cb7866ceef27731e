"""Decides who may use which MQTT topic, and writes the files that make Mosquitto enforce this.

The broker authenticates devices and isolates them from each other, so that no device can read or
write the topics of another. The files work both for the broker that `serve` starts and for a broker
that runs separately. Mosquitto reads its configuration when it starts. On SIGHUP it reads the
access list, the revocation list and its certificate again.
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

# Largest message. Devices send kilobytes; anything larger than this is a mistake.
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
# Lines that every configuration of Mosquitto contains, with TLS or without.
COMMON_SETTINGS = (
    f"message_size_limit {MAX_MESSAGE_BYTES}",
    "persistence false",
    "log_dest stderr",
    "log_type error",
    "log_type warning",
    "set_tcp_nodelay true",
)
# A device's own topics: the broker replaces %u by the name in its certificate.
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
    """Writes the files of one broker into a folder.

    The files are `mosquitto.conf`, `acl`, `revoked.pem`, `broker.pem` and `ca.pem`.

    Attributes:
        folder: the folder with the files. A separate broker needs access to no other folder.
        authority: the authority that signs the certificates of the broker and its clients.
        roster: the roster, which records the removed devices and the revoked certificates.
    """

    folder: Path
    authority: Authority
    roster: Roster

    @property
    def configuration(self) -> Path:
        """The path of `mosquitto.conf`."""
        return self.folder / "mosquitto.conf"

    def write(self, host: str, port: int, names: Collection[str]) -> None:
        """Write all files of the broker.

        Args:
            host: the host that the broker listens on.
            port: the port that the broker listens on.
            names: the names and addresses by which clients reach the broker.

        Raises:
            CertificateError: one of the names is neither a name nor an address.
            AuthorityError: the authority's files cannot be used, or its certificate is not valid
                now.
            RosterError: the roster cannot be used.
            OSError: the folder cannot be written.
        """
        self.write_certificate(names)
        self.write_lists()
        text = configuration(self.folder.absolute(), host, port, root=os.geteuid() == 0)
        write_whole(self.configuration, text.encode())

    def write_lists(self) -> int:
        """Write the access list and the revocation list.

        Returns:
            The revision of the roster that the lists were made from.

        Raises:
            RosterError: the roster cannot be used.
            OSError: the folder cannot be written.
        """
        with self.roster.locked() as refused:
            revoked = self.authority.revocation_list(refused.certificates, refused.revision)
            write_whole(self.folder / "revoked.pem", revoked)
            write_whole(self.folder / "acl", access_list(refused.names).encode())
        return refused.revision

    def write_certificate(self, names: Collection[str] | None = None) -> bool:
        """Create the broker's certificate, or renew it if it is due or the names have changed.

        Args:
            names: the names and addresses by which clients reach the broker. None keeps the names
                in the current certificate; if there is no certificate, nothing is written.

        Returns:
            Whether a certificate was written.

        Raises:
            CertificateError: one of the names is neither a name nor an address, or `names` is None
                and the current certificate is damaged.
            AuthorityError: the folder cannot be written, or the authority's certificate is not
                valid now.
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
    """Return the text of `mosquitto.conf`.

    Args:
        folder: the absolute path of the folder with the other files; Mosquitto would resolve a
            relative path against its working directory.
        host: the host to listen on.
        port: the port to listen on.
        root: whether root starts the broker. The broker then keeps running as root, because the
            user that Mosquitto would otherwise switch to cannot read the files.
    """
    lines = [
        # A wildcard address means IPv4 and IPv6, as for gRPC. Given the address, Mosquitto would
        # listen on that address's family only.
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
        *COMMON_SETTINGS,
        *(["user root"] if root else []),
    ]
    return "\n".join(lines) + "\n"


def access_list(removed: Sequence[str]) -> str:
    """Return the text of the access list, which says who may use which topic.

    Args:
        removed: the names of removed devices. They are denied every topic, because their
            connections may stay open after their certificates are revoked.
    """
    blocks = [
        [f"user {CLOUD_NAME}", "topic readwrite #"],
        *([f"user {name}", "topic deny #"] for name in removed),
        [f"pattern write {topic}" for topic in _WRITES],
        [f"pattern read {topic}" for topic in _READS],
    ]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"
