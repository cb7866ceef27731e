import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from nestling.inference.v2.inference_pb2 import ModelInferRequest
from nestling_cloud.serving.recorder import HardInputRecorder
from nestling_cloud.serving.storage_rule import StorageRule
from nestling_cloud.store.hard_inputs import HardInput
from nestling_core.kinds.labels import SingleLabel

ROW = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
LOGITS = np.array([[0.0, 3.0, 1.0]], np.float32)
RULE = StorageRule(task="hand", kind=SingleLabel(("a", "b", "c")), keep="hard")


def request(*, index: int) -> ModelInferRequest:
    made = ModelInferRequest(model_name="teacher")
    made.parameters["device_id"].string_param = "pi-1"
    made.parameters["input_index"].int64_param = index
    made.parameters["device_answer"].int64_param = 2
    return made


def test_recorder_continues_after_a_full_disk(caplog: pytest.LogCaptureFixture) -> None:
    kept: list[HardInput] = []

    async def scenario() -> None:
        failed, done = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def keep(batch: Sequence[HardInput]) -> None:
            if not failed.is_set():
                loop.call_soon_threadsafe(failed.set)
                raise OSError("no space left on device")
            kept.extend(batch)
            loop.call_soon_threadsafe(done.set)

        recorder = HardInputRecorder(keep, lambda: RULE)
        running = asyncio.create_task(recorder.run())
        recorder.offer(request(index=1), ROW, LOGITS)
        async with asyncio.timeout(20):
            await failed.wait()
            recorder.offer(request(index=2), ROW, LOGITS)
            await done.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(scenario())

    assert [one.input_index for one in kept] == [2]
    assert "could not store 1 hard inputs" in caplog.text


def test_full_queue_drops_inputs_and_never_waits() -> None:
    recorder = HardInputRecorder(lambda _: None, lambda: RULE)

    for index in range(1000):
        recorder.offer(request(index=index), ROW, LOGITS)

    assert recorder._waiting.full()
