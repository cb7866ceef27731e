"""Loads the cloud models that releases name, and keeps the newest ones ready to answer.

A new release may bring a new teacher. It is loaded while the old one keeps answering. The old one
then stays for devices that have not installed the release yet. Versions of a model are told apart
by the digests of their files.
"""

import asyncio
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from nestling.v1.bundle_pb2 import Manifest
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.bundles.repository_errors import RepositoryError
from nestling_cloud.cloud_model.model import MAX_BATCH, CloudModel, ModelError
from nestling_cloud.cloud_model.signature import Signature
from nestling_cloud.serving.batcher import Batcher
from nestling_cloud.serving.request_queue import MOST_ROWS
from nestling_core.nest.bundle_files import teacher_version

_LOG = logging.getLogger(__name__)

_WATCH_S = 1.0
_LONGEST_PAUSE_S = 60.0
_MOST_WAITING_BYTES = 1 << 28
# The current teacher, and those of the two releases before.
_MOST_MODELS = 3


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A loaded model.

    Attributes:
        version: the version of the model, the beginning of its file's digest.
        signature: the model's name, input and output.
        batcher: the batcher that runs the model.
    """

    version: str
    signature: Signature
    batcher: Batcher


class ServedModels:
    """Holds the models that are ready to answer.

    At the end of the `async with` block, requests that wait are refused, and runs are completed.

    Args:
        models: the models to begin with, the newest last.
        threads: the number of runs of a model at the same time; None for one for each usable core,
            but at most 8.
    """

    def __init__(
        self, models: Sequence[tuple[str, CloudModel]], threads: int | None = None
    ) -> None:
        self._threads = threads
        self._leaving: set[asyncio.Task[None]] = set()
        self._models = [self._served(version, model) for version, model in models]

    @classmethod
    def of_release(cls, repository: Repository, threads: int | None = None) -> Self:
        """Load the model of the bundle that devices should run.

        Args:
            repository: the repository with the releases.
            threads: as for the constructor.

        Raises:
            RepositoryError: nothing has been released, or the model is missing or damaged.
            ModelError: the model cannot be loaded.
        """
        manifest = repository.manifest()
        return cls([(teacher_version(manifest), _load(repository, manifest))], threads)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.gather(*(model.batcher.close() for model in self._models), *self._leaving)

    @property
    def newest(self) -> ServedModel:
        """The model of the newest release."""
        return self._models[-1]

    @property
    def all(self) -> Sequence[ServedModel]:
        """All models that are ready to answer, the newest last."""
        return tuple(self._models)

    def find(self, name: str, version: str) -> ServedModel | None:
        """Return a model, or None if it is not ready to answer.

        Args:
            name: the model's name.
            version: the model's version; "" for the newest.
        """
        named = [model for model in self._models if model.signature.model == name]
        fitting = [model for model in named if version in {"", model.version}]
        return fitting[-1] if fitting else None

    async def watch(self, repository: Repository) -> None:
        """Load the model of every new release, until cancelled.

        If a model cannot be loaded, the error is logged, and the models that are already loaded go
        on answering. Loading is tried again after pauses of up to a minute.

        Args:
            repository: the repository with the releases.
        """
        pause_s, logged = _WATCH_S, ""
        while True:
            await asyncio.sleep(pause_s)
            try:
                manifest = await asyncio.to_thread(repository.manifest)
                version = teacher_version(manifest)
                if version != self.newest.version:
                    self._use(version, await asyncio.to_thread(_load, repository, manifest))
            except (RepositoryError, ModelError) as err:
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                if str(err) != logged:
                    logged = str(err)
                    _LOG.warning("the teacher of the new release is not served: %s", err)
            else:
                pause_s, logged = _WATCH_S, ""

    def _use(self, version: str, model: CloudModel) -> None:
        """Serve a model as the newest one, and end the oldest one if there are too many."""
        known = [one for one in self._models if one.version == version]
        self._models = [one for one in self._models if one.version != version]
        self._models += known or [self._served(version, model)]
        _LOG.info("teacher %s, version %s, is served", model.signature.model, version)
        while len(self._models) > _MOST_MODELS:
            # Nobody finds it any more; what waits for it is still answered.
            leaving = asyncio.create_task(self._models.pop(0).batcher.drain())
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)

    def _served(self, version: str, model: CloudModel) -> ServedModel:
        row_bytes = 4 * math.prod(model.signature.shape)
        batcher = Batcher(
            model.run,
            threads=self._threads,
            most_rows=max(MAX_BATCH, min(MOST_ROWS, _MOST_WAITING_BYTES // row_bytes)),
        )
        return ServedModel(version=version, signature=model.signature, batcher=batcher)


def _load(repository: Repository, manifest: Manifest) -> CloudModel:
    return CloudModel(manifest.cloud.name, repository.read_model(manifest.cloud))
