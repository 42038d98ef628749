// The keys of TLS: what is read, what cannot go together, and what of the files is said.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "apps/config/bad_files.h"
#include "apps/config/tls_files.h"
#include "io/tls_test_certificates.h"

namespace rejoin::config {
namespace {

const std::string kPool = R"([[pool]]
name = "p"
server = [ { name = "a", address = "127.0.0.1:8000" } ]
)";

std::string listener(const std::string& tls, const std::string& more = "") {
  return "[[listener]]\nlisten = \"127.0.0.1:0\"\ntls = " + tls + "\n" + more + kPool;
}
std::string pool(const std::string& lines) {
  return "[[listener]]\nlisten = \"127.0.0.1:0\"\n" + kPool + lines + "\n";
}

TEST(BadFile, tls) {
  say_exactly({
      {whole(listener("{ certificate = \"a.pem\" }")),
       R"(f:3:23: listener.tls.certificate: stands alone; write its key beside it: key = "play.key")"},
      {whole(listener("{ key = \"a.key\" }")),
       R"(f:3:15: listener.tls.key: stands alone; write what it belongs to: certificate = "play.pem")"},
      {whole(listener("{ strict_sni = true }")),
       R"(f:3:7: listener.tls: has no certificate; write certificate = "play.pem", key = "play.key")"},
      {whole(listener("{ certificate = \"a.pem\", key = \"a.key\", client_certificate = \"required\" }")),
       R"(f:3:68: listener.tls.client_certificate: nothing says who may have signed clients' certificates; write client_ca = "guild-ca.pem")"},
      {whole(listener("{ certificate = \"\", key = \"a.key\" }")),
       R"(f:3:23: listener.tls.certificate: "" cannot stand here; write a path, such as "web" or "/etc/rejoin/web")"},
      {whole(listener("{ certificate = \"a.pem\", key = \"a.key\", min_version = \"1.1\" }")),
       R"(f:3:61: listener.tls.min_version: "1.1" is not a min_version; did you mean "1.2"?)"},
      {whole(listener("{ crt = \"a.pem\", key = \"a.key\" }")),
       "f:3:9: listener.tls.crt: unknown key; did you mean \"certificate\"?\n"
       "f:3:30: listener.tls.key: stands alone; write what it belongs to: certificate = \"play.pem\""},
      {whole(pool("tls = { certificate = \"a.pem\" }")),
       R"(f:6:23: pool.tls.certificate: stands alone; write its key beside it: key = "play.key")"},
      {whole("[tls]\nsession_lifetime = \"999ms\"\n" + pool("")),
       R"(f:2:20: tls.session_lifetime: is less than a second; write "1s" or more, or "0s" if no session is to be resumed)"},
      {whole(pool("tls = { name = \"a b\" }")),
       R"(f:6:16: pool.tls.name: "a b" cannot stand here; write a host name such as "g1.internal", or an IP address)"},
  });
}

std::string warnings(const std::string& text) {
  const Reading reading = read_config(text, "f");
  EXPECT_TRUE(reading.ok()) << to_text(reading.diagnostics);
  return to_text(reading.diagnostics);
}

TEST(TlsKeys, what_is_doubtful_is_said) {
  const std::string files = R"(certificate = "a.pem", key = "a.key")";
  EXPECT_EQ(warnings(listener("{ " + files + " }")), "");
  EXPECT_NE(warnings(listener("{ " + files + R"(, client_ca = "ca.pem" })")).find("client_ca: means nothing"),
            std::string::npos);
  const std::string cookie = R"(affinity = [ { kind = "cookie-insert" } ])";
  EXPECT_NE(warnings(listener("{ " + files + " }") + cookie + "\n").find("write secure = true"),
            std::string::npos);
  EXPECT_EQ(warnings(pool(cookie)), "") << "a plain listener has plain cookies";
  EXPECT_NE(
      warnings(listener("{ " + files + R"(, client_crl = "crl.pem" })")).find("client_crl: means nothing"),
      std::string::npos);
  EXPECT_NE(warnings(pool(R"(tls = { verify = false, ca = "ca.pem" })")).find("verify = false"),
            std::string::npos);
  EXPECT_NE(warnings(pool(R"(tls = { verify = false, crl = "crl.pem" })")).find("tls.crl: means nothing"),
            std::string::npos);
  EXPECT_NE(
      warnings("[[listener]]\nlisten = \"127.0.0.1:0\"\n[[pool]]\nname = \"p\"\nserver = [ { name = \"a\", "
               "address = \"127.0.0.1:1\", tls_name = \"x\" } ]\n")
          .find("tls_name: means nothing without `tls` in the pool"),
      std::string::npos);
}

TEST(TlsKeys, certificates_are_one_list_after_reading) {
  const Reading both = read_config(
      listener(
          R"({ certificate = "a.pem", key = "a.key", certificates = [ { certificate = "b.pem", key = "b.key" } ] })"),
      "f");
  ASSERT_TRUE(both.ok()) << to_text(both.diagnostics);
  const ListenerTls& tls = *both.config.listeners.front().tls;
  ASSERT_EQ(tls.certificates.size(), 2u);
  EXPECT_EQ(tls.certificates[0].certificate, "a.pem");
  EXPECT_EQ(tls.certificates[1].key, "b.key");
  EXPECT_EQ(tls.stands_at.place.line, 3u);
  const Reading list =
      read_config(listener(R"({ certificates = [ { certificate = "b.pem", key = "b.key" } ] })"), "f");
  ASSERT_TRUE(list.ok()) << to_text(list.diagnostics);
  EXPECT_EQ(list.config.listeners.front().tls->certificates.size(), 1u);
}

TEST(TlsKeys, the_upstreams) {
  const std::string before =
      "[gateway]\nname = \"g\"\nlistener = [ { listen = \"127.0.0.1:0\" } ]\nupstream = ";
  const auto said = [&](const std::string& upstream, const std::string& more = "") {
    return to_text(read_config(before + upstream + "\n" + more, "f").diagnostics);
  };
  EXPECT_EQ(said(R"({ kind = "tcp", address = "127.0.0.1:1", tls = { name = "x" } })"), "");
  EXPECT_NE(said(R"({ kind = "tcp", address = "127.0.0.1:1", proxy_protocol = "v2", tls = { name = "x" } })")
                .find("upstream.proxy_protocol: cannot go with tls"),
            std::string::npos);
  EXPECT_NE(said(R"({ kind = "tcp", pool = "p", tls = { name = "x" } })", kPool)
                .find("this one is for the pool to say"),
            std::string::npos);
  const Reading of_pool =
      read_config(before + R"({ kind = "ws", pool = "p" })" + "\n" + kPool + "tls = { name = \"x\" }\n", "f");
  ASSERT_TRUE(of_pool.ok()) << to_text(of_pool.diagnostics);
  EXPECT_EQ(of_pool.config.gateway->upstream.tls->name, "x");
}

class TlsFiles : public testing::Test {
 protected:
  TlsFiles() {
    std::filesystem::create_directory(folder);
    put("play", authority.issue({.names = {"play.example"}, .until_s = 90 * 86400}));
  }
  ~TlsFiles() override { std::filesystem::remove_all(folder); }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder / name) << text;
    ::chmod((folder / name).c_str(), 0600);
  }
  void put(const std::string& name, const io::TestIdentity& identity) {
    write(name + ".pem", identity.chain_pem);
    write(name + ".key", identity.key_pem);
  }
  TlsReading load(const std::string& text) {
    reading = read_config(text, (folder / "f.toml").string());
    EXPECT_TRUE(reading.ok()) << to_text(reading.diagnostics);
    return load_tls(reading.config, nullptr, now);
  }
  std::string said(const std::string& text) { return to_text(load(text).diagnostics); }

  const UnixSeconds now = SystemClock().unix_now();
  std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / ("tls_files_" + std::to_string(getpid()));
  io::TestAuthority authority{now};
  Reading reading;
};

