from nestling_cloud.console.auth.throttle import (
    FAILURES_A_MINUTE,
    FREE_FAILURES,
    LONGEST_WAIT_S,
    LoginThrottle,
)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def _fail(throttle: LoginThrottle, address: str, count: int) -> None:
    for _ in range(count):
        throttle.failed(address)


def test_a_few_wrong_passwords_cost_no_wait() -> None:
    throttle = LoginThrottle(Clock())
    _fail(throttle, "a", FREE_FAILURES - 1)

    assert throttle.wait_s("a") == 0


def test_waits_double_up_to_a_limit() -> None:
    clock = Clock()
    throttle = LoginThrottle(clock)
    _fail(throttle, "a", FREE_FAILURES - 1)
    waits = []
    for _ in range(12):
        throttle.failed("a")
        waits.append(throttle.wait_s("a"))
        clock.now_s += waits[-1]
        assert throttle.wait_s("a") == 0

    assert waits[:4] == [2, 4, 8, 16]
    assert waits[-1] == LONGEST_WAIT_S


def test_one_address_does_not_make_another_wait() -> None:
    throttle = LoginThrottle(Clock())
    _fail(throttle, "a", FREE_FAILURES + 3)

    assert throttle.wait_s("b") == 0


def test_correct_password_resets_the_failures() -> None:
    throttle = LoginThrottle(Clock())
    _fail(throttle, "a", FREE_FAILURES)

    throttle.succeeded("a")

    assert throttle.wait_s("a") == 0


def test_failures_of_many_addresses_make_all_of_them_wait_for_a_minute() -> None:
    clock = Clock()
    throttle = LoginThrottle(clock)
    for number in range(FAILURES_A_MINUTE):
        throttle.failed(f"address-{number}")

    assert 0 < throttle.wait_s("address-0") <= 60
    clock.now_s += 60
    assert throttle.wait_s("address-0") == 0


def test_guessing_does_not_lock_out_an_address_without_failures() -> None:
    clock = Clock()
    throttle = LoginThrottle(clock)
    waits = []
    for number in range(6000):
        clock.now_s += 0.1
        if throttle.wait_s(f"10.0.0.{number % 250}") == 0:
            throttle.failed(f"10.0.0.{number % 250}")
        waits.append(throttle.wait_s("192.0.2.1"))

    three_minutes = 1800
    assert not any(waits[three_minutes:])


def test_address_without_failures_waits_after_twice_as_many_failures() -> None:
    clock = Clock()
    throttle = LoginThrottle(clock)
    for number in range(2 * FAILURES_A_MINUTE):
        assert throttle.wait_s(f"address-{number}") == 0
        throttle.failed(f"address-{number}")

    assert 0 < throttle.wait_s("another") <= 60
    clock.now_s += 60
    assert throttle.wait_s("another") == 0


def test_addresses_of_one_ipv6_network_count_as_one() -> None:
    throttle = LoginThrottle(Clock())
    for number in range(FREE_FAILURES + 3):
        throttle.failed(f"2001:db8::{number:x}")

    assert throttle.wait_s("2001:db8::ffff") > 0
    assert throttle.wait_s("2001:db8:0:1::1") == 0


def test_failures_are_forgotten_after_an_hour() -> None:
    clock = Clock()
    throttle = LoginThrottle(clock)
    _fail(throttle, "a", FREE_FAILURES + 5)

    clock.now_s += 3601
    throttle.failed("a")

    assert throttle.wait_s("a") == 0


def test_memory_for_addresses_is_bounded() -> None:
    clock = Clock()
    throttle = LoginThrottle(clock)
    for number in range(10_050):
        clock.now_s += 1
        throttle.failed(f"address-{number}")

    assert len(throttle._addresses) == 10_000
