"""socket/tls/resumption: sessions of TLS that clients bring back, and the keys of their tickets."""

import re
import ssl
import subprocess
import unittest

from programs import DEADLINE_S, poll, request
from tls_test import TlsConnection, TlsTest


class Resumption(TlsTest):
    def session(self, balancer, version, session=None):
        """Comes with a session, or none: (was it resumed, the next one)."""
        context = self.context if version is None else self.contexts[version]
        with TlsConnection(balancer.address(), context, session=session) as client:
            self.assertEqual(client.ask().status, 200)
            return client.socket.session_reused, client.socket.session

    def test_sessions_are_resumed_by_every_worker_and_by_colleagues_with_the_same_keys(self):
        (self.folder / "seal.key").write_text("ab" * 32)
        (self.folder / "seal.key").chmod(0o600)
        same = '[keys]\nseal = ["file:seal.key"]\n[balancer]\nworkers = 2\n'
        first, second = self.secure_balancer(head=same), self.secure_balancer(head=same)
        stranger = self.secure_balancer()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            self.contexts = {version: self.client(least=version, most=version)}
            reused, session = self.session(first, version)
            self.assertFalse(reused)
            for _ in range(8):  # whichever worker it is
                reused, session = self.session(first, version, session)
                self.assertTrue(reused, version)
            fleet = version == ssl.TLSVersion.TLSv1_3  # 1.2: see io/tls_ticket_keys.h
            self.assertEqual(self.session(second, version, session)[0], fleet, version)
            self.assertFalse(self.session(stranger, version, session)[0])

    def test_the_keys_of_tickets_change_by_themselves(self):
        """A ticket begins with the name of its key (RFC 5077 4)."""
        balancer = self.secure_balancer(head='[tls]\nsession_lifetime = "2s"\n')
        for version in ("-tls1_2", "-tls1_3"):
            with self.subTest(version):
                kept = self.folder / f"kept{version}"
                first = self.key_of_ticket(self.visit(balancer, version, "-sess_out", kept))
                poll(lambda: self.key_of_ticket(self.visit(balancer, version)) != first, "another key seals")
                poll(lambda: b"\nNew, " in self.visit(balancer, version, "-sess_in", kept), "what the first sealed opens no more")

    @staticmethod
    def visit(balancer, *options):
        """What s_client says of one connection, on which it asks for something and hears the answer."""
        command = ["openssl", "s_client", "-connect", "{}:{}".format(*balancer.address()), "-servername", "play.example", "-ign_eof"]
        done = subprocess.run([*command, *map(str, options)], input=request(fields=[("Connection", "close")]),
                              capture_output=True, timeout=DEADLINE_S)  # fmt: skip
        return done.stdout

    def key_of_ticket(self, said):
        found = re.search(rb"TLS session ticket:\n +0000 - ((?:[0-9a-f]{2}[ -]){16})", said)
        self.assertTrue(found, said)
        return found[1]

    def test_none_where_none_is_wanted(self):
        balancer = self.secure_balancer(head='[tls]\nsession_lifetime = "0s"\n')
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            self.contexts = {version: self.client(least=version, most=version)}
            _, session = self.session(balancer, version)
            self.assertFalse(self.session(balancer, version, session)[0])

    def test_no_early_data(self):
        balancer = self.secure_balancer()
        host, port = balancer.address()
        kept, early = self.folder / "session", self.folder / "early"
        early.write_bytes(request(target="/early"))
        base = ["openssl", "s_client", "-connect", f"{host}:{port}", "-servername", "play.example"]
        subprocess.run([*base, "-sess_out", str(kept), "-ign_eof"], capture_output=True, timeout=DEADLINE_S,
                       input=request(fields=[("Connection", "close")]))  # fmt: skip
        self.assertTrue(kept.exists())
        done = subprocess.run([*base, "-sess_in", str(kept), "-early_data", str(early)], capture_output=True,
                              timeout=DEADLINE_S, input=b"")  # fmt: skip
        self.assertIn(b"Reused, TLSv1.3", done.stdout)
        self.assertNotIn(b"Early data was accepted", done.stdout)


if __name__ == "__main__":
    unittest.main()
