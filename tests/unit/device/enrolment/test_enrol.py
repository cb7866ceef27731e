import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

from nestling_cloud.fleet.enrolment import Enrolment
from nestling_core.enrolment_token import EnrolmentToken
from nestling_core.network.address import Address
from nestling_device.enrolment.enrol import (
    EnrolmentError,
    _authority,
    _check,
    _delete_pending_keys,
    _enrolment_error,
    _pem,
    _pending_key,
    enrol,
)
from nestling_device.transport.connection_diagnosis import ConnectionProblem
from nestling_device.transport.identity import IdentityError, save_identity
from tests.support import enrolled

Code = grpc.StatusCode
CLOUD = Address(host="cloud.lan", port=8501)


@pytest.fixture
def enrolment(tmp_path: Path) -> Iterator[Enrolment]:
    with Enrolment.open(tmp_path / "cloud") as opened:
        yield opened


@pytest.fixture
def token(enrolment: Enrolment) -> EnrolmentToken:
    return enrolment.invite("porch")


def test_pending_key_is_kept_for_its_token_until_it_is_deleted(
    token: EnrolmentToken, enrolment: Enrolment, tmp_path: Path
) -> None:
    first = _pem(_pending_key(tmp_path / "porch", token))

    assert _pem(_pending_key(tmp_path / "porch", token)) == first
    assert _pem(_pending_key(tmp_path / "porch", enrolment.invite("porch"))) != first
    _delete_pending_keys(tmp_path / "porch")
    assert _pem(_pending_key(tmp_path / "porch", token)) != first


def test_unwritable_folder_is_reported_before_the_token_is_sent(
    token: EnrolmentToken, tmp_path: Path
) -> None:
    (tmp_path / "porch").write_text("a file")

    with pytest.raises(IdentityError, match="name a state folder that can be written"):
        _pending_key(tmp_path / "porch", token)


def test_folder_of_another_device_is_refused(enrolment: Enrolment, tmp_path: Path) -> None:
    save_identity(tmp_path / "attic", enrolled.papers(enrolment, "attic"))

    with pytest.raises(EnrolmentError, match="holds the identity of 'attic'"):
        enrol(Address(host="127.0.0.1", port=1), enrolment.invite("porch"), tmp_path / "attic")


def test_clock_far_behind_is_reported(token: EnrolmentToken) -> None:
    now = datetime.now(UTC)
    _authority(token, now)

    with pytest.raises(EnrolmentError, match="set the clock"):
        _authority(token, now - timedelta(days=30))


def test_certificate_with_another_name_is_rejected(enrolment: Enrolment) -> None:
    credentials = enrolled.papers(enrolment, "attic")
    _check(credentials, "attic", CLOUD)

    with pytest.raises(EnrolmentError, match="for 'attic' instead of 'porch'"):
        _check(credentials, "porch", CLOUD)


def test_certificate_of_another_authority_is_rejected(enrolment: Enrolment, tmp_path: Path) -> None:
    with Enrolment.open(tmp_path / "other") as other:
        credentials = enrolled.papers(other, "porch")
    token = enrolment.invite("porch")
    mixed = dataclasses.replace(credentials, authority=_authority(token, datetime.now(UTC)))

    with pytest.raises(EnrolmentError, match="unusable certificate"):
        _check(mixed, "porch", CLOUD)


@pytest.mark.parametrize(
    ("code", "details", "message"),
    [
        (Code.PERMISSION_DENIED, "this token has been used", "device add NAME"),
        (Code.UNAVAILABLE, "Hostname Verification Check failed.", "that the cloud runs"),
        (Code.UNAVAILABLE, "Connection refused", "that the cloud runs"),
        (Code.DEADLINE_EXCEEDED, "Deadline Exceeded", "that the cloud runs"),
        (Code.INTERNAL, "broken", "did not enrol this device (INTERNAL): broken"),
    ],
)
def test_failed_call_is_reported_with_advice(
    code: grpc.StatusCode, details: str, message: str
) -> None:
    assert message in str(_enrolment_error(CLOUD, code, details, None))


def test_diagnosed_problem_replaces_the_text_of_grpc() -> None:
    problem = ConnectionProblem(problem="no address for cloud.lan", advice="give an address")

    error = _enrolment_error(CLOUD, Code.UNAVAILABLE, "errors resolving hostname", problem)

    assert (error.problem, error.advice) == ("no address for cloud.lan", "give an address")
