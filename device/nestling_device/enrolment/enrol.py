"""Exchanges a one-time token for a certificate, and renews the certificate."""

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
from nestling_core.file_sync import sync_folder
from nestling_core.network.address import Address
from nestling_device.errors import DeviceError
from nestling_device.storage.atomic_file import write_private
from nestling_device.transport.connection_diagnosis import (
    ConnectionProblem,
    find_connection_problem,
)
from nestling_device.transport.grpc_channel import dial
from nestling_device.transport.identity import (
    Credentials,
    Identity,
    IdentityError,
    common_name,
    save_identity,
    utc_now,
)

_TIMEOUT_S = 20.0
_PENDING = "enrolling-"
_UNREACHED = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


class EnrolmentError(DeviceError):
    """Raised when no certificate can be obtained.

    The message says why, and what to do.
    """


def enrol(cloud: Address, token: EnrolmentToken, state_dir: Path) -> Identity:
    """Exchange a one-time token for an identity, and save the identity in the state folder.

    The identity is a private key with its certificate. The key is on the disk before the token is
    sent. If the answer gets lost, the same token can be sent again, because the token stays valid
    for that key.

    Args:
        cloud: the address of the cloud's enrolment service.
        token: the token that `nestling-cloud device add` printed.
        state_dir: the device's state folder.

    Raises:
        EnrolmentError: the token is invalid or refused, the cloud cannot be reached or is not the
            one that made the token, or the state folder belongs to another device.
        IdentityError: the state folder cannot be used.
    """
    _check_folder_owner(state_dir, token.device_id)
    authority = _authority(token, utc_now())
    key = _pending_key(state_dir, token)
    request = enrolment_pb2.EnrolRequest(
        secret=token.secret, certificate_request=_signing_request(key)
    )
    credentials = grpc.ssl_channel_credentials(authority.encode())
    with (
        _call_errors(cloud, lambda: _anonymous_tls(authority)),
        dial(cloud, credentials) as channel,
    ):
        stub = enrolment_pb2_grpc.EnrolmentServiceStub(channel)
        answer = stub.Enrol(request, timeout=_TIMEOUT_S)
    issued = Credentials(
        key=_pem(key),
        certificate=answer.certificate,
        authority=authority,
        cloud=answer.cloud,
        broker=answer.broker,
    )
    _check(issued, token.device_id, cloud)
    identity = save_identity(state_dir, issued)
    _delete_pending_keys(state_dir)
    return identity


