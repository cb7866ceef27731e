"""Creates the list of the fleet's revoked certificates."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from nestling_cloud.fleet.certificates import Pair


def revocation_list(
    authority: Pair, revoked: Iterable[tuple[int, datetime]], revision: int
) -> bytes:
    """Return the list of revoked certificates in PEM.

    If a broker has the previous list as well, OpenSSL uses the list with the later date. Dates are
    in whole seconds, so two lists made within the same second could not be told apart by the time.
    The date therefore counts revisions: it is the start of the authority's validity plus one second
    for each revision. This date is in the past unless revisions outnumber the seconds since then.

    Args:
        authority: the authority that signs the list.
        revoked: the serial number and the time of revocation of each certificate.
        revision: the number of the list, which rises by at least 1 with every change.
    """
    born = authority.certificate.not_valid_before_utc
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(born + timedelta(seconds=revision))
        # The list never expires: if it could not be replaced in time, nobody could connect.
        .next_update(authority.certificate.not_valid_after_utc)
        .add_extension(authority.issuer_identifier(), critical=False)
        .add_extension(x509.CRLNumber(revision), critical=False)
    )
    for serial, time in revoked:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder(serial, time).build()
        )
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
