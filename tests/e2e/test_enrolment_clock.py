"""Enrolment at a listener whose certificate is not valid by the device's clock."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

from nestling_cloud.fleet.authority import Authority
from nestling_cloud.fleet.enrolment import Enrolment
from nestling_cloud.serving.listener import listening, tls_credentials
from nestling_core.network.address import Address
from nestling_device.enrolment.enrol import EnrolmentError, enrol
from nestling_device.transport.identity import Identity
from tests.support.background import background


@pytest.mark.parametrize("days", [-800, 800])
def test_clock_far_off_is_reported(tmp_path: Path, days: int) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    then = now + timedelta(days=days)
    Authority.open(tmp_path / "cloud" / "authority", now=lambda: now - timedelta(days=1000))
    with Enrolment.open(tmp_path / "cloud") as enrolment:
        token = enrolment.invite("porch")
    files = Authority.open(tmp_path / "cloud" / "authority", now=lambda: then).server("server", [])

    @asynccontextmanager
    async def listener() -> AsyncIterator[Address]:
        credentials = tls_credentials(lambda: files, ask_for_certificate=False)
        async with listening(grpc.aio.server(), "127.0.0.1", 0, credentials) as address:
            yield address

    with background(listener) as address, pytest.raises(EnrolmentError, match="set the clock"):
        enrol(address, token, tmp_path / "porch")
    assert Identity.load(tmp_path / "porch") is None
