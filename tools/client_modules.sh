#!/usr/bin/env bash
# Installs what builds and tests the browser client (esbuild, terser, typescript, exactly as clients/js/package-lock.json says),
# once per change of the lock. The package itself needs none of it: clients/js/dist is checked in.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../clients/js"
stamp=node_modules/.lock-installed
cmp -s package-lock.json $stamp && exit 0
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
cp package-lock.json $stamp
