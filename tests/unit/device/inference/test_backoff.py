from nestling_device.inference.backoff import Backoff


def test_backoff_doubles_with_every_failure_up_to_16_inputs() -> None:
    pause, lengths = Backoff(), []
    for _ in range(7):
        assert pause.over
        pause = pause.after_failure()
        lengths.append(pause.left)
        while not pause.over:
            pause = pause.after_input()

    assert lengths == [1, 2, 4, 8, 16, 16, 16]


def test_backoff_without_failures_stays_over() -> None:
    assert Backoff().after_input() == Backoff()
