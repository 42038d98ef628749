#!/usr/bin/env bash
# Installs what the browser tests import (playwright-core, exactly as tests/browser/package-lock.json says), once per
# change of the lock. The browser itself is Debian's chromium: nothing is downloaded but the package.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../tests/browser"
stamp=node_modules/.lock-installed
cmp -s package-lock.json $stamp && exit 0
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
cp package-lock.json $stamp
