import numpy as np

from nestling_core.guarantee.near_misses import NearMisses


def after(one: NearMisses, share: float, count: int, seed: int = 0) -> NearMisses:
    rng = np.random.default_rng(seed)
    for _ in range(count):
        one = one.after_answer(changed=bool(rng.random() < share))
    return one


def test_first_answers_are_the_baseline_and_raise_no_suspicion() -> None:
    one = after(NearMisses(), 1.0, 149)

    assert one.expected is None
    assert not one.are_suspicious
    assert after(one, 1.0, 1).expected == 0.9


def test_baseline_is_above_the_share_that_was_seen() -> None:
    one = after(NearMisses(), 0.2, 150)

    assert one.expected is not None
    assert one.changed / 150 < one.expected < one.changed / 150 + 0.1


def test_twice_as_many_changes_become_suspicious_and_as_many_do_not() -> None:
    calm = [after(after(NearMisses(), 0.1, 150, seed), 0.1, 1000, seed + 500) for seed in range(30)]
    harder = [after(one, 0.4, 300, seed + 900) for seed, one in enumerate(calm)]

    assert sum(one.are_suspicious for one in calm) <= 3
    assert all(one.are_suspicious for one in harder)


def test_good_answers_are_not_saved_up() -> None:
    one = after(after(NearMisses(), 0.1, 150), 0.0, 5000)

    assert one.wealth <= 1
    assert after(one, 1.0, 20).are_suspicious
