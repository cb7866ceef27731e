"""Hard inputs on every database."""

from dataclasses import replace

from nestling_cloud.store.hard_inputs import HardInput, HardInputs
from nestling_cloud.store.store import Store
from nestling_core.kinds.kind import Answer


def hard_input(device: str, index: int) -> HardInput:
    return HardInput(
        device=device,
        task="hand",
        received_at_ms=1_700_000_000_000 + index,
        input_index=index,
        values=bytes([index % 256]) * 24,
        shape=(2, 3),
        device_answer=Answer(index % 3),
        cloud_answer=Answer(2),
    )


def test_hard_inputs_are_returned_unchanged_newest_first(store: Store) -> None:
    hard_inputs = HardInputs(store)
    first, second = hard_input("pi-1", 1), replace(hard_input("pi-1", 2), device_answer=None)
    hard_inputs.add_all([first])
    hard_inputs.add_all([second])
    hard_inputs.add_all([hard_input("pi-2", 3)])

    assert hard_inputs.latest("pi-1") == [second, first]
    assert hard_inputs.latest("pi-1", 1) == [second]
    assert hard_inputs.latest("pi-3") == []


def test_answers_of_every_kind_are_returned_unchanged(store: Store) -> None:
    values = replace(
        hard_input("pi-1", 1),
        device_answer=Answer(0, (0.1, -2.5e-30)),
        cloud_answer=Answer(0, (3.0, 1e30)),
        agrees=False,
    )
    labels = replace(
        hard_input("pi-1", 2),
        device_answer=Answer(2**63 - 1),
        cloud_answer=Answer(2**63 - 1),
        agrees=True,
    )
    HardInputs(store).add_all([values, labels])

    assert HardInputs(store).latest("pi-1") == [labels, values]


def test_newest_hard_inputs_of_each_device_are_retained(store: Store) -> None:
    hard_inputs = HardInputs(store, per_device=3)
    hard_inputs.add_all([hard_input("pi-2", 0)])
    hard_inputs.add_all([hard_input("pi-1", index) for index in range(5)])
    hard_inputs.add_all([hard_input("pi-1", 5)])

    assert [each.input_index for each in hard_inputs.latest("pi-1", 10)] == [5, 4, 3]
    assert len(hard_inputs.latest("pi-2", 10)) == 1


def test_newest_hard_inputs_of_all_devices_are_retained(store: Store) -> None:
    hard_inputs = HardInputs(store, per_device=2, in_all=3)
    for index in range(4):
        hard_inputs.add_all([hard_input(f"pi-{index}", index)])

    found = [hard_inputs.latest(f"pi-{index}", 10) for index in range(4)]
    assert [len(each) for each in found] == [0, 1, 1, 1]


def test_adding_no_hard_inputs_does_nothing(store: Store) -> None:
    HardInputs(store).add_all([])

    assert HardInputs(store).latest("pi-1") == []
