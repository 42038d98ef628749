#include "watch/access_record.h"

#include "watch/record_text.h"

namespace rejoin::watch {
namespace {

std::string_view word_of(AccessRecord::Kind kind) {
  switch (kind) {
    case AccessRecord::Kind::request: return "request";
    case AccessRecord::Kind::tunnel: return "tunnel";
    case AccessRecord::Kind::connection: return "connection";
    case AccessRecord::Kind::refused: return "refused";
  }
  return "?";
}

std::string text_of(const Address& address) { return address ? address.text() : std::string(); }

void append_json(std::string& out, const AccessRecord& it, std::int64_t unix_ms, const AccessRules& rules) {
  JsonLine json(out);
  json.text("time", time_text(unix_ms));
  json.text("kind", word_of(it.kind));
  json.text("id", hex_text(it.id));
  json.text("listener", it.listener);
  json.text("client", text_of(it.client));
  json.text("peer", text_of(it.peer));
  json.text("forwarded_for", it.forwarded_for);
  json.text("tls_version", it.tls_version);
  json.text("sni", it.sni);
  json.text("method", it.method);
  json.text("host", it.host);
  json.text("path", it.path, kAccessPathBytesMax);
  if (rules.query) json.text("query", it.query, kAccessPathBytesMax);
  json.text("version", it.version);
  json.text("user_agent", it.user_agent);
  json.text("request_id", it.request_id);
  json.count("status", static_cast<unsigned>(it.status));
  json.number("bytes_in", it.bytes_in);
  json.number("bytes_out", it.bytes_out);
  json.time("head_ms", it.head);
  json.time("queue_ms", it.queue);
  json.time("connect_ms", it.connect);
  json.time("first_byte_ms", it.first_byte);
  json.time("total_ms", it.total);
  json.text("pool", it.pool);
  json.text("server", it.server);
  json.text("decision", it.decision);
  json.text("affinity", it.affinity);
  json.text("reason", it.reason);
  json.number("retries", it.retries);
  json.plain("reused", it.reused ? "true" : "false");
  json.text("end", it.end);
  json.text("end_by", it.end_by);
  json.text("end_in", it.end_in);
  json.text("detail", it.detail);
  json.count("left_out", it.left_out);
  json.end();
}

std::string or_nothing(const std::optional<Duration>& time) { return time ? ms_text(*time) : std::string(); }

void append_line(std::string& out, const AccessRecord& it, std::int64_t unix_ms, const AccessRules& rules) {
  WordLine line(out);
  line.word(time_text(unix_ms));
  line.word(word_of(it.kind));
  line.word(hex_text(it.id));
  line.word(it.listener);
  line.word(text_of(it.client));
  std::string request(it.method);
  if (!request.empty()) {
    request += ' ';
    request += it.path.substr(0, kAccessPathBytesMax);
    if (rules.query && !it.query.empty()) {
      request += '?';
      request += it.query;
    }
    request += ' ';
    request += it.version;
  }
  line.quoted(request, 2 * kAccessPathBytesMax);
  line.quoted(it.host);
  line.word(it.status != 0 ? std::to_string(it.status) : std::string());
  line.number(it.bytes_in);
  line.number(it.bytes_out);
  line.word(or_nothing(it.head));
  line.with(or_nothing(it.queue));
  line.with(or_nothing(it.connect));
  line.with(or_nothing(it.first_byte));
  line.with(ms_text(it.total));
  line.word(it.pool);
  line.with(it.server);
  line.word(it.decision);
  line.with(it.affinity);
  line.with(it.reason);
  line.number(it.retries);
  line.word(it.end);
  line.with(it.end_by);
  line.with(it.end_in);
  if (it.left_out != 0) line.word("left_out=" + std::to_string(it.left_out));
  line.end();
}

}  // namespace

void append_access_record(std::string& out, const AccessRecord& record, std::int64_t began_unix_ms,
                          const AccessRules& rules) {
  if (rules.form == AccessForm::json) {
    append_json(out, record, began_unix_ms, rules);
  } else {
    append_line(out, record, began_unix_ms, rules);
  }
}

}  // namespace rejoin::watch
