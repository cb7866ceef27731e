from nestling import metrics
from nestling_cloud.fleet.briefing import Briefing, Word

NOTHING_WISHED = Word(None, "small-1-abc")
WISHED = Word(0.4, "small-1-abc")
RELEASED = Word(0.4, "small-2-def")


def due(briefing: Briefing, word: Word) -> dict[str, metrics.MetricValue | None]:
    """What a device is told; it then counts as told."""
    found = briefing.due("pi-1", word)
    briefing.told("pi-1", word)
    return dict(found)


def born() -> Briefing:
    briefing = Briefing()
    briefing.born("pi-1")
    return briefing


def test_device_that_is_born_hears_everything_also_that_nothing_is_wished() -> None:
    heard = {metrics.OFFLOAD_SHARE: None, metrics.DESIRED_BUNDLE: "small-1-abc"}

    assert heard == due(born(), NOTHING_WISHED)


def test_only_what_changed_is_told() -> None:
    briefing = born()
    due(briefing, NOTHING_WISHED)

    told = [due(briefing, word) for word in (WISHED, WISHED, RELEASED, NOTHING_WISHED)]

    assert told == [
        {metrics.OFFLOAD_SHARE: 0.4},
        {},
        {metrics.DESIRED_BUNDLE: "small-2-def"},
        {metrics.OFFLOAD_SHARE: None, metrics.DESIRED_BUNDLE: "small-1-abc"},
    ]


def test_device_that_is_born_again_hears_everything_again() -> None:
    briefing = born()
    due(briefing, WISHED)

    briefing.born("pi-1")

    assert len(due(briefing, WISHED)) == 2


def test_no_bundle_is_named_before_the_first_release() -> None:
    assert due(born(), Word(0.4, "")) == {metrics.OFFLOAD_SHARE: 0.4}
