import asyncio

import pytest

from nestling_cloud import task_group
from nestling_cloud.task_group import running


class BrokenError(Exception):
    pass


async def stubborn() -> None:
    """Lose the first two cancellations, as `wait_for` may do."""
    for _ in range(2):
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            continue
    await asyncio.get_running_loop().create_future()


async def broken() -> None:
    raise BrokenError


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_group, "_CANCEL_AGAIN_S", 0.01)


def test_work_that_loses_a_cancellation_still_ends_with_the_body() -> None:
    async def run() -> list[bool]:
        tasks = []
        async with running([stubborn(), stubborn()]):
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            await asyncio.sleep(0)
        return [task.cancelled() for task in tasks]

    assert asyncio.run(run()) == [True, True]


def test_first_error_is_raised_and_ends_stubborn_work() -> None:
    async def run() -> None:
        async with running([stubborn(), broken()]):
            await asyncio.get_running_loop().create_future()

    with pytest.raises(BrokenError):
        asyncio.run(run())


def test_error_of_the_body_is_raised() -> None:
    async def run() -> None:
        async with running([stubborn()]):
            await asyncio.sleep(0)
            raise BrokenError

    with pytest.raises(BrokenError):
        asyncio.run(run())