TEST_F(TlsFiles, good_ones_become_contexts) {
  put("other", authority.issue({.names = {"other.example"}, .until_s = 90 * 86400}));
  write("ca.pem", authority.pem());
  write("crl.pem", authority.revocations({}));
  const TlsReading read = load(
      listener(
          R"({ certificate = "play.pem", key = "play.key", certificates = [ { certificate = "other.pem", key = "other.key" } ], client_certificate = "optional", client_ca = "ca.pem", client_crl = "crl.pem" })",
          "pool = \"p\"\n") +
      R"(tls = { ca = "ca.pem", crl = "crl.pem", certificate = "play.pem", key = "play.key" })" + "\n" +
      "[[pool]]\nname = \"passed-through\"\nhealth = { kind = \"tls\" }\nserver = [ { name = \"a\", address "
      "= \"127.0.0.1:1\" } ]\n" +
      "[[listener]]\nlisten = \"127.0.0.1:0\"\nmode = \"tcp\"\npool = \"passed-through\"\n");
  EXPECT_EQ(to_text(read.diagnostics), "");
  ASSERT_EQ(read.contexts.listeners.size(), 2u);
  EXPECT_TRUE(read.contexts.listeners[0]);
  EXPECT_FALSE(read.contexts.listeners[1]);
  ASSERT_EQ(read.contexts.pools.size(), 2u);
  EXPECT_TRUE(read.contexts.pools[0]);
  EXPECT_TRUE(read.contexts.pools[0]->verifies());
  EXPECT_EQ(read.contexts.probes[0], read.contexts.pools[0]);
  EXPECT_FALSE(read.contexts.pools[1]);
  ASSERT_TRUE(read.contexts.probes[1]) << "only a handshake is asked for";
  EXPECT_FALSE(read.contexts.probes[1]->verifies());
}

