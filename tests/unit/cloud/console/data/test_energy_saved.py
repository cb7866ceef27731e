from nestling_cloud.console.data import chart_tables
from nestling_cloud.console.data.energy_saved import energy_saved, spent_by_provenance
from nestling_cloud.metrics.figures import CloudOnly
from tests.support.console_views import energy, nothing, totals


def test_energy_spent_is_summed_separately_for_each_provenance() -> None:
    given = totals(
        energy=(
            energy("capacity-1", "compute", 6, 12.0, "measured"),
            energy("capacity-1", "compute", 4, 8.0, "modelled"),
        )
    )

    assert spent_by_provenance(given) == {"measured": 12.0, "modelled": 8.0}


def test_savings_are_the_difference_to_sending_every_input() -> None:
    saved = energy_saved(totals())

    assert (saved.energy_mj, saved.provenance) == (50.0 - 36.0, "modelled")
    assert saved.size_bytes == 9000 - 3500


def test_energies_of_different_provenance_have_no_savings() -> None:
    given = totals(energy=(energy("capacity-1", "compute", 10, 12.0, "measured"),))

    saved = energy_saved(given)

    assert saved.energy_mj is None
    assert saved.size_bytes == 5500


def test_savings_are_unknown_if_some_answers_do_not_report_the_cost() -> None:
    only = CloudOnly(provenance="modelled", answers=9, energy_mj=50.0, size_bytes=9000)

    saved = energy_saved(totals(cloud_only=(only,)))

    assert (saved.energy_mj, saved.size_bytes) == (None, None)


def test_range_without_answers_has_no_shares_and_no_savings() -> None:
    assert chart_tables.cloud_share(nothing()) is None
    assert energy_saved(nothing()).energy_mj is None
    assert chart_tables.answers_per_second(nothing()) is None
    assert chart_tables.routes_by_time(nothing()).rows == ()


def test_energy_of_follow_ups_reduces_the_savings() -> None:
    spent = (*totals().energy, energy("follow-up", "radio", 0, 5.0))

    assert energy_saved(totals(energy=spent)).energy_mj == 50.0 - 36.0 - 5.0
