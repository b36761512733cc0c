#!/usr/bin/env bash
# Runs all tests. Needs the .NET 10 SDK; installs Debian packages for the peers it finds a use for when it may (root), else those tests are
# skipped and say why. Ends with the totals on a line of their own.
#   TAILRACE_LONG=1         also the long runs (2 GB through 20 kills and the like; half an hour)
#   TAILRACE_SERVICES=DIR   real servers to test against; a folder with a script per server
set -uo pipefail
cd "$(dirname "$0")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
if [ -n "${TAILRACE_SERVICES:-}" ] && [ ! -x /usr/lib/wine/wine64 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing wine for the Windows tests ..."
  apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends wine64 wine >/dev/null || echo "wine could not be installed: the Windows tests are skipped"
fi
dotnet build Agent.sln -c Release --nologo -v quiet || { echo "0 passed, 1 failed"; exit 1; }
rm -rf artifacts/test-results
dotnet test Agent.sln -c Release --no-build --nologo --logger "trx" --logger "console;verbosity=normal" --results-directory artifacts/test-results "$@" 2>&1 | grep -v -e '^ *Passed ' -e '^ *$'
status=${PIPESTATUS[0]}
totals=$(cat artifacts/test-results/*.trx 2>/dev/null | grep -o '<Counters [^>]*>' | awk '
  { for (i = 1; i <= NF; i++) { split($i, kv, "="); gsub(/[^0-9]/, "", kv[2]); n[kv[1]] += kv[2] } }
  END { printf "%d passed, %d failed, %d skipped", n["passed"], n["failed"] + n["error"] + n["timeout"] + n["aborted"], n["total"] - n["executed"] }')
echo "${totals:-0 passed, 1 failed}"
case $totals in "0 passed"*|"") status=1 ;; esac
exit "$status"
