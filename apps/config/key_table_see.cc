// The keys of what operators see: the admin port and the access log.
#include "apps/config/key_table.h"

namespace rejoin::config {
namespace {

constexpr std::string_view kAccessFormats[] = {"off", "json", "line"};

}  // namespace

void visit(KeyVisitor& v, Admin& it) {
  v.address({"listen",
             "IP:PORT. Without a `token` it must be the machine's own (127.0.0.1): whoever reaches it sees "
             "players' addresses and can end their connections.",
             R"("127.0.0.1:9090")", Need::required},
            it.listen, AddressUse::listen_here);
  v.secret_source({"token",
                   "Where the token is that must be shown as `Authorization: Bearer TOKEN`: `file:PATH` or "
                   "`env:NAME`. 16 to 256 visible characters: `openssl rand -hex 32`.",
                   R"("file:admin.token")", Need::optional, "none"},
                  it.token);
}

void visit(KeyVisitor& v, AccessLog& it) {
  v.choice({"format", "`json`: an object a line. `line`: words in a line, for people and awk.", R"("json")"},
           it.format, kAccessFormats);
  v.text({"path",
          "Where lines are written; a relative path starts at the configuration's folder. Opened anew at "
          "SIGUSR1, for logrotate.",
          R"("/var/log/rejoin/access.log")", Need::optional, "stdout"},
         it.path, TextForm::file_path);
  v.flag({"query", "The query behind the path, too. Some applications have secrets there.", "true"},
         it.query);
}

}  // namespace rejoin::config
