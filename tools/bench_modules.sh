#!/usr/bin/env bash
# Installs what the benchmarks' peers import (Socket.IO, exactly as bench/peers/package-lock.json says), once per change
# of the lock.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../bench/peers"
stamp=node_modules/.lock-installed
cmp -s package-lock.json $stamp && exit 0
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
cp package-lock.json $stamp
