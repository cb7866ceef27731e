"""Cache of the learning benchmark's finished steps.

A cell is one step for one seed: a teacher, a nest, a comparison. Its key is a hash of its name and
parameters, the cells that it builds on, the code that it runs (its syntax tree, so that comments
do not count) and the versions of torch and onnxruntime. A stopped benchmark therefore continues
where it was. A cell's file is checked against the digest beside it; a damaged cell is made again.
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

from nestling_cloud.bundles.cache import cache_folder
from nestling_cloud.recipes.recipe import TRAINING_THREADS
from nestling_cloud.sealed_file import SealError, read_sealed, write_sealed

Content = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Description of a step, from which its key follows.

    Attributes:
        name: name of the step, for the log.
        parameters: everything that determines its result, as JSON.
        modules: Python modules and packages whose code it runs.
        parents: keys of the cells that it builds on.
    """

    name: str
    parameters: Mapping[str, Any]
    modules: Sequence[str]
    parents: Sequence[str] = ()

    @property
    def key(self) -> str:
        """Hash of the description, the code and the library versions."""
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
    """Folder of finished cells."""

    def __init__(
        self, log: Callable[[str], None], folder: Path | None = None, *, share: float = 1.0
    ) -> None:
        """Open the folder, and create it if needed.

        Args:
            log: receives a line when a cell is made, and another with the time that it took.
            folder: where cells are stored (default: in the user's cache).
            share: share of the processor that this process has while others make cells beside it.
        """
        self._log, self._share = log, share
        self._folder = folder or cache_folder() / "learning"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._seconds: dict[str, float] = {}

    @property
    def seconds(self) -> float:
        """Time of the whole processor that the cells used here took, whenever they were made."""
        return sum(self._seconds.values())

    def load_or_make(self, cell: Cell, make: Callable[[], Content]) -> Content:
        """Return the content of a cell, and make and store it first if it is missing.

        Args:
            cell: the step.
            make: runs the step.

        Returns:
            What `make` returned, and `seconds`: the time that it took, times the share of the
            processor.
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
        """Return the content of a cell's file; None if it is missing or damaged."""
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
    """Cache the digest: a file that is edited during a run is not the code that runs."""
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
