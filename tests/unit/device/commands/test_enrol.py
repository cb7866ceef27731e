import argparse
import io
from pathlib import Path

import pytest

from nestling_cloud.fleet.enrolment import Enrolment
from nestling_core.enrolment_token import EnrolmentToken
from nestling_device.commands.enrol import _token
from nestling_device.enrolment.enrol import EnrolmentError


@pytest.fixture
def token(tmp_path: Path) -> EnrolmentToken:
    with Enrolment.open(tmp_path / "cloud") as enrolment:
        return enrolment.invite("porch")


def read(file: object) -> EnrolmentToken:
    return _token(argparse.Namespace(token_file=str(file)))


def test_token_with_a_byte_order_mark_is_read(
    token: EnrolmentToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked = token.to_text().encode("utf-8-sig") + b"\r\n"
    (tmp_path / "porch.token").write_bytes(marked)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(marked)))

    assert read(tmp_path / "porch.token") == token
    assert read("-") == token


def test_token_in_utf16_is_refused_with_advice(token: EnrolmentToken, tmp_path: Path) -> None:
    (tmp_path / "porch.token").write_text(token.to_text(), "utf-16")

    with pytest.raises(EnrolmentError, match=r"porch\.token: this is UTF-16: save it as UTF-8"):
        read(tmp_path / "porch.token")


def test_missing_token_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnrolmentError, match=r"porch\.token cannot be read: No such file"):
        read(tmp_path / "porch.token")
