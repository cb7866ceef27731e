import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from nestling.inference.v2.inference_pb2 import ModelInferRequest
from nestling_cloud.serving.recorder import HardInputRecorder, hard_input
from nestling_cloud.serving.storage_rule import StorageRule
from nestling_cloud.store.hard_inputs import HardInput

ROW = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
LOGITS = np.array([[0.0, 3.0, 1.0]], np.float32)
RULE = StorageRule(task="hand", keep="hard")


def request(
    *, device: str | None = "pi-1", index: int | None = 7, answer: int | None = 2
) -> ModelInferRequest:
    made = ModelInferRequest(model_name="teacher")
    if device is not None:
        made.parameters["device_id"].string_param = device
    if index is not None:
        made.parameters["input_index"].int64_param = index
    if answer is not None:
        made.parameters["device_answer"].int64_param = answer
    return made


def test_hard_input_has_both_answers_and_the_values() -> None:
    expected = HardInput(
        task="",
        device="pi-1",
        received_at_ms=5,
        input_index=7,
        values=ROW.tobytes(),
        shape=(2, 3),
        device_answer=2,
        cloud_answer=1,
    )

    assert expected == hard_input(request(), ROW, LOGITS, now_ms=5)


def test_gated_input_has_no_device_answer() -> None:
    found = hard_input(request(answer=None), ROW, LOGITS, now_ms=5)

    assert found is not None
    assert found.device_answer is None


@pytest.mark.parametrize("audit", [True, False])
def test_audited_input_is_told_apart_from_a_hard_one(*, audit: bool) -> None:
    given = request()
    given.parameters["audit"].bool_param = audit

    found = hard_input(given, ROW, LOGITS, now_ms=5)

    assert found is not None
    assert found.audited == audit


@pytest.mark.parametrize(
    "given",
    [
        request(device=None),
        request(index=None),
        request(device="a/b"),
        request(device=""),
        request(answer=3),
        request(answer=-1),
    ],
)
def test_request_without_valid_device_parameters_is_not_recorded(given: ModelInferRequest) -> None:
    assert hard_input(given, ROW, LOGITS, now_ms=5) is None


def test_request_of_several_inputs_is_not_recorded() -> None:
    twice = np.repeat(ROW, 2, axis=0), np.repeat(LOGITS, 2, axis=0)

    assert hard_input(request(), *twice, now_ms=5) is None


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
