"""Hosts that are network namespaces with cables (veth) between them, made without root and gone with the test's process.

    client (wlan0 10.1.0.2, wwan0 10.2.0.2) -- lb (10.1.0.1, 10.2.0.1; serves at 192.0.2.1) -- g1 (10.9.1.2), g2 (10.9.2.2)

A test file calls enter() first: it starts itself again in namespaces of its own (user, network, mounts; /run is an empty
tmpfs, where `ip netns` keeps its names), so that nothing of the machine is touched and nothing is left behind.
"""

import os
import shutil
import subprocess
import sys

INSIDE = "REJOIN_INSIDE_NAMESPACES"
SERVICE = "192.0.2.1"  # of the balancer, on its loopback interface
WIFI, MOBILE = "10.1.0.2", "10.2.0.2"  # of the client
GATEWAYS = {"g1": "10.9.1.2", "g2": "10.9.2.2"}
HOSTS = ("client", "lb", *GATEWAYS)
UNSHARE = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--propagation", "private"]


def enter():
    """Goes on inside new namespaces, or ends the process with a message that says what the machine lacks."""
    if os.environ.get(INSIDE):
        return
    for program, package in (("unshare", "util-linux"), ("ip", "iproute2"), ("mount", "mount")):
        if shutil.which(program) is None:
            sys.exit(f"this test needs the program {program}: apt-get install {package}")
    trial = "mount -t tmpfs tmpfs /run && mkdir /run/netns && ip netns add trial"
    trial += " && ip link add name here type veth peer name there netns trial"
    tried = subprocess.run([*UNSHARE, "sh", "-c", trial], capture_output=True, text=True)
    if tried.returncode != 0:
        sys.exit(
            "this test makes network namespaces, as any user may on Debian 12, and could not here:\n"
            f"  {' '.join(UNSHARE)} sh -c '{trial}'\n  {tried.stderr.strip()}\n"
            "Look at sysctl kernel.unprivileged_userns_clone and user.max_user_namespaces, at the kernel's modules (veth), and "
            "at seccomp rules of a container (docker: --security-opt seccomp=unconfined, or --privileged)."
        )
    script = 'mount -t tmpfs tmpfs /run && mkdir /run/netns && exec "$@"'
    os.environ[INSIDE] = "yes"
    os.execvp(UNSHARE[0], [*UNSHARE, "sh", "-c", script, "sh", sys.executable, *sys.argv])


def ip(*words, host=None):
    """Runs ip(8), in a host's namespace if one is named."""
    command = ["ip", *(["-n", host] if host else []), *" ".join(words).split()]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def on(host):
    """What stands before a command that shall run on this host."""
    return ("ip", "netns", "exec", host)


def set_up():
    for host in HOSTS:
        ip("netns add", host)
        ip("link set lo up", host=host)
        # A host with two ways out answers on the one that the packet did not come by.
        for name in ("all", "default"):
            path = f"/proc/sys/net/ipv4/conf/{name}/rp_filter"
            subprocess.run([*on(host), "sh", "-c", f"echo 0 > {path}"], check=True)
    cable("client", "wlan0", f"{WIFI}/24", "lb", "wl", "10.1.0.1/24")
    cable("client", "wwan0", f"{MOBILE}/24", "lb", "ww", "10.2.0.1/24")
    for number, (host, address) in enumerate(GATEWAYS.items(), 1):
        cable(host, "eth0", f"{address}/24", "lb", f"lb{host}", f"10.9.{number}.1/24")
        ip(f"route add default via 10.9.{number}.1", host=host)
    ip(f"addr add {SERVICE}/32 dev lo", host="lb")
    ip(f"route add default via 10.2.0.1 dev wwan0 src {MOBILE} metric 600", host="client")
    routes_of_wifi()
    for table, address, gateway, device in ((101, WIFI, "10.1.0.1", "wlan0"), (102, MOBILE, "10.2.0.1", "wwan0")):
        # A socket of an address leaves by that address's interface or not at all, as on a phone.
        ip(f"rule add from {address} lookup {table} pref {table}", host="client")
        ip(f"route replace default via {gateway} dev {device} table {table}", host="client")
        ip(f"route add unreachable default metric 9999 table {table}", host="client")


def cable(host, device, address, other, other_device, other_address):
    ip(f"link add name {device} netns {host} type veth peer name {other_device} netns {other}")
    for at, name, own in ((host, device, address), (other, other_device, other_address)):
        ip(f"addr add {own} dev {name}", host=at)
        ip(f"link set {name} up", host=at)


def routes_of_wifi():
    ip(f"route replace default via 10.1.0.1 dev wlan0 src {WIFI} metric 100", host="client")


def wifi_off():
    """Its interface goes down: the kernel takes the routes away, and the next dial leaves by the other one."""
    ip("link set wlan0 down", host="client")


def wifi_on():
    ip("link set wlan0 up", host="client")
    routes_of_wifi()
    ip("route replace default via 10.1.0.1 dev wlan0 table 101", host="client")


def prefer_mobile():
    """Make before break: Wi-Fi still works, and new dials leave by the other one."""
    ip(f"route replace default via 10.2.0.1 dev wwan0 src {MOBILE} metric 50", host="client")


def prefer_wifi():
    ip("route del default via 10.2.0.1 dev wwan0 metric 50", host="client")
