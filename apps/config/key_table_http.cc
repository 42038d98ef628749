// The keys of what a listener does with requests, and of what a pool does with connections that it keeps. See
// key_table.h.
#include "apps/config/key_table.h"
#include "base/limits.h"

namespace rejoin::config {
namespace {

constexpr std::string_view kXForwardeds[] = {"append", "replace", "off"};
constexpr Range<Duration> kTimeout{1ms, 24h * 365};
constexpr std::size_t kHeaderEditsMax = 16;  // of each of a rule's lists
constexpr std::size_t kRetryReasonsMax = 16;

}  // namespace

void visit(KeyVisitor& v, Forwarded& it) {
  v.texts({"trust",
           "Proxies in front of us, as addresses or networks. What others say in X-Forwarded-*, Forwarded, "
           "X-Real-IP and, with `request_id`, X-Request-Id is dropped.",
           R"(["10.0.0.0/8"])", Need::optional, "none"},
          it.trust, TextForm::network, limits::kPeersMax);
  v.choice({"x_forwarded",
            "X-Forwarded-For, -Proto, -Host and -Port. `append`: the client's address behind what a trusted "
            "proxy said; the other three stay if it said them. `replace`: ours alone. `off`: none of ours.",
            R"("replace")"},
           it.x_forwarded, kXForwardeds);
  v.flag({"forwarded", "The field Forwarded (RFC 7239) besides.", "true"}, it.forwarded);
  v.flag({"request_id", "X-Request-Id: 32 random hex digits, unless a trusted proxy gave one.", "true"},
         it.request_id);
  v.flag({"request_id_response", "The response tells the X-Request-Id, too.", "true"},
         it.request_id_response);
  v.text(
      {"via",
       "Our name in the field Via, on requests and responses (RFC 9110 7.6.3). A request that has it already "
       "goes in a circle and is answered with 508.",
       R"("edge-1")", Need::optional, "no Via of ours"},
      it.via, TextForm::name);
}

void visit(KeyVisitor& v, Rule& it) {
  v.text({"host", "The host that is asked for, without its port. `*.example.com`: every name below.",
          R"("play.example")", Need::optional, "every host"},
         it.host, TextForm::host_pattern);
  v.text(
      {"path",
       "The path that is asked for, and what is below: `/ws` matches `/ws` and `/ws/x`, not `/wsx`. Compared "
       "as servers read it: escapes of plain characters, `//`, `.` and `..` are resolved.",
       R"("/ws")"},
      it.path, TextForm::url_path);
  v.flag({"exact", "This path only, nothing below.", "true"}, it.exact);
  v.text({"pool", "Who answers.", R"("api")", Need::optional, "the listener's pool"}, it.pool,
         TextForm::name);
  v.text({"strip_prefix", "Taken off the path before the server sees it; `path` begins with it.", R"("/api")",
          Need::optional, "nothing"},
         it.strip_prefix, TextForm::url_path);
  v.table({"redirect", "Instead of a pool: send the client elsewhere.",
           R"({ to = "https://www.example{path}", status = 308 })"},
          it.redirect);
  v.table({"respond", "Instead of a pool: an answer of ours.", R"({ status = 404 })"}, it.respond);
  const auto fields = [&](std::string_view name, std::string_view says, std::vector<std::string>& into) {
    v.texts({name, says, R"(["X-Game: chess"])", Need::optional, "none"}, into, TextForm::field,
            kHeaderEditsMax);
  };
  const auto names = [&](std::string_view name, std::string_view says, std::vector<std::string>& into) {
    v.texts({name, says, R"(["X-Game"])", Need::optional, "none"}, into, TextForm::field_name,
            kHeaderEditsMax);
  };
  fields("set_request_headers", "The server sees these fields, in the place of any of that name.",
         it.set_request_headers);
  fields("add_request_headers", "The server sees these fields besides.", it.add_request_headers);
  names("remove_request_headers", "The server does not see fields of these names.",
        it.remove_request_headers);
  fields("set_response_headers", "The client sees these fields, in the place of any of that name.",
         it.set_response_headers);
  fields("add_response_headers", "The client sees these fields besides.", it.add_response_headers);
  names("remove_response_headers", "The client does not see fields of these names.",
        it.remove_response_headers);
}

void visit(KeyVisitor& v, Redirect& it) {
  v.text(
      {"to", "A URL, or a path of the same host. `{host}` and `{path}` (with its query) are the request's.",
       R"("https://www.example{path}")", Need::required},
      it.to, TextForm::redirect_to);
  v.integer({"status", "301, 302, 303, 307 or 308. The last two keep the method.", "308"}, it.status,
            {301, 308});
}

void visit(KeyVisitor& v, Respond& it) {
  v.integer({"status", "Its status.", "503"}, it.status, {200, 599});
  v.text({"body", "Its body.", R"("pong")", Need::optional, "the status in words"}, it.body,
         TextForm::body_text);
  v.text({"type", "Its Content-Type.", R"("application/json")"}, it.type, TextForm::field_value);
}

void visit(KeyVisitor& v, RetryRules& it) {
  v.texts(
      {"on",
       "When another server is asked. `connect`: it refuses (for every request, as nothing was sent). For "
       "GET, HEAD, OPTIONS, PUT and DELETE without a body, before a byte of an answer went out: `reset`: it "
       "ends the connection without an answer; `timeout`: `response_timeout`; and the statuses 429, 500, "
       "502, 503, 504.",
       R"(["connect", "reset", "503"])", Need::optional, R"(`["connect", "reset"]`)"},
      it.on, TextForm::name, kRetryReasonsMax);
}

void visit(KeyVisitor& v, KeepAlive& it) {
  v.integer(
      {"connections", "Of each server, in each worker, that wait for their next request. `0`: none.", "32"},
      it.connections, {0, 65535});
  v.duration(
      {"idle", "One that was not used for so long is closed; sooner if the server's Keep-Alive says so.",
       R"("10s")"},
      it.idle, kTimeout);
  v.duration(
      {"unsafe",
       "Requests that must not be sent twice (POST, PATCH, anything with a body) go only on one that was "
       "used "
       "within this time, and only after the first answer on their client's connection: if the server is "
       "closing it, the client's is closed without an answer. `0s`: each gets a new one.",
       R"("0s")"},
      it.unsafe, {0s, 1h});
}

}  // namespace rejoin::config
