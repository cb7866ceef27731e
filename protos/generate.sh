#!/usr/bin/env bash
# Generates the Python code beside every .proto; with --check, fails if the committed code differs.
set -euo pipefail
cd "$(dirname "$0")"

out=.
if [ "${1:-}" = --check ]; then
  out=$(mktemp -d)
  trap 'rm -rf "$out"' EXIT
fi

mapfile -t all < <(find nestling -name '*.proto' | sort)
mapfile -t services < <(grep -l '^service ' "${all[@]}")
python -m grpc_tools.protoc -I . --python_out="$out" --mypy_out="quiet:$out" "${all[@]}"
python -m grpc_tools.protoc -I . --grpc_python_out="$out" --mypy_grpc_out="quiet:$out" "${services[@]}"

if [ "$out" != . ]; then
  status=0
  while read -r made; do
    cmp "$out/$made" "$made" || status=1
  done < <(cd "$out" && find . -type f | sort)
  [ $status = 0 ] || { echo "the generated code does not match the protos: run 'make protos'" >&2; exit 1; }
fi
