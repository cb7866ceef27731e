"""Kills a device at every step of its work on the disk, and checks what is left.

Run it as a program (`python -m tests.support.killing install|outbox|follow_ups|enrol FOLDER`),
because it forks, and a test process has threads. A step is the creation, opening, renaming, linking
or removal of a file or folder, the writing of a piece of a blob, or an SQL statement. Prints one
JSON object per kill: {"step": the step that was about to happen, "left": what was found after it}.
"""

import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nestling.v1 import bundle_pb2, receipt_pb2
from nestling_cloud.fleet.enrolment import Enrolment
from nestling_core.enrolment_token import EnrolmentToken
from nestling_core.nest.bundle_files import Activations
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.delivery.installer import Installer
from nestling_device.enrolment import enrol
from nestling_device.inference.stream_state import Stream
from nestling_device.storage.state import State
from nestling_device.telemetry.outbox import Outbox
from nestling_device.transport.identity import Credentials, Identity, save_identity
from tests.support.agent_rig import budget, make_rig
from tests.support.hand_bundle import HARD
from tests.support.memory_source import CAPACITY_BYTES, MemorySource, small_bundle
from tests.support.receipts import acknowledgement

MEMORY_BYTES = CAPACITY_BYTES[-1]
_STEPS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}


class Killer:
    """Kills this process just before its n-th step, and writes the step's name to a pipe."""

    def __init__(self, folder: Path, step: int, pipe: int) -> None:
        self._left = step
        self._pipe = pipe
        self._folder = str(folder)
        sys.addaudithook(self._audit)

    def watch(self, connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(self.step)

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        in_folder = bool(args) and str(args[0]).startswith(self._folder)
        if event in _STEPS and in_folder:
            self.step(f"{event} {Path(args[0]).suffix or 'blob'}")
        elif event == "os.symlink" and str(args[1]).startswith(self._folder):
            self.step(event)

    def step(self, name: str) -> None:
        self._left -= 1
        if self._left == 0:
            os.write(self._pipe, name.encode())
            os.kill(os.getpid(), signal.SIGKILL)


def kills(
    folder: Path, prepare: Callable[[Path], None], work: Callable[[Path, Killer], None]
) -> Iterator[tuple[str, Path]]:
    """Run `work` in a child process once per step, on a fresh folder, and kill it at that step.

    Args:
        folder: folder for the copies.
        prepare: creates the fresh folder.
        work: the work to interrupt.

    Yields:
        The name of the step, and the folder as the kill left it.
    """
    prepare(folder / "fresh")
    step = 0
    while True:
        step += 1
        here = folder / f"step-{step}"
        shutil.copytree(folder / "fresh", here, symlinks=True)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            work(here, Killer(here, step, writing))
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            name = pipe.read()
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0, "the work itself failed"
            return
        yield name, here


class SteppingSource(MemorySource):
    """Counts each piece of a blob as a step, so that a kill can come between two pieces."""

    def __init__(self, release: int, killer: Killer | None) -> None:
        super().__init__()
        self.release(*small_bundle(release))
        self._killer = killer

    def fetch(self, blob: bundle_pb2.Blob, offset: int) -> Iterator[bytes]:
        for piece in super().fetch(blob, offset):
            yield piece
            if self._killer is not None:
                self._killer.step("piece")


def self_test(
    manifest: bundle_pb2.Manifest, capacity: int, blobs: BlobStore, _: Activations
) -> None:
    for entry in manifest.capacities[:capacity]:
        blobs.read(entry.ring)


def install(folder: Path, release: int, killer: Killer | None = None) -> None:
    with State(folder) as state:
        if killer is not None:
            killer.watch(state._database._connection)
        blobs = BlobStore(folder / "blobs")
        Installer(state, blobs, SteppingSource(release, killer), self_test, "uint8").install(
            MEMORY_BYTES
        )


def active_release(folder: Path) -> int:
    """Return the release that would run now, after checking that it is complete and intact."""
    with State(folder) as state:
        blobs = BlobStore(folder / "blobs")
        active = Installer(state, blobs, MemorySource(), self_test, "uint8").active(MEMORY_BYTES)
        assert active is not None
        assert active.capacity == len(active.manifest.capacities)
        self_test(active.manifest, active.capacity, blobs, "uint8")
        floor = state.floor("small")
        assert floor is not None
        assert floor.release == active.manifest.release
        return active.manifest.release


def install_two_releases(folder: Path) -> None:
    install(folder, 1)
    install(folder, 2)


def kill_installations(folder: Path) -> Iterator[dict[str, object]]:
    for step, here in kills(
        folder,
        prepare=install_two_releases,
        work=lambda here, killer: install(here, 3, killer),
    ):
        left = active_release(here)
        install(here, 3)
        yield {"step": step, "left": left, "finally": active_release(here)}


def make_outbox_folder(folder: Path) -> None:
    folder.mkdir()
    (folder / "guaranteed").touch()


def use_outbox(folder: Path, killer: Killer) -> None:
    """Append and acknowledge receipts; the file `guaranteed` holds the last appended sequence."""
    guaranteed = os.open(folder / "guaranteed", os.O_WRONLY)
    with Outbox(folder, capacity=5) as outbox:
        killer.watch(outbox._database._connection)
        for index in range(8):
            sequence = outbox.append(receipt_pb2.Receipt(input_index=index))
            os.pwrite(guaranteed, bytes([sequence]), 0)
            if index == 3:
                outbox.acknowledge(acknowledgement(outbox, 2))
    os.close(guaranteed)


def kill_outboxes(folder: Path) -> Iterator[dict[str, object]]:
    for step, here in kills(folder, prepare=make_outbox_folder, work=use_outbox):
        guaranteed = max((here / "guaranteed").read_bytes(), default=0)
        with Outbox(here, capacity=5) as outbox:
            batch = outbox.batch(100).batch
            held = [entry.sequence for entry in batch.receipts]
            assert [entry.input_index + 1 for entry in batch.receipts] == held
            dropped = [n for gap in batch.gaps for n in range(gap.first_sequence, held[0])]
            last = outbox.marks().last
            assert list(range(outbox.marks().acknowledged + 1, last + 1)) == dropped + held
            assert len(held) <= 5
            assert outbox.append(receipt_pb2.Receipt()) == last + 1
        yield {"step": step, "left": last, "guaranteed": guaranteed}


def answer_and_catch_up(folder: Path, killer: Killer | None = None) -> None:
    """Answer a hard input without a link and one with it, and ask about those that wait."""
    with Outbox(folder) as outbox:
        stream = Stream(state=outbox.stream_state())
        rig = make_rig(folder.parent / "bundle", journal=outbox, stream=stream)
        if killer is not None:
            killer.watch(outbox._database._connection)
        rig.agent.answer(0, HARD, budget(defer=True, link_mbit_s=0))
        rig.agent.answer(1, HARD, budget(defer=True))
        rig.agent.catch_up(budget(defer=True))


def waiting_and_revised(folder: Path) -> tuple[int, int]:
    """Count the inputs that wait and those that are revised, after checking that none is both."""
    with Outbox(folder) as outbox:
        receipts, after = list[receipt_pb2.Receipt](), 0
        while after < outbox.marks().last:
            batch, _, after, _ = outbox.batch(100, after=after)
            receipts += batch.receipts
        assert len(receipts) == outbox.marks().last
        waiting = [one.content.follows for one in outbox.pending(100) if one.content]
        assert len(waiting) == outbox.pending_count()
    asked = [one.fingerprint for one in receipts if one.follow_up and not one.HasField("follows")]
    revised = [one.follows for one in receipts if one.HasField("follows")]
    assert sorted(asked) == sorted(waiting + revised)
    return len(waiting), len(revised)


def kill_follow_ups(folder: Path) -> Iterator[dict[str, object]]:
    for step, here in kills(folder, prepare=Path.mkdir, work=answer_and_catch_up):
        waiting, revised = waiting_and_revised(here)
        child = os.fork()
        if child == 0:
            answer_and_catch_up(here)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert status == 0
        finally_waiting, finally_revised = waiting_and_revised(here)
        yield {
            "step": step,
            "left": waiting,
            "revised": revised,
            "finally": finally_waiting,
            "finally_revised": finally_revised,
        }


def finish_enrolment(folder: Path, cloud_folder: Path, text: str) -> None:
    """Finish an enrolment, with the pending key that an earlier attempt left if there is one.

    Args:
        folder: state folder of the device.
        cloud_folder: enrolment folder of the cloud.
        text: the token.
    """
    token = EnrolmentToken.from_text(text)
    key = enrol._pending_key(folder, token)
    with Enrolment.open(cloud_folder) as cloud:
        _, certificate = cloud.enrol(token.secret, enrol._signing_request(key))
    credentials = Credentials(
        key=enrol._pem(key),
        certificate=certificate,
        authority=cloud.authority.certificate_pem,
        cloud=f"{token.device_id}:1",
        broker=f"{token.device_id}:2",
    )
    save_identity(folder, credentials)
    enrol._delete_pending_keys(folder)


def kill_enrolments(folder: Path) -> Iterator[dict[str, object]]:
    """Kill enrolments of a device without an identity, and of one that has an identity."""
    folder.mkdir(exist_ok=True)
    cloud, enrolled = folder / "cloud", folder / "enrolled"
    with Enrolment.open(cloud) as opened:
        first, second = (opened.invite(name).to_text() for name in ("first", "second"))
    finish_enrolment(enrolled, cloud, first)

    def work(here: Path, _killer: Killer) -> None:
        shutil.copytree(cloud, clouds / here.name)
        finish_enrolment(here, clouds / here.name, second)

    for name, prepare in (
        ("new", Path.mkdir),
        ("again", lambda made: shutil.copytree(enrolled, made, symlinks=True)),
    ):
        clouds = folder / f"{name}-clouds"
        (folder / name).mkdir()
        for step, here in kills(folder / name, prepare=prepare, work=work):
            left = Identity.load(here)
            finish_enrolment(here, clouds / here.name, second)
            yield {
                "step": step,
                "left": left and left.cloud,
                "finally": Identity(here).cloud,
                "files": sorted(path.name.split("-")[0] for path in here.iterdir()),
            }


if __name__ == "__main__":
    scenario = {
        "install": kill_installations,
        "outbox": kill_outboxes,
        "follow_ups": kill_follow_ups,
        "enrol": kill_enrolments,
    }[sys.argv[1]]
    for found in scenario(Path(sys.argv[2])):
        sys.stdout.write(json.dumps(found) + "\n")
