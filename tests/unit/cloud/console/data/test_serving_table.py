"""The table of loaded teachers says what each has done."""

import asyncio

import numpy as np

from nestling_cloud.cloud_model.model import CloudModel
from nestling_cloud.console.data.serving_table import serving_table
from nestling_cloud.console.data.table import Table
from nestling_cloud.console.data.units import number
from nestling_cloud.serving.served_models import ServedModels


def test_versions_are_listed_with_the_newest_first(tiny_teacher: bytes) -> None:
    model = CloudModel("tiny-teacher", tiny_teacher)

    async def scenario() -> Table:
        async with ServedModels([("1a", model), ("2a", model)]) as served:
            old = served.all[0].batcher
            for count in (1, 4):
                await old.submit(np.zeros((count, 2, 3), np.float32))
            old.statistics.refused = 1234
            return serving_table(served.all)

    new, old = asyncio.run(scenario()).rows

    assert new == ("2a", "0", "0", "0", "0", "-", "-", "-")
    assert old[:6] == ("1a", "2", number(1234), "0", "0", "2.5")
    assert all(str(cell).endswith("ms") for cell in old[6:])
