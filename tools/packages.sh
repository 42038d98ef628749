# shellcheck shell=bash disable=SC2086
# The Debian 12 packages behind each recipe, and their installation. Sourced by ./dev, which calls `need GROUP...`.

packages_of() {
  case $1 in
    build)
      echo g++ cmake ninja-build ccache pkg-config git ca-certificates \
        libssl-dev libtomlplusplus-dev libcli11-dev libspdlog-dev libfmt-dev nlohmann-json3-dev libsimdjson-dev zlib1g-dev libc-ares-dev liburing-dev
      ;;
    test)  # Beast has no smaller package than all of Boost's headers
      echo libgtest-dev libboost1.74-dev python3 python3-cryptography openssl valgrind haproxy nginx wrk iproute2 chromium
      # Node from another origin brings its own npm, and conflicts with Debian's: what counts are the commands.
      command -v node >/dev/null || echo nodejs
      command -v npm >/dev/null || echo npm
      ;;
    testssl) echo testssl.sh ;;
    lint) echo python3 clang-format ;;
    tidy) echo clang clang-tidy ;;
    fuzz) echo clang-16 libclang-rt-16-dev libgtest-dev libboost1.74-dev ;;
    bench)  # Beast: http_head_bench, and a peer; the plug-in: libwebsockets' own loop is poll(), whose cost grows
      echo libbenchmark-dev valgrind libboost1.74-dev libwebsockets-dev libwebsockets-evlib-uv python3 haproxy nginx \
        libnginx-mod-stream caddy wrk
      command -v node >/dev/null || echo nodejs
      command -v npm >/dev/null || echo npm
      ;;
    *) echo "no package group '$1'" >&2; return 1 ;;
  esac
}

# Which packages of these groups are missing, one a line. Where there is no dpkg, none: the build will tell.
missing_packages() {
  command -v dpkg-query >/dev/null || return 0
  local group wanted
  wanted=$(for group in "$@"; do packages_of "$group"; done | tr ' ' '\n' | sed '/^$/d' | sort -u)
  comm -23 <(echo "$wanted") \
    <(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $wanted 2>/dev/null | sed -n 's/ installed$//p' | sort -u)
}

# Installs what is missing of these groups; fails, saying what to type, when that needs root and we are not.
need() {
  local missing
  missing=$(missing_packages "$@" | tr '\n' ' ')
  [[ -n $missing ]] || return 0
  local command="apt-get install --no-install-recommends $missing"
  if ((EUID != 0)); then
    {
      echo "./dev: these Debian packages are missing, and installing them needs root: $missing"
      echo "./dev: run this, then try again:  sudo apt-get update && sudo $command"
    } >&2
    return 1
  fi
  command -v apt-get >/dev/null || { echo "./dev: no apt-get here; install by hand: $missing" >&2; return 1; }
  echo "./dev: installing $missing" >&2
  (
    export DEBIAN_FRONTEND=noninteractive
    options=(-q -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120
      -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold)
    without_services
    apt-get "${options[@]}" update </dev/null >&2 &&
      apt-get "${options[@]}" install --no-install-recommends $missing </dev/null >&2 &&
      forget_services "$missing"
  ) || { echo "./dev: installing failed: $command" >&2; return 1; }
}

# haproxy, nginx and caddy bring a service that would start at once, on ports that may be somebody's. For the life of this
# shell no service starts; a policy that the machine already has is left as it is.
without_services() {
  local policy=/usr/sbin/policy-rc.d
  [[ ! -e $policy ]] || return 0
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  printf '#!/bin/sh\n# made by ./dev while it installs packages\nexit 101\n' >$policy
  chmod 755 $policy
}

# ... nor at the next boot, when it was us who brought it.
forget_services() {
  local service
  command -v systemctl >/dev/null || return 0
  for service in haproxy nginx caddy; do
    [[ " $1 " != *" $service "* ]] || systemctl --quiet disable $service 2>/dev/null || true
  done
}
