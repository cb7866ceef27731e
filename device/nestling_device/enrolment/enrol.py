"""How a device gets its identity: exchanges a one-time token for a certificate, and renews it."""

import hashlib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nestling.v1 import enrolment_pb2, enrolment_pb2_grpc
from nestling_core.enrolment_token import EnrolmentToken
from nestling_core.network.address import Address
from nestling_device.errors import DeviceError
from nestling_device.storage import fsync
from nestling_device.transport.connection_diagnosis import ConnectionProblem, find_obstacle
from nestling_device.transport.grpc_channel import dial
from nestling_device.transport.identity import (
    Credentials,
    Identity,
    IdentityError,
    common_name,
    save_identity,
    utc_now,
    write_private,
)

_TIMEOUT_S = 20.0
_PENDING = "enrolling-"
_UNREACHED = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


class EnrolmentError(DeviceError):
    """No certificate could be obtained; the text says why, and what to do."""


def enrol(cloud: Address, token: EnrolmentToken, state_dir: Path) -> Identity:
    """Get an identity for a token, and keep it in the state folder.

    The key is on the disk before the token is shown. If the answer gets lost, the same token may
    be shown again: it is valid for that key.

    Args:
        cloud: where its enrolment service is.
        token: what `nestling-cloud device add` printed.
        state_dir: the device's.

    Raises:
        EnrolmentError: the token is refused, or the cloud cannot be reached or is another one.
        IdentityError: the state folder cannot be used.
    """
    _check_namesake(state_dir, token.device_id)
    authority = _authority(token, utc_now())
    key = _pending_key(state_dir, token)
    request = enrolment_pb2.EnrolRequest(
        secret=token.secret, certificate_request=_signing_request(key)
    )
    credentials = grpc.ssl_channel_credentials(authority.encode())
    with _refusals(cloud, lambda: _anonymous_tls(authority)), dial(cloud, credentials) as channel:
        stub = enrolment_pb2_grpc.EnrolmentServiceStub(channel)
        answer = stub.Enrol(request, timeout=_TIMEOUT_S)
    papers = Credentials(
        key=_pem(key),
        certificate=answer.certificate,
        authority=authority,
        cloud=answer.cloud,
        broker=answer.broker,
    )
    _check(papers, token.device_id, cloud)
    identity = save_identity(state_dir, papers)
    _forget_pending(state_dir)
    return identity


def renew(identity: Identity) -> None:
    """Get another certificate, for another key, and put it in place of the one there is.

    Raises:
        EnrolmentError: the cloud cannot be reached, or refuses.
        IdentityError: the state folder cannot be used.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    request = enrolment_pb2.RenewRequest(certificate_request=_signing_request(key))
    held, cloud = identity.papers, Address.parse(identity.cloud)
    credentials = identity.channel_credentials()
    with _refusals(cloud, identity.ssl_context), dial(cloud, credentials) as channel:
        stub = enrolment_pb2_grpc.RenewalServiceStub(channel)
        answer = stub.Renew(request, timeout=_TIMEOUT_S)
    papers = Credentials(
        key=_pem(key),
        certificate=answer.certificate,
        authority=held.authority,
        cloud=held.cloud,
        broker=held.broker,
    )
    _check(papers, identity.device_id, cloud)
    save_identity(identity.state_dir, papers)


def _check_namesake(state_dir: Path, device_id: str) -> None:
    """Keep two devices out of one folder: what one has answered would go out as the other's."""
    with suppress(IdentityError):  # a damaged one may be replaced
        held = Identity.load(state_dir)
        if held is not None and held.device_id != device_id:
            raise EnrolmentError(
                f"{state_dir} holds the identity of {held.device_id!r} and this token is for "
                f"{device_id!r}; name another --state"
            )


def _authority(token: EnrolmentToken, now: datetime) -> str:
    """PEM of the authority in a token."""
    try:
        certificate = x509.load_der_x509_certificate(token.authority)
    except ValueError as err:
        raise EnrolmentError("this token holds no certificate: copy the whole line") from err
    if now < certificate.not_valid_before_utc:
        raise EnrolmentError(
            f"this device's clock says {now:%Y-%m-%d %H:%M} UTC, which is before its cloud was "
            "set up; set the clock and try again"
        )
    return ssl.DER_cert_to_PEM_cert(token.authority)


def _pending_key(state_dir: Path, token: EnrolmentToken) -> ec.EllipticCurvePrivateKey:
    """Key for a token: made at first, and found again if the answer got lost."""
    path = state_dir / f"{_PENDING}{hashlib.sha256(token.secret).hexdigest()[:16]}.pem"
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            part = path.with_suffix(".part")
            part.unlink(missing_ok=True)
            write_private(part, _pem(ec.generate_private_key(ec.SECP256R1())))
            part.replace(path)
            fsync.sync(state_dir)
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as err:
        raise IdentityError(
            f"cannot keep a key in {path}: {err}; name a state folder that can be written"
        ) from err
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _forget_pending(state_dir: Path) -> None:
    for path in state_dir.glob(f"{_PENDING}*"):
        with suppress(OSError):  # another user's, and harmless
            path.unlink(missing_ok=True)


def _signing_request(key: ec.EllipticCurvePrivateKey) -> str:
    # The cloud takes the name from the token, or from the certificate that we show.
    nobody = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "device")])
    request = x509.CertificateSigningRequestBuilder(nobody).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _check(papers: Credentials, device_id: str, cloud: Address) -> None:
    """Refuse a certificate that is not the one asked for."""
    try:
        name = common_name(papers.certificate)
        authority = x509.load_pem_x509_certificate(papers.authority.encode())
        certificate = x509.load_pem_x509_certificate(papers.certificate.encode())
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature) as err:
        raise EnrolmentError(f"{cloud} answered with a certificate of no use: {err}") from err
    if name != device_id:
        raise EnrolmentError(
            f"{cloud} answered with a certificate for {name!r} instead of {device_id!r}; "
            "it was thrown away"
        )


@contextmanager
def _refusals(address: Address, tls: Callable[[], ssl.SSLContext]) -> Iterator[None]:
    """Turn a failed call into an error that says why.

    Args:
        address: that was called.
        tls: makes the context to connect with once more, where gRPC did not reach the server.

    Raises:
        EnrolmentError: the call failed.
    """
    try:
        yield
    except grpc.RpcError as err:
        obstacle = None
        if err.code() in _UNREACHED:
            with suppress(OSError):  # of files that another process has just replaced
                obstacle = find_obstacle(address, tls())
        reason = _reason(address, err.code(), err.details() or "", obstacle)
        raise EnrolmentError(reason) from err


def _reason(
    address: Address, code: grpc.StatusCode, details: str, obstacle: ConnectionProblem | None
) -> str:
    """What went wrong, and what to do."""
    if code in {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED}:
        return f"{address} refused: {details}; nestling-cloud device add NAME makes another token"
    if obstacle is not None:
        return str(obstacle)
    if code in _UNREACHED:
        return f"{address} cannot be reached ({details}); check that the cloud runs, and --cloud"
    return f"{address} did not enrol this device ({code.name}): {details}"


def _anonymous_tls(authority: str) -> ssl.SSLContext:
    """Make a TLS context that trusts the cloud's authority and shows no certificate."""
    context = ssl.create_default_context(cadata=authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
