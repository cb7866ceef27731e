"""Inputs that devices sent to a running cloud are labeled, trained on, and deleted."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

from nestling.inference.v2 import inference_pb2_grpc
from nestling.inference.v2.inference_pb2 import ModelInferRequest
from nestling.v1.receipt_pb2 import ReceiptBatch
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.store.labeled_inputs import InputFilter, LabeledInputs
from nestling_cloud.store.store import Store, store_url
from nestling_core.clock import unix_ms
from tests.support.browser import Browser
from tests.support.console_fleet import Fleet, serving_repository
from tests.support.fleet_tasks import ROOT
from tests.support.kind_tasks import measured
from tests.support.processes import until
from tests.support.receipts import make_receipt
from tests.support.stored import add_batch
from tests.support.tiny_task import TINY_TASK, tones

TINY = f"{ROOT / 'tests' / 'support' / 'tiny_task.py'}:TINY_TASK"
KINDS = ROOT / "tests" / "support" / "kind_tasks.py"
FRESH = tones(6, 4242)
CLASSES = list(TINY_TASK.signature.classes)


def cloud(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "nestling_cloud.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def offload(address: str, repository: Path, *, audit: bool = False) -> None:
    """Send inputs as two devices do."""
    name = Repository(repository).manifest().cloud.name
    with grpc.insecure_channel(address) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        for index, values in enumerate(FRESH.inputs):
            request = ModelInferRequest(model_name=name)
            request.parameters["device_id"].string_param = ("porch", "roof")[index % 2]
            request.parameters["input_index"].int64_param = index
            request.parameters["device_answer"].int64_param = 1
            request.parameters["audit"].bool_param = audit
            request.inputs.add(name="input", datatype="FP32", shape=(1, *values.shape))
            request.raw_input_contents.append(values.astype("<f4").tobytes())
            stub.ModelInfer(request)


def stored(store: Path) -> int:
    with Store(store_url(str(store))) as opened:
        return LabeledInputs(opened).count(InputFilter())


@pytest.fixture
def repository(tiny_bundle: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_bundle, tmp_path / "repository")
    return tmp_path / "repository"


def test_offloaded_inputs_are_labeled_trained_on_and_deleted(
    repository: Path, tmp_path: Path
) -> None:
    store = tmp_path / "receipts.sqlite"
    with serving_repository(tmp_path, repository) as fleet:
        offload(fleet.cloud.grpc, repository)
        offload(fleet.cloud.grpc, repository, audit=True)
        until(lambda: stored(store) == 6)  # none of the audits

        for one in fleet.get("inputs", labeled=False).json()["inputs"]:
            label = CLASSES[FRESH.labels[one["input_index"]]]
            answer = fleet.put(f"inputs/{one['id']}/label", {"label": label})
            assert answer.json()["labeled_by"] == "token test"

        where = ("--repository", str(repository), "--store", str(store))
        out = tmp_path / "november"
        exported = cloud("inputs", "export", *where, "--out", str(out), "--json")
        assert json.loads(exported.stdout)["labeled"] == 6

        trained = cloud(
            *("bundle", "train", "--task", TINY, "--repository", str(repository)),
            *("--from", str(out)),
        )
        assert trained.returncode == 0, trained.stderr
        assert "6 inputs of 2 devices are trained on" in " ".join(trained.stderr.split())
        assert Repository(repository).manifest().release == 2

        deleted = cloud("data", "delete", "--store", str(store), "--device", "porch", "--yes")
        assert "3 inputs, 3 labels" in deleted.stdout
        left = fleet.get("inputs").json()["inputs"]
        assert {one["device"] for one in left} == {"roof"}
        assert b"porch" not in store.read_bytes()

        offload(fleet.cloud.grpc, repository)  # the cloud goes on
        until(lambda: stored(store) == 9)


def test_values_are_shown_labeled_and_trained_on(tmp_path: Path, browser: Browser) -> None:
    repository, store, out = tmp_path / "repository", tmp_path / "receipts.sqlite", tmp_path / "out"
    task = ("--task", f"{KINDS}:REGRESSION", "--repository", str(repository))
    trained = cloud("bundle", "train", *task)
    assert trained.returncode == 0, trained.stderr
    fresh = measured(3, 4242)
    with serving_repository(tmp_path, repository, "--keep-per-device", "2") as fleet:
        send(fleet.cloud.grpc, repository, fresh.inputs[0], 0, values="nan 1.0")  # not stored
        for index, values in enumerate(fresh.inputs):
            send(fleet.cloud.grpc, repository, values, index, values="2000.0 1.0")
        until(lambda: [one["input_index"] for one in inputs_of(fleet)] == [2, 1])

        check_page(browser, fleet)
        one, other = inputs_of(fleet)
        assert one["device_answer"]["text"] == "pitch 2000 Hz, strength 1 V"
        assert set(one["cloud_answer"]["label"]) == {"pitch", "strength"}
        assert one["agrees"] is False
        for found in (one, other):
            pitch, strength = fresh.labels[found["input_index"]].tolist()
            label = {"strength": strength, "pitch": pitch}
            answer = fleet.put(f"inputs/{found['id']}/label", {"label": label})
            assert answer.json()["label"] == label

    where = ("--repository", str(repository), "--store", str(store))
    exported = cloud("inputs", "export", *where, "--out", str(out))
    assert exported.returncode == 0, exported.stderr
    again = cloud("bundle", "train", *task, "--from", str(out))
    assert again.returncode == 0, again.stderr
    assert "2 inputs of 1 devices are trained on" in " ".join(again.stderr.split())


def check_page(browser: Browser, fleet: Fleet) -> None:
    """Check what a device's page says about its answers and its stored inputs."""
    receipt = make_receipt(answer=0, device_answer=0, answered_at_ms=unix_ms())
    receipt.values.extend([300.0, 0.5])
    with Store(store_url(str(fleet.cloud.store))) as opened:
        add_batch(opened, "porch", ReceiptBatch(outbox_id="outbox", receipts=[receipt]))

    browser.log_in(fleet.cloud.console, fleet.cloud.password)
    browser.open(f"{fleet.cloud.console}/devices/porch")

    panel = '[data-panel="hard-inputs"]'
    browser.find(f"{panel} .waveform")
    assert browser.text(f"{panel} .differs") == "device: pitch 2000 Hz, strength 1 V"
    assert "cloud: pitch " in browser.text(f"{panel} .verdict")
    browser.wait(lambda: "pitch 300 Hz, strength 0.5 V" in browser.text('[data-panel="answers"]'))


