#!/usr/bin/env bash
# Runs the main job on the sample log beside this file: follow it, hold it in a durable channel, publish it. Needs the .NET 10 SDK.
# Usage: config-samples/try.sh [LOG]     any log file of yours instead of the sample
set -euo pipefail
cd "$(dirname "$0")/.."
export IN=${1:-$PWD/config-samples/logs/access.log}
echo "Building the agent ..."
dotnet publish src/Tailrace.Agent -c Release -o artifacts/tailrace -v quiet --nologo
work=$PWD/artifacts/try
export OUT=$work/out DATA=$work/data
rm -rf "$work"
echo "Running: tailrace run config-samples/files-to-files.yaml --once"
artifacts/tailrace/tailrace run config-samples/files-to-files.yaml --once
echo
echo "Published below $OUT:"
find "$OUT" -type f | sort | while read -r file; do printf '  %8s lines  %s\n' "$(wc -l < "$file")" "${file#"$OUT"/}"; done
if find "$OUT" -type f | sort | xargs cat | cmp - "$IN"; then echo "Byte for byte equal to $IN."; fi
echo "Once more: nothing is delivered twice."
artifacts/tailrace/tailrace run config-samples/files-to-files.yaml --once
echo "Files published: $(find "$OUT" -type f | wc -l), as before."
