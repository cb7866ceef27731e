from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

import numpy as np
import pytest

from nestling.v1.budget_pb2 import Budget
from nestling_cloud.service.config import Addresses
from nestling_cloud.tasks import Examples
from nestling_device.inference.input_errors import UnanswerableError
from nestling_sim.fleet.links import CuttableLink, DeviceLinks
from nestling_sim.fleet.live_run import Fleet, _answer
from nestling_sim.scenario.limits import Needs
from nestling_sim.scenario.scenario import load_scenario
from tests.support.hand_bundle import EASY, hand_bundle

if TYPE_CHECKING:
    from nestling_device.runtime.device import Device


class Running:
    """A fake device that has no answer to huge values."""

    def __init__(self) -> None:
        self.answered: list[int] = []
        self.caught_up = 0

    def answer(self, index: int, window: np.ndarray[Any, Any], budget: Budget) -> None:
        del budget
        if window.max() > 1e38:
            raise UnanswerableError("too large")
        self.answered.append(index)

    def catch_up(self, budget: Budget) -> None:
        del budget
        self.caught_up += 1


def test_input_without_an_answer_does_not_end_the_replay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scenario = load_scenario("wearable")
    device = scenario.fleet()[0]
    inputs = np.stack([EASY, np.full_like(EASY, 3e38), EASY])
    fleet = Fleet(
        scenario=scenario,
        streams={device.device_id: Examples(inputs=inputs, labels=np.zeros(3, np.int64))},
        needs=Needs.of(hand_bundle()[0]),
        addresses=Addresses(grpc="127.0.0.1:1", broker="127.0.0.1:2"),
        state_dir=tmp_path,
        first_index=10,
    )
    running = Running()
    links = DeviceLinks(cloud=mock.Mock(spec=CuttableLink), broker=mock.Mock(spec=CuttableLink))

    turns = list(_answer(device, fleet, cast("Device", running), links, range(3)))

    assert turns == [(0, True), (1, False), (2, True)]
    assert running.answered == [10, 12]
    assert running.caught_up == 2
    assert f"{device.device_id}: input 1 has no answer: too large" in caplog.text
