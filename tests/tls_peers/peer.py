"""A TLS peer by Python's ssl module, for tls_peers_test.cc.

peer.py serve CHAIN KEY LEAST MOST [ALPN,...]   listens on a port of the kernel's choice, prints it, and serves one connection after
                                                the other: each line comes back in capitals; `end` is answered by close_notify,
                                                `drop` by a FIN without one, `big N` by N bytes
peer.py dial PORT CA NAME LEAST MOST            says `hello`, expects it back, prints what was agreed, ends in an orderly way
"""

import socket
import ssl
import sys

VERSIONS = {"1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
DEADLINE_S = 30


def limit(context, least, most):
    if least == "1.1":
        context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = VERSIONS[least], VERSIONS[most]


def answer(peer):
    with peer.makefile("rb") as lines:
        for line in lines:
            word, _, rest = line.strip().partition(b" ")
            if word == b"end":
                peer.unwrap()
                return
            if word == b"drop":
                return
            peer.sendall(b"z" * int(rest) if word == b"big" else line.upper())


def serve(chain, key, least, most, alpn=""):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    limit(context, least, most)
    if alpn:
        context.set_alpn_protocols(alpn.split(","))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            accepted, _ = listener.accept()
            accepted.settimeout(DEADLINE_S)
            try:
                with context.wrap_socket(accepted, server_side=True, suppress_ragged_eofs=False) as peer:
                    answer(peer)
            except (ssl.SSLError, OSError) as error:
                print("error:", error, flush=True)


def dial(port, ca, name, least, most):
    context = ssl.create_default_context(cafile=ca)
    limit(context, least, most)
    with socket.create_connection(("127.0.0.1", int(port)), timeout=DEADLINE_S) as plain:
        with context.wrap_socket(plain, server_hostname=name, suppress_ragged_eofs=False) as peer:
            peer.sendall(b"hello")
            heard = b""
            while len(heard) < 5:
                heard += peer.recv(5)
            print(peer.version(), heard.decode(), flush=True)
            peer.unwrap()  # raises unless the answer is close_notify
            print("ended", flush=True)


if __name__ == "__main__":
    {"serve": serve, "dial": dial}[sys.argv[1]](*sys.argv[2:])
