#include "watch/access_record.h"

#include <chrono>

namespace rejoin::watch {
namespace {

std::string_view word_of(AccessRecord::Kind kind) {
  switch (kind) {
    case AccessRecord::Kind::request: return "request";
    case AccessRecord::Kind::tunnel: return "tunnel";
    case AccessRecord::Kind::connection: return "connection";
  }
  return "?";
}

constexpr char kDigits[] = "0123456789abcdef";

std::string hex(std::uint64_t value) {
  std::string out(16, '0');
  for (std::size_t i = 16; i-- > 0; value >>= 4) out[i] = kDigits[value & 15];
  return out;
}

std::string padded(unsigned value, std::size_t width) {
  std::string out = std::to_string(value);
  if (out.size() < width) out.insert(0, width - out.size(), '0');
  return out;
}

/// "12.345": milliseconds, to the microsecond.
std::string ms_text(Duration time) {
  const auto us = static_cast<std::uint64_t>(std::max<Duration::rep>(time.count(), 0));
  return std::to_string(us / 1000) + "." + padded(static_cast<unsigned>(us % 1000), 3);
}

/// Bytes from outside become visible ASCII. `escape` writes one that cannot stand as it is.
template <typename Escape>
void append_safe(std::string& out, Bytes text, std::size_t most, Escape escape) {
  for (const char c : text.substr(0, most)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f || c == '"' || c == '\\') {
      escape(out, byte);
    } else {
      out += c;
    }
  }
  if (text.size() > most) out += "...";
}

/// A byte from 0x80 on is read as Latin-1: what a client sends need be no UTF-8, and a line must be JSON.
void escape_json(std::string& out, unsigned char byte) {
  if (byte == '"' || byte == '\\') {
    out += '\\';
    out += static_cast<char>(byte);
    return;
  }
  out += "\\u00";
  out += kDigits[byte >> 4];
  out += kDigits[byte & 15];
}

void escape_line(std::string& out, unsigned char byte) {
  out += "\\x";
  out += kDigits[byte >> 4];
  out += kDigits[byte & 15];
}

/// Members of one object, each name once; what is not there is null.
class JsonLine {
 public:
  explicit JsonLine(std::string& out) : out_(out) {}
  void text(std::string_view name, Bytes value, std::size_t most = kAccessTextBytesMax) {
    if (value.empty()) return nothing(name);
    begin(name);
    out_ += '"';
    append_safe(out_, value, most, escape_json);
    out_ += '"';
  }
  void plain(std::string_view name, std::string_view value) {
    begin(name);
    out_ += value;
  }
  void time(std::string_view name, const std::optional<Duration>& value) {
    value ? plain(name, ms_text(*value)) : nothing(name);
  }
  void number(std::string_view name, std::uint64_t value) { plain(name, std::to_string(value)); }
  void nothing(std::string_view name) { plain(name, "null"); }
  void end() { out_ += "}\n"; }

 private:
  void begin(std::string_view name) {
    out_ += first_ ? "{\"" : ",\"";
    first_ = false;
    out_ += name;
    out_ += "\":";
  }
  std::string& out_;
  bool first_ = true;
};

void append_json(std::string& out, const AccessRecord& it, std::int64_t unix_ms, const AccessRules& rules) {
  JsonLine json(out);
  json.text("time", time_text(unix_ms));
  json.text("kind", word_of(it.kind));
  json.text("id", hex(it.id));
  json.text("listener", it.listener);
  json.text("client", it.client.text());
  json.text("peer", it.peer ? it.peer.text() : std::string());
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
  if (it.status != 0) {
    json.number("status", static_cast<unsigned>(it.status));
  } else {
    json.nothing("status");
  }
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
  json.end();
}

std::string_view or_dash(std::string_view text) { return text.empty() ? "-" : text; }

std::string or_dash(const std::optional<Duration>& time) { return time ? ms_text(*time) : "-"; }

void append_quoted(std::string& out, Bytes text, std::size_t most = kAccessTextBytesMax) {
  out += '"';
  append_safe(out, or_dash(text), most, escape_line);
  out += '"';
}

void append_line(std::string& out, const AccessRecord& it, std::int64_t unix_ms, const AccessRules& rules) {
  const auto word = [&](std::string_view text) {
    out += ' ';
    append_safe(out, or_dash(text), kAccessTextBytesMax, escape_line);
  };
  out += time_text(unix_ms);
  word(word_of(it.kind));
  word(hex(it.id));
  word(it.listener);
  word(it.client.text());
  out += ' ';
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
  append_quoted(out, request, 2 * kAccessPathBytesMax);
  out += ' ';
  append_quoted(out, it.host);
  word(it.status != 0 ? std::to_string(it.status) : "-");
  word(std::to_string(it.bytes_in));
  word(std::to_string(it.bytes_out));
  out += ' ' + or_dash(it.head) + '/' + or_dash(it.queue) + '/' + or_dash(it.connect) + '/' +
         or_dash(it.first_byte) + '/' + ms_text(it.total);
  word(it.pool);
  out += '/';
  out += or_dash(it.server);
  word(it.decision);
  out += '/';
  out += or_dash(it.affinity);
  out += '/';
  out += or_dash(it.reason);
  word(std::to_string(it.retries));
  word(it.end);
  out += '/';
  out += or_dash(it.end_by);
  out += '/';
  out += or_dash(it.end_in);
  out += '\n';
}

}  // namespace

std::string time_text(std::int64_t unix_ms) {
  using namespace std::chrono;
  const sys_time<milliseconds> at{milliseconds(unix_ms)};
  const auto day = floor<days>(at);
  const year_month_day date(day);
  const hh_mm_ss<milliseconds> time(at - day);
  return padded(static_cast<unsigned>(static_cast<int>(date.year())), 4) + '-' +
         padded(static_cast<unsigned>(date.month()), 2) + '-' + padded(static_cast<unsigned>(date.day()), 2) +
         'T' + padded(static_cast<unsigned>(time.hours().count()), 2) + ':' +
         padded(static_cast<unsigned>(time.minutes().count()), 2) + ':' +
         padded(static_cast<unsigned>(time.seconds().count()), 2) + '.' +
         padded(static_cast<unsigned>(time.subseconds().count()), 3) + 'Z';
}

void append_access_record(std::string& out, const AccessRecord& record, std::int64_t began_unix_ms,
                          const AccessRules& rules) {
  if (rules.form == AccessForm::json) {
    append_json(out, record, began_unix_ms, rules);
  } else {
    append_line(out, record, began_unix_ms, rules);
  }
}

}  // namespace rejoin::watch