def inputs_of(fleet: Fleet) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = fleet.get("inputs").json()["inputs"]
    return found


def send(
    address: str, repository: Path, window: NDArray[np.float32], index: int, *, values: str
) -> None:
    """Send an input of a regression task as a device does."""
    request = ModelInferRequest(model_name=Repository(repository).manifest().cloud.name)
    request.parameters["device_id"].string_param = "porch"
    request.parameters["input_index"].int64_param = index
    request.parameters["device_answer"].int64_param = 0
    request.parameters["device_values"].string_param = values
    request.inputs.add(name="input", datatype="FP32", shape=(1, *window.shape))
    request.raw_input_contents.append(window.astype("<f4").tobytes())
    with grpc.insecure_channel(address) as channel:
        inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request)


def test_operator_can_forbid_what_the_task_allows(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "forbidding").mkdir()
    (tmp_path / "allowing").mkdir()
    with (
        serving_repository(tmp_path / "forbidding", repository, "--keep-no-inputs") as forbidding,
        serving_repository(tmp_path / "allowing", repository) as allowing,
    ):
        for fleet in (forbidding, allowing):
            offload(fleet.cloud.grpc, repository)
        until(lambda: stored(allowing.cloud.store) == len(FRESH))

        assert stored(forbidding.cloud.store) == 0


def test_newest_release_decides_what_is_stored(repository: Path, tmp_path: Path) -> None:
    manifest, store = Repository(repository).manifest(), tmp_path / "receipts.sqlite"

    def release(keep: str) -> None:
        manifest.release += 1
        manifest.keep_inputs = keep
        Repository(repository).release(manifest)

    with serving_repository(tmp_path, repository) as fleet:
        release("none")
        offload(fleet.cloud.grpc, repository)
        release("audited")
        for audit in (False, True):
            offload(fleet.cloud.grpc, repository, audit=audit)
        until(lambda: stored(store) == 6)
        found = fleet.get("inputs").json()["inputs"]

    assert {(one["audited"], one["task"]) for one in found} == {(True, "tiny")}
