import numpy as np
import pytest

from nestling_cloud.learning.routing.rivals import RIVALS, Resources, Rival, Trial

LEARNED = {"scaled softmax", "deferral MLP", "AppealNet head"}
IDS = [rival.name for rival in RIVALS]


def named(name: str) -> Rival:
    (found,) = [rival for rival in RIVALS if rival.name == name]
    return found


def trial(logits: list[list[float]], resources: Resources | None = None) -> Trial:
    count = len(logits)
    array = np.array(logits, np.float32)
    return Trial(
        logits=array,
        device=np.zeros(count, np.bool_),
        cloud=np.ones(count, np.bool_),
        cloud_logits=array,
        labels=np.zeros(count, np.int64),
        resources=resources,
    )


def unsure_ones_fail(count: int, seed: int) -> Trial:
    """Make a student with calibrated confidence and a cloud that is nearly always right."""
    rng = np.random.default_rng(seed)
    sure = rng.uniform(0, 4, count)
    answers = rng.integers(0, 3, count)
    logits = sure[:, None] * np.eye(3)[answers]
    right = rng.random(count) < np.exp(sure) / (np.exp(sure) + 2)
    labels = np.where(right, answers, (answers + 1) % 3)
    return Trial(
        logits=logits.astype(np.float32),
        device=right,
        cloud=rng.random(count) < 0.95,
        cloud_logits=(6 * np.eye(3)[labels]).astype(np.float32),
        labels=labels,
    )


# Probabilities 0.7, 0.2, 0.1; 0.45, 0.45, 0.1; 1/3 each; 1, 0, 0.
RANKED = [
    list(np.log([0.7, 0.2, 0.1])),
    list(np.log([0.45, 0.45, 0.1])),
    [0.0, 0.0, 0.0],
    [80.0, 0.0, 0.0],
]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("max-softmax", [-0.7, -0.45, -1 / 3, -1.0]),
        ("margin", [-0.5, 0.0, 0.0, -1.0]),
        ("entropy", [0.8018, 0.9489, 1.0986, 0.0]),
        ("Sedna cross entropy", [-0.2702, -0.1363, 0.0, -1.0]),
    ],
)
def test_confidence_by_hand(name: str, expected: list[float]) -> None:
    urgency = named(name).fit(trial(RANKED), 0)

    assert urgency(trial(RANKED)) == pytest.approx(expected, abs=1e-4)


def test_sedna_and_entropy_send_the_same_inputs() -> None:
    seen = unsure_ones_fail(200, 0)

    first, second = [
        np.argsort(named(name).fit(seen, 0)(seen), kind="stable")
        for name in ("entropy", "Sedna cross entropy")
    ]

    assert np.array_equal(first, second)


def test_oracle_ranks_first_what_only_the_cloud_gets_right() -> None:
    one = trial([[0.0, 1.0]] * 4)
    seen = Trial(
        logits=one.logits,
        device=np.array([0, 1, 0, 1], np.bool_),
        cloud=np.array([1, 0, 0, 1], np.bool_),
        cloud_logits=one.cloud_logits,
        labels=one.labels,
    )

    assert named("oracle").fit(seen, 0)(seen).tolist() == [1, -1, 0, 0]


def test_resource_sensitive_uses_only_the_state_of_the_device() -> None:
    calm = {"celsius": 75.0, "battery": 20.0, "processor": 85.0, "memory": 85.0}
    pressed = {"celsius": 75.1, "battery": 19.9, "processor": 85.1, "memory": 85.1}
    states = [calm, *({**calm, key: value} for key, value in pressed.items())]
    resources = Resources(**{key: np.array([state[key] for state in states]) for key in calm})
    seen = trial([[0.0, 1.0]] * len(states), resources)

    assert named("resource-sensitive").fit(seen, 0)(seen).tolist() == [0, 1, 1, 1, 1]


def test_random_ranks_the_same_for_the_same_seed() -> None:
    seen = trial([[0.0, 1.0]] * 50)

    first, again, other = (named("random").fit(seen, seed)(seen) for seed in (0, 0, 1))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", sorted(LEARNED))
def test_learned_rivals_rank_higher_what_the_device_gets_wrong(name: str) -> None:
    urgency = named(name).fit(unsure_ones_fail(1500, 0), 0)

    unseen = unsure_ones_fail(600, 1)
    found = urgency(unseen)

    assert found[~unseen.device].mean() > found[unseen.device].mean() + found.std() / 2


@pytest.mark.parametrize("rival", RIVALS, ids=IDS)
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e4, 1e37])
def test_urgency_is_finite_for_extreme_logits(rival: Rival, size: float) -> None:
    urgency = rival.fit(unsure_ones_fail(200, 0), 0)
    extreme = trial([[size, -size, 0.0], [size, size, size], [-size, 0.0, -size]])

    found = urgency(extreme)

    assert found.shape == (3,)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("rival", RIVALS, ids=IDS)
def test_every_rival_names_the_source_of_its_definition(rival: Rival) -> None:
    assert any(word in rival.source for word in ("arXiv", "KubeEdge", "Scheffer"))
