"""Finished pieces of the learning benchmark, kept under a hash of all that they follow from.

A cell is one step for one seed: a teacher, a nest, a comparison. Its key is the hash of its name
and parameters, of the cells that it builds on, of the code that it runs (as syntax, so that a
comment changes nothing), and of the versions of what computes. A run that was stopped goes on where
it was. A cell's file is held against the digest beside it, and made again where it is damaged.
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
    """What a step is, before it is made.

    Attributes:
        name: what it makes, for a person.
        parameters: all that chooses its result, as JSON can say it.
        modules: Python modules and packages whose code it runs.
        parents: keys of the cells that it builds on.
    """

    name: str
    parameters: Mapping[str, Any]
    modules: Sequence[str]
    parents: Sequence[str] = ()

    @property
    def key(self) -> str:
        """Hash of everything above."""
        pieces = {
            "name": self.name,
            "parameters": self.parameters,
            "parents": list(self.parents),
            "code": [_digest(path) for module in self.modules for path in _files(module)],
            "versions": [torch.__version__, importlib.metadata.version("onnxruntime")],
            "half": bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()),  # noqa: SLF001
        }
        text = json.dumps(pieces, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]


class Cells:
    """The folder of finished cells."""

    def __init__(
        self, say: Callable[[str], None], folder: Path | None = None, *, share: float = 1.0
    ) -> None:
        """Keep cells in `folder`, by default in the user's cache.

        Args:
            say: mean_sd what is made, and how long it took.
            folder: where cells are.
            share: of the processor that the maker has; others that make cells beside it have the
                rest.
        """
        self._say, self._share = say, share
        self._folder = folder or cache_folder() / "learning"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._seconds: dict[str, float] = {}

    @property
    def seconds(self) -> float:
        """Of the whole processor, for all cells that were taken here, whenever they were made."""
        return sum(self._seconds.values())

    def take(self, cell: Cell, make: Callable[[], Content]) -> Content:
        """What a cell holds; made and kept first unless it is there.

        Besides what `make` returns it holds `seconds`: the time that making it took, times the
        maker's share of the processor.
        """
        path = self._folder / f"{cell.key}.pt"
        held = self._held(path)
        if held is not None:
            self._seconds[cell.key] = held["seconds"]
            return held
        self._say(f"{cell.name} {json.dumps(dict(cell.parameters))}")
        torch.set_num_threads(TRAINING_THREADS)
        started = time.monotonic()
        made = {**make(), "seconds": self._share * (time.monotonic() - started)}
        content = io.BytesIO()
        torch.save(made, content)
        write_sealed(path, content.getvalue())
        self._seconds[cell.key] = made["seconds"]
        self._say(f"  {made['seconds']:.0f} s")
        return made

    def _held(self, path: Path) -> Content | None:
        """What a cell's file holds; None if there is none, or it is damaged."""
        try:
            found: Content = torch.load(io.BytesIO(read_sealed(path)), weights_only=True)
        except FileNotFoundError:
            return None
        except SealError as err:
            self._say(f"{err}; it is made again")
            return None
        return found


@functools.cache
def _digest(path: Path) -> str:
    """As it was when it was first asked for: an edit during a run is not what the run computes."""
    return code_digest(path)


def code_digest(path: Path) -> str:
    """Hash of a Python file's syntax, without comments and docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_text(body[0]):
            body[0].value.value = ""
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_text(statement: ast.AST) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _files(module: str) -> list[Path]:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    origin = Path(spec.origin)
    return sorted(origin.parent.rglob("*.py")) if origin.name == "__init__.py" else [origin]