TEST_F(TlsFiles, bad_ones_are_named_all_of_them) {
  put("other", authority.issue({.names = {"other.example"}}));
  const std::string text = said(listener(
      R"({ certificate = "nowhere.pem", key = "play.key", certificates = [ { certificate = "play.pem", key = "other.key" } ] })"));
  EXPECT_NE(text.find("f.toml:3:7: listener.tls.certificate: " + (folder / "nowhere.pem").string() +
                      " cannot be read: No such file or directory"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("listener.tls.certificates[0].certificate: listener listener-1: " +
                      (folder / "play.pem").string() + " and " + (folder / "other.key").string() +
                      ": key: it does not belong to the certificate"),
            std::string::npos)
      << text;
  EXPECT_EQ(text.find("PRIVATE"), std::string::npos);
  EXPECT_FALSE(load(listener(R"({ certificate = "play.pem", key = "nowhere.key" })")).ok());
  EXPECT_NE(said(listener(R"({ certificate = ".", key = "play.key" })")).find("Is a directory"),
            std::string::npos);
  write("big.pem", std::string(1024 * 1024 + 1, '\n'));
  EXPECT_NE(said(listener(R"({ certificate = "big.pem", key = "play.key" })")).find("File too large"),
            std::string::npos);
  write("not-a-ca.pem", "nothing");
  EXPECT_NE(said(pool(R"(tls = { ca = "not-a-ca.pem" })"))
                .find("pool p: CA certificates: there is no certificate in it"),
            std::string::npos);
  EXPECT_NE(said(pool(R"(tls = { crl = "not-a-ca.pem" })")).find("pool p: CRLs: there is no CRL in it"),
            std::string::npos);
  EXPECT_NE(said(pool(R"(tls = { crl = "nowhere.pem" })")).find("pool.tls.crl: "), std::string::npos);
  write("ca.pem", authority.pem());
  EXPECT_FALSE(
      load(listener(R"({ certificate = "play.pem", key = "play.key", client_certificate = "required", )"
                    R"(client_ca = "ca.pem", client_crl = "nowhere.pem" })"))
          .ok());
}

TEST_F(TlsFiles, what_soon_hurts_is_said) {
  const struct {
    io::TestCertificate wanted;
    const char* said;
  } cases[] = {
      {{.common_name = "old", .names = {"a"}, .until_s = -3600}, "has expired on "},
      {{.common_name = "soon", .names = {"a"}, .until_s = 13 * 86400}, "expires on "},
      {{.common_name = "early", .names = {"a"}, .from_s = 3600}, "is not good before "},
      {{.common_name = "nameless", .until_s = 90 * 86400}, "is for no name"},
      {{.common_name = "good", .names = {"a"}, .until_s = 15 * 86400}, nullptr},
      {{.common_name = "good", .ips = {"10.0.0.1"}, .until_s = 15 * 86400}, nullptr},
  };
  for (const auto& one : cases) {
    put("play", authority.issue(one.wanted));
    const TlsReading read = load(listener(R"({ certificate = "play.pem", key = "play.key" })"));
    EXPECT_TRUE(read.ok());
    const std::string text = to_text(read.diagnostics);
    if (one.said == nullptr) {
      EXPECT_EQ(text, "") << one.wanted.common_name;
    } else {
      EXPECT_NE(text.find(one.said), std::string::npos) << text;
    }
  }
  write("crl.pem", authority.revocations({}) + authority.revocations({}, -3600));
  const TlsReading late = load(pool(R"(tls = { crl = "crl.pem" })"));
  EXPECT_TRUE(late.ok());
  const std::string text = to_text(late.diagnostics);
  EXPECT_NE(text.find("the list of CN=test authority was to be renewed by "), std::string::npos) << text;
  EXPECT_EQ(text.find("the list", text.find("the list") + 1), std::string::npos) << text;
  ::chmod((folder / "play.key").c_str(), 0644);
  EXPECT_NE(said(listener(R"({ certificate = "play.pem", key = "play.key" })"))
                .find("can be read by everybody: chmod o-r"),
            std::string::npos);
}

}  // namespace
}  // namespace rejoin::config
