"""The machine under the benchmarks: processes on their cores, the clocks and the memory of processes, what the cores did, and
what all of it was (versions, kernel, compiler, commit)."""
import contextlib
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import socket
import subprocess
import time

HERE = pathlib.Path(__file__).parent


class Failure(Exception):
    """The run is void: something answered wrongly or did not start."""


# ---- processes -------------------------------------------------------------------------------------------------------


def spawn(cores, command, log, **options):
    """Starts a process that is pinned from its first instruction, as its children will be."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        with open(log, "ab") as errors:
            return subprocess.Popen([str(part) for part in command], stderr=errors, **options)
    finally:
        os.sched_setaffinity(0, before)


def end(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def children_of(parent):
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def free_port(host="127.0.0.1"):
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


# ---- clocks and memory -----------------------------------------------------------------------------------------------


def cpu_ns(pids):
    """The processes' CPU clocks (the encoding of clock_getcpuclockid: exact, and ended threads count too)."""
    return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in pids)


def core_busy_s(core):
    """How long the core was not idle since the machine started, in ticks of 10 ms."""
    for line in pathlib.Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            user, nice, system, _idle, _wait, irq, softirq, *_ = (int(field) for field in line.split()[1:])
            return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
    return 0.0


def memory_bytes(pids):
    """Anonymous memory: heap and stacks. Pages of files are shared, and the kernel's buffers are the same for everybody."""
    total = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Anonymous:"):
                total += int(line.split()[1]) * 1024
    return total


class Cores:
    """The subject's core and the load's. On a machine with one core both are the same, and even ratios are rough."""

    def __init__(self):
        cores = sorted(os.sched_getaffinity(0))
        self.load, self.subject = cores[0], cores[min(1, len(cores) - 1)]
        os.sched_setaffinity(0, {self.load})


# ---- what it was -----------------------------------------------------------------------------------------------------


def first_line(*command):
    try:
        said = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return said.stdout.partition("\n")[0].strip() or None


def match(pattern, path):
    with contextlib.suppress(OSError):
        found = re.search(pattern, pathlib.Path(path).read_text(errors="replace"))
        return found[1] if found else None
    return None


def npm_version(package):
    with contextlib.suppress(OSError, ValueError, KeyError):
        return json.loads((HERE / "peers" / "node_modules" / package / "package.json").read_text())["version"]
    return None


def versions(rejoin):
    boost = match(r'#define BOOST_LIB_VERSION "([^"]+)"', "/usr/include/boost/version.hpp")
    node = first_line("node", "--version")
    found = {
        "rejoin": first_line(rejoin, "--version") if rejoin else None,
        "haproxy": first_line("haproxy", "-v"),
        "nginx": first_line("nginx", "-v"),
        "caddy": first_line("caddy", "version"),
        "wrk": (first_line("wrk", "-v") or "").partition(" Copyright")[0],
        "libwebsockets": first_line("pkg-config", "--modversion", "libwebsockets"),
        "boost.beast": boost and "Boost " + boost.replace("_", "."),
        "node": node,
        "ws": npm_version("ws"),
        "socket.io": npm_version("socket.io"),
        "openssl": first_line("openssl", "version"),
    }
    return {name: text for name, text in found.items() if text}


def build_of(tools):
    cache = pathlib.Path(tools).resolve().parent / "CMakeCache.txt"
    flags = match(r"CMAKE_CXX_FLAGS:\w+=(.*)", cache)
    compiler = match(r"CMAKE_CXX_COMPILER:\w+=(.*)", cache)
    lto = match(r"CMAKE_INTERPROCEDURAL_OPTIMIZATION:\w+=(.*)", cache)
    return {"compiler": first_line(compiler, "--version") if compiler else None, "flags": flags, "lto": lto}


def commit_of(folder):
    commit = first_line("git", "-C", folder, "rev-parse", "--short=12", "HEAD")
    changed = first_line("git", "-C", folder, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}{' with changes' if changed else ''}"


def environment(arguments):
    cpu = match(r"model name\s*:\s*(.*)", "/proc/cpuinfo")
    build = (arguments.rejoin or arguments.tools).resolve().parent
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit_of(build) if shutil.which("git") else None,
        "kernel": platform.release(),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "distribution": match(r'PRETTY_NAME="([^"]+)"', "/etc/os-release"),
        "load_before": os.getloadavg()[0],
        "build": build_of(arguments.tools),
        "versions": versions(arguments.rejoin),
    }