def renew(identity: Identity) -> None:
    """Obtain a certificate for a new private key from the cloud.

    The new key and certificate replace the old ones in `identity` and in its state folder.

    Args:
        identity: the identity to renew, whose certificate must not have expired.

    Raises:
        EnrolmentError: the cloud cannot be reached, or does not issue a valid certificate.
        IdentityError: the state folder cannot be used.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    request = enrolment_pb2.RenewRequest(certificate_request=_signing_request(key))
    held, cloud = identity.credentials, Address.parse(identity.cloud)
    credentials = identity.channel_credentials()
    with _call_errors(cloud, identity.ssl_context), dial(cloud, credentials) as channel:
        stub = enrolment_pb2_grpc.RenewalServiceStub(channel)
        answer = stub.Renew(request, timeout=_TIMEOUT_S)
    issued = Credentials(
        key=_pem(key),
        certificate=answer.certificate,
        authority=held.authority,
        cloud=held.cloud,
        broker=held.broker,
    )
    _check(issued, identity.device_id, cloud)
    save_identity(identity.state_dir, issued)


def _check_folder_owner(state_dir: Path, device_id: str) -> None:
    """Raise EnrolmentError if a state folder belongs to another device.

    The receipts of that device would otherwise be sent under the new name.
    """
    with suppress(IdentityError):  # a damaged identity may be replaced
        held = Identity.load(state_dir)
        if held is not None and held.device_id != device_id:
            raise EnrolmentError(
                f"{state_dir} holds the identity of {held.device_id!r} and this token is for "
                f"{device_id!r}",
                advice="name another folder with --state",
            )


def _authority(token: EnrolmentToken, now: datetime) -> str:
    """Return the certificate of the cloud's authority, which a token contains, as PEM.

    Raise EnrolmentError if the certificate cannot be read, or is not valid yet.
    """
    try:
        certificate = x509.load_der_x509_certificate(token.authority)
    except ValueError as err:
        raise EnrolmentError("this token has no valid certificate: copy the whole line") from err
    if now < certificate.not_valid_before_utc:
        raise EnrolmentError(
            f"this device's clock shows {now:%Y-%m-%d %H:%M} UTC, which is before its cloud was "
            "set up",
            advice="set the clock and try again",
        )
    return ssl.DER_cert_to_PEM_cert(token.authority)


def _pending_key(state_dir: Path, token: EnrolmentToken) -> ec.EllipticCurvePrivateKey:
    """Return the private key that belongs to a token.

    When the token is first used, a new key is stored in the state folder. When the token is used
    again because the answer was lost, the stored key is returned. Raise IdentityError if the key
    cannot be stored or read.
    """
    path = state_dir / f"{_PENDING}{hashlib.sha256(token.secret).hexdigest()[:16]}.pem"
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            part = path.with_suffix(".part")
            part.unlink(missing_ok=True)
            write_private(part, _pem(ec.generate_private_key(ec.SECP256R1())))
            part.replace(path)
            sync_folder(state_dir)
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as err:
        raise IdentityError(
            f"cannot store a key in {path}: {err}", advice="name a state folder that can be written"
        ) from err
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _delete_pending_keys(state_dir: Path) -> None:
    for path in state_dir.glob(f"{_PENDING}*"):
        with suppress(OSError):  # a leftover file does no harm
            path.unlink(missing_ok=True)


def _signing_request(key: ec.EllipticCurvePrivateKey) -> str:
    # The cloud ignores this name: it uses the one in the token or in the client certificate.
    placeholder = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "device")])
    request = x509.CertificateSigningRequestBuilder(placeholder).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _check(credentials: Credentials, device_id: str, cloud: Address) -> None:
    """Raise EnrolmentError unless the authority issued the certificate for this device's name."""
    try:
        name = common_name(credentials.certificate)
        authority = x509.load_pem_x509_certificate(credentials.authority.encode())
        certificate = x509.load_pem_x509_certificate(credentials.certificate.encode())
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature) as err:
        raise EnrolmentError(
            f"{cloud} answered with an unusable certificate: {err}", advice="check --cloud"
        ) from err
    if name != device_id:
        raise EnrolmentError(
            f"{cloud} answered with a certificate for {name!r} instead of {device_id!r}, which "
            "was discarded",
            advice="check --cloud",
        )


@contextmanager
def _call_errors(address: Address, tls: Callable[[], ssl.SSLContext]) -> Iterator[None]:
    """Raise an EnrolmentError with the reason if a gRPC call in the block fails.

    Args:
        address: the address that the call goes to.
        tls: the function that returns a TLS context. If gRPC did not reach the server, the context
            is used to find the reason.

    Raises:
        EnrolmentError: the call failed.
    """
    try:
        yield
    except grpc.RpcError as err:
        problem = None
        if err.code() in _UNREACHED:
            with suppress(OSError):  # another process has just replaced the certificate's files
                problem = find_connection_problem(address, tls())
        raise _enrolment_error(address, err.code(), err.details() or "", problem) from err


def _enrolment_error(
    address: Address, code: grpc.StatusCode, details: str, problem: ConnectionProblem | None
) -> EnrolmentError:
    if code in {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED}:
        return EnrolmentError(
            f"{address} refused: {details}",
            advice="nestling-cloud device add NAME makes another token",
        )
    if problem is not None:
        return EnrolmentError(problem.problem, advice=problem.advice)
    if code in _UNREACHED:
        return EnrolmentError(
            f"{address} cannot be reached ({details})",
            advice="check --cloud, and that the cloud runs",
        )
    return EnrolmentError(f"{address} did not enrol this device ({code.name}): {details}")


def _anonymous_tls(authority: str) -> ssl.SSLContext:
    """Return a TLS context that trusts the cloud's authority and has no client certificate."""
    context = ssl.create_default_context(cadata=authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
