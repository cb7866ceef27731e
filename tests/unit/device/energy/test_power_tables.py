import re
import tomllib
from importlib.resources import files

import pytest

from nestling_device.energy.offload_energy import offload_mj
from nestling_device.energy.power_tables import ProfileError, load_board, load_link, profile_names

TABLE = (files("nestling_device.energy") / "profiles.toml").read_text("utf-8")


def test_every_figure_has_a_source_on_its_line() -> None:
    lines = [line for line in TABLE.splitlines() if "=" in line.partition("#")[0]]

    unsourced = [line for line in lines if not re.search(r"=\s*[\d.]+\s+# *\S{3,}", line)]
    assert unsourced == []
    assert len(lines) == sum(
        len(entry) for table in tomllib.loads(TABLE).values() for entry in table.values()
    )


@pytest.mark.parametrize("name", ["pi-zero-2w", "pi-4b", "pi-5"])
def test_busy_power_exceeds_idle_power(name: str) -> None:
    board = load_board(name)

    assert board.name == name
    assert 0 < board.idle_w < board.busy_w
    assert board.gmacs_per_s > 0
    assert board.run_overhead_ms > 0


def test_larger_boards_are_faster() -> None:
    times = [load_board(name).compute_ms(10**6) for name in ("pi-zero-2w", "pi-4b", "pi-5")]

    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize(
    ("name", "mbit_s", "uj_per_byte"),
    [
        ("wifi", 5.0, 2.2),
        ("wifi", 2.1, 5.2),
        ("bluetooth", 0.685, 4.6),
        ("hsdpa", 1.5, 9.7),
        ("nb-iot", 0.0156, 310),
    ],
)
def test_link_reproduces_the_published_energy_per_byte(
    name: str, mbit_s: float, uj_per_byte: float
) -> None:
    megabyte_mj = offload_mj(load_link(name), 10**6, mbit_s)

    assert megabyte_mj / 1e3 == pytest.approx(uj_per_byte, rel=0.02)


def test_lte_transfer_includes_the_tail() -> None:
    assert offload_mj(load_link("lte"), 1, 5.0) > 12_000


@pytest.mark.parametrize("table", ["boards", "links"])
def test_unknown_name_raises_an_error_that_lists_all_names(table: str) -> None:
    load = {"boards": load_board, "links": load_link}[table]

    with pytest.raises(ProfileError, match="'toaster'") as caught:
        load("toaster")

    assert all(name in str(caught.value) for name in profile_names(table))
