"""Caches the results of the steps of the learning benchmark.

A cell is the cached result of one step for one seed, such as a teacher, a nest or a comparison. A
benchmark that was stopped therefore continues where it left off. A cell's file is checked against
the digest stored with it, and a damaged cell is made again.

The key of a cell is a hash of the step's name and parameters, the keys of the cells that the step
builds on, the step's code, the versions of torch and onnxruntime, and whether the processor
supports bfloat16. The code is hashed as a syntax tree, so that comments do not count.
"""

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nestling_cloud.cache_folder import cache_folder
from nestling_cloud.recipes.recipe import TRAINING_THREADS
from nestling_cloud.sealed_file import SealError, read_sealed, write_sealed

Content = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The description of a step, which determines the key of the cached result.

    Attributes:
        name: the name of the step, which is also written to the log.
        parameters: everything that determines the result of the step, in a form that JSON can
            represent.
        modules: the names of the Python modules and packages whose code the step runs.
        parents: the keys of the cells that the step builds on.
    """

    name: str
    parameters: Mapping[str, Any]
    modules: Sequence[str]
    parents: Sequence[str] = ()

    @property
    def key(self) -> str:
        """The hash of the description, the code, the library versions and the bfloat16 support."""
        inputs = {
            "name": self.name,
            "parameters": self.parameters,
            "parents": list(self.parents),
            "code": [_digest(path) for module in self.modules for path in _files(module)],
            "versions": [torch.__version__, importlib.metadata.version("onnxruntime")],
            "half": bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()),  # noqa: SLF001
        }
        text = json.dumps(inputs, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]


class Cells:
    """The folder of cells, which are the cached results of steps."""

    def __init__(
        self, log: Callable[[str], None], folder: Path | None = None, *, share: float = 1.0
    ) -> None:
        """Open the folder, and create it if needed.

        Args:
            log: a function that receives a line before a cell is made, and another with the
                duration afterwards.
            folder: the folder of the cells, or None for one in the user's cache.
            share: the share of the processor that this process has while other processes make
                cells.
        """
        self._log, self._share = log, share
        self._folder = folder or cache_folder() / "learning"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._seconds: dict[str, float] = {}

    @property
    def seconds(self) -> float:
        """The total time in seconds for making the cells that this run has used.

        For a cell from the cache, this is the time that it took when it was made. The time of a
        cell that was made on a share of the processor is multiplied by that share.
        """
        return sum(self._seconds.values())

    def load_or_make(self, cell: Cell, make: Callable[[], Content]) -> Content:
        """Return the content of a cell, which is made and stored first if it is missing.

        Before a cell is made, torch's number of threads is set to the number for training.

        Args:
            cell: the description of the step.
            make: a function that runs the step and returns its result.

        Returns:
            The result of `make`, with the additional entry `seconds`: the duration of the step,
            multiplied by the share of the processor.
        """
        path = self._folder / f"{cell.key}.pt"
        content = self._load(path)
        if content is None:
            self._log(f"{cell.name} {json.dumps(dict(cell.parameters))}")
            torch.set_num_threads(TRAINING_THREADS)
            started = time.monotonic()
            content = {**make(), "seconds": self._share * (time.monotonic() - started)}
            buffer = io.BytesIO()
            torch.save(content, buffer)
            write_sealed(path, buffer.getvalue())
            self._log(f"  {content['seconds']:.0f} s")
        self._seconds[cell.key] = content["seconds"]
        return content

    def _load(self, path: Path) -> Content | None:
        """Return the content of a cell's file, or None if the file is missing or damaged."""
        try:
            content: Content = torch.load(io.BytesIO(read_sealed(path)), weights_only=True)
        except FileNotFoundError:
            return None
        except SealError as err:
            self._log(f"{err}; it is made again")
            return None
        return content


@functools.cache
def _digest(path: Path) -> str:
    """Return the digest of a file's code, as it was when the file was first read.

    The digest is cached because the run does not use code that is edited after its start.
    """
    return code_digest(path)


def code_digest(path: Path) -> str:
    """Return a hash of a Python file's syntax tree, without comments and docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        match getattr(node, "body", None):
            case [ast.Expr(value=ast.Constant(value=str()) as docstring), *_]:
                docstring.value = ""
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _files(module: str) -> list[Path]:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    origin = Path(spec.origin)
    return sorted(origin.parent.rglob("*.py")) if origin.name == "__init__.py" else [origin]
