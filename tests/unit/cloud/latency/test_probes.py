import json
from pathlib import Path
from typing import get_args

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from nestling_cloud.latency.probes import FILE_NAME, ProbesError, read_probes
from nestling_cloud.latency.table import TableError, read_table
from nestling_core.execution.session import open_session
from nestling_core.nest.bundle_files import Activations
from tests.support.tiny_probes import TINY_FAMILY, hand_table, tiny_probes


def test_probes_read_back_as_written(tmp_path: Path) -> None:
    written = tiny_probes(tmp_path)

    found = read_probes(tmp_path)

    assert found.probes == written.probes
    assert found.probes[0].widths == TINY_FAMILY.config.whole
    assert found.family.signature == TINY_FAMILY.signature
    assert found.family.config.blocks == TINY_FAMILY.config.blocks


def test_every_probe_file_is_a_complete_model(tmp_path: Path) -> None:
    for probe in tiny_probes(tmp_path).probes:
        session = open_session(tmp_path / probe.model)
        (logits,) = session.run(None, {"input": np.ones((2, 2, 16), np.float32)})
        assert logits.shape == (2, 3)


@pytest.mark.parametrize("activations", get_args(Activations))
def test_probe_has_the_requested_activations(tmp_path: Path, activations: Activations) -> None:
    kinds = {"uint8": TensorProto.UINT8, "int8": TensorProto.INT8}

    for probe in tiny_probes(tmp_path, activations=activations).probes:
        graph = onnx.load(tmp_path / probe.model, load_external_data=False).graph
        zeros = {t.data_type for t in graph.initializer if t.name.endswith("zero")}
        assert zeros == {kinds[activations]}


def test_same_seed_makes_the_same_probes(tmp_path: Path) -> None:
    first = tiny_probes(tmp_path / "first", seed=1)

    assert tiny_probes(tmp_path / "again", seed=1).probes == first.probes
    assert tiny_probes(tmp_path / "other", seed=2).probes != first.probes


def test_folder_with_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()

    with pytest.raises(ProbesError, match="is not empty"):
        tiny_probes(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_folder_without_probes_error_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ProbesError, match="nestling-cloud latency probes"):
        read_probes(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "probes": []}'])
def test_damaged_list_of_probes_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)

    with pytest.raises(ProbesError):
        read_probes(tmp_path)


def test_table_gives_each_probe_its_latency(tmp_path: Path) -> None:
    probes = tiny_probes(tmp_path)
    path = tmp_path / "table.json"
    hand_table(path, probes, latency_ms=0.25)

    table = read_table(path, probes)

    assert (table.machine, table.microseconds) == ("a Pi", (250.0,) * 3)
    assert table.widths == tuple(probe.widths for probe in probes.probes)


def test_table_of_other_probes_is_refused(tmp_path: Path) -> None:
    other = tiny_probes(tmp_path / "other", seed=1)
    probes = tiny_probes(tmp_path / "probes", seed=2)
    path = tmp_path / "table.json"
    hand_table(path, other)

    with pytest.raises(TableError, match="it measured another"):
        read_table(path, probes)


def test_table_that_lacks_a_probe_names_it(tmp_path: Path) -> None:
    probes = tiny_probes(tmp_path / "probes", count=3)
    path = tmp_path / "table.json"
    models = hand_table(path, probes)
    del models[probes.probes[2].model]
    path.write_text(json.dumps({"format": 1, "machine": "a Pi", "models": models}))

    with pytest.raises(TableError, match=r"it has no probe-002/capacity-1\.onnx"):
        read_table(path, probes)


@pytest.mark.parametrize("latency_ms", [0, -1, float("nan"), float("inf")])
def test_impossible_latency_is_refused(tmp_path: Path, latency_ms: float) -> None:
    probes = tiny_probes(tmp_path / "probes")
    path = tmp_path / "table.json"
    hand_table(path, probes, latency_ms)

    with pytest.raises(TableError, match=r"is .* µs|is not a number"):
        read_table(path, probes)


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"format": 1, "bundle": "tiny-1"}'])
def test_file_that_is_not_a_table_is_refused(tmp_path: Path, text: str | None) -> None:
    probes = tiny_probes(tmp_path / "probes", count=1)
    path = tmp_path / "table.json"
    if text is not None:
        path.write_text(text)

    with pytest.raises(TableError, match=r"table\.json"):
        read_table(path, probes)
