"""`nestling-cloud bundle`."""

import argparse
import json
from pathlib import Path

from rich.console import Console

from nestling_cloud.bundles.export import export_bundle
from nestling_cloud.bundles.overview import overview, overview_table
from nestling_cloud.bundles.repository import Repository


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `bundle` and what can be done with one."""
    parser = subparsers.add_parser("bundle", help="look at the released bundle, or take it out")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_show(commands)
    _add_export(commands)


def _add_show(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "show",
        help="tell task, version, capacities and sizes",
        epilog="example:\n  nestling-cloud bundle show --repository repository --json\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--repository", type=Path, required=True, metavar="DIR", help="folder of the releases")
    add("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=_show)


def _add_export(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "export",
        help="write every capacity, the routers and the teacher as ONNX files",
        description="Write capacity-k.onnx with its capacity-k.weights for every capacity, "
        "multiplexer.onnx, accept_head.onnx, the teacher, and manifest.json. Any ONNX runtime "
        "loads them.",
        epilog="example:\n  nestling-cloud bundle export --repository repository --out models\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--repository", type=Path, required=True, metavar="DIR", help="folder of the releases")
    add("--out", type=Path, required=True, metavar="DIR", help="where to; new or empty")
    add("--force", action="store_true", help="replace files that are there")
    parser.set_defaults(run=_export)


def _show(options: argparse.Namespace) -> None:
    told = overview(Repository(options.repository))
    if options.json:
        print(json.dumps(told))
    else:
        Console().print(overview_table(told), highlight=False)


def _export(options: argparse.Namespace) -> None:
    for path in export_bundle(Repository(options.repository), options.out, force=options.force):
        print(path)
