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
    _forget_pending,
    _pem,
    _pending_key,
    _reason,
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


def test_key_is_kept_until_the_token_has_done_its_work(
    token: EnrolmentToken, enrolment: Enrolment, tmp_path: Path
) -> None:
    first = _pem(_pending_key(tmp_path / "porch", token))

    assert _pem(_pending_key(tmp_path / "porch", token)) == first
    assert _pem(_pending_key(tmp_path / "porch", enrolment.invite("porch"))) != first
    _forget_pending(tmp_path / "porch")
    assert _pem(_pending_key(tmp_path / "porch", token)) != first


def test_folder_that_cannot_be_written_is_told_before_the_token_is_shown(
    token: EnrolmentToken, tmp_path: Path
) -> None:
    (tmp_path / "porch").write_text("a file")

    with pytest.raises(IdentityError, match="name a state folder that can be written"):
        _pending_key(tmp_path / "porch", token)


def test_folder_of_another_device_is_left_alone(enrolment: Enrolment, tmp_path: Path) -> None:
    save_identity(tmp_path / "attic", enrolled.papers(enrolment, "attic"))

    with pytest.raises(EnrolmentError, match="holds the identity of 'attic'"):
        enrol(Address(host="127.0.0.1", port=1), enrolment.invite("porch"), tmp_path / "attic")


def test_clock_far_behind_is_told_in_words(token: EnrolmentToken) -> None:
    now = datetime.now(UTC)
    _authority(token, now)

    with pytest.raises(EnrolmentError, match="set the clock"):
        _authority(token, now - timedelta(days=30))


def test_certificate_of_another_name_is_thrown_away(enrolment: Enrolment) -> None:
    papers = enrolled.papers(enrolment, "attic")
    _check(papers, "attic", CLOUD)

    with pytest.raises(EnrolmentError, match="for 'attic' instead of 'porch'"):
        _check(papers, "porch", CLOUD)


def test_certificate_of_another_authority_is_of_no_use(
    enrolment: Enrolment, tmp_path: Path
) -> None:
    with Enrolment.open(tmp_path / "other") as other:
        papers = enrolled.papers(other, "porch")
    token = enrolment.invite("porch")
    mixed = papers.__class__(**{**vars(papers), "authority": _authority(token, datetime.now(UTC))})

    with pytest.raises(EnrolmentError, match="of no use"):
        _check(mixed, "porch", CLOUD)


@pytest.mark.parametrize(
    ("code", "details", "words"),
    [
        (Code.PERMISSION_DENIED, "this token has been used", "device add NAME"),
        (Code.UNAVAILABLE, "Hostname Verification Check failed.", "check that the cloud runs"),
        (Code.UNAVAILABLE, "Connection refused", "check that the cloud runs"),
        (Code.DEADLINE_EXCEEDED, "Deadline Exceeded", "check that the cloud runs"),
        (Code.INTERNAL, "broken", "did not enrol this device (INTERNAL): broken"),
    ],
)
def test_what_went_wrong_is_told_with_what_to_do(
    code: grpc.StatusCode, details: str, words: str
) -> None:
    assert words in _reason(CLOUD, code, details, None)


def test_obstacle_that_was_found_goes_before_the_text_of_grpc() -> None:
    obstacle = ConnectionProblem(found="no address for cloud.lan", advice="give an address")

    assert _reason(CLOUD, Code.UNAVAILABLE, "errors resolving hostname", obstacle) == (
        "no address for cloud.lan; give an address"
    )
