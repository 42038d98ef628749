"""socket/tls/revocation: certificates that their authority took back, of clients and of servers, as its lists (CRLs) say it."""

import signal
import socket
import ssl
import unittest

from certificates import Authority
from programs import Connection, ask, poll, run, servers
from tls_test import TlsConnection, TlsTest

REREAD = "certificates were read again, for 1 listener"


class Clients(TlsTest):
    def setUp(self):
        super().setUp()
        self.guild = Authority(self.folder, "guild")
        self.ann, self.bob = (self.guild.issue(name, [], common_name=name, client=True) for name in ("ann", "bob"))
        self.crl = self.guild.revoke("guild-crl")
        self.asks = {"client_certificate": "required", "client_ca": str(self.guild.pem), "client_crl": str(self.crl)}

    def session(self, context, session=None):
        """Its status, and the TLS session that it may go on with."""
        with TlsConnection(self.program.address(), context, session=session) as client:
            return client.ask().status, client.socket.session, client.socket.session_reused

    def refused(self, context, session=None):
        with self.assertRaises((ssl.SSLError, ConnectionError, AssertionError)):
            self.session(context, session)

    def reread(self):
        before = len(self.program.said(REREAD))
        self.program.signal(signal.SIGHUP)
        poll(lambda: len(self.program.said(REREAD)) > before, "the lists were read again")

    def test_a_certificate_that_is_revoked_is_refused_from_the_next_reload_on(self):
        self.program = self.secure_balancer(tls=self.asks)
        ann, bob = self.client(identity=self.ann), self.client(identity=self.bob)
        status, ticket, _ = self.session(ann)
        self.assertEqual(status, 200)
        self.assertEqual(self.session(ann, ticket)[::2], (200, True), "a session goes on under the same list")
        _, ticket, _ = self.session(ann)
        with TlsConnection(self.program.address(), ann) as open_since_before:
            self.assertEqual(open_since_before.ask().status, 200)
            self.guild.revoke("guild-crl", self.ann)
            self.reread()
            self.refused(ann)
            self.refused(ann, ticket)
            self.assertEqual(self.session(bob)[0], 200)
            self.assertEqual(open_since_before.ask().status, 200, "who is there stays")
        self.program.wait_for(r"its certificate is refused: certificate revoked \(CN=ann\)")

    def test_nobody_comes_in_under_a_list_that_was_not_renewed(self):
        self.guild.revoke("guild-crl", days=-1)
        self.program = self.secure_balancer(tls=self.asks)
        warning = "the list of CN=guild was to be renewed by 20.*: whoever is signed by it is refused"
        self.program.wait_for(warning)
        bob = self.client(identity=self.bob)
        self.refused(bob)
        self.program.wait_for("its certificate is refused: CRL has expired")
        checked = run(["check", "-c", self.program.process.args[-1]])
        self.assertEqual(checked.returncode, 0)
        self.assertRegex(checked.stderr, warning)
        self.guild.revoke("guild-crl")
        self.reread()
        self.assertEqual(self.session(bob)[0], 200)

    def test_a_list_that_cannot_be_read_changes_nothing(self):
        self.program = self.secure_balancer(tls=self.asks)
        bob = self.client(identity=self.bob)
        for spoil, why in (
            (lambda: self.crl.write_text("nonsense"), "listener play: CRLs: there is no CRL in it"),
            (self.crl.unlink, r"client_crl: .*guild-crl\.pem cannot be read: No such file"),
        ):
            spoil()
            self.program.signal(signal.SIGHUP)
            self.program.wait_for(why)
            self.assertEqual(self.session(bob)[0], 200)


class Servers(TlsTest):
    def test_a_server_whose_certificate_is_revoked_is_not_spoken_to(self):
        identity = self.authority.issue("server", ["127.0.0.1"])
        server = self.secure_server(identity)
        tls = {"ca": str(self.authority.pem), "crl": str(self.authority.revoke("servers-crl"))}
        balancer = self.http_balancer(servers(server.address), pool={"tls": tls})
        with Connection(balancer.address()) as client:
            self.assertEqual(client.ask().status, 200)
        self.authority.revoke("servers-crl", identity)
        balancer.signal(signal.SIGHUP)
        balancer.wait_for("certificates were read again")
        for peer in server.peers:  # one that was open since before would be used again
            peer.socket.shutdown(socket.SHUT_RDWR)
        poll(lambda: ask(balancer.address()).status == 503, "none is opened any more")
        balancer.wait_for("server pool/a cannot be spoken to: .*certificate revoked")


if __name__ == "__main__":
    unittest.main(verbosity=2)
