#include "watch/link_record.h"

#include "watch/record_text.h"

namespace rejoin::watch {
namespace {

std::string_view word_of(LinkRecord::Kind kind) {
  switch (kind) {
    case LinkRecord::Kind::link: return "link";
    case LinkRecord::Kind::relay: return "relay";
    case LinkRecord::Kind::session: return "session";
    case LinkRecord::Kind::refused: return "refused";
  }
  return "?";
}

std::string text_of(const Address& address) { return address ? address.text() : std::string(); }

void append_json(std::string& out, const LinkRecord& it, std::int64_t unix_ms) {
  JsonLine json(out);
  json.text("time", time_text(unix_ms));
  json.text("kind", word_of(it.kind));
  json.text("session", it.session);
  json.text("listener", it.listener);
  json.text("client", text_of(it.client));
  json.text("peer", text_of(it.peer));
  json.text("tls_version", it.tls_version);
  json.text("sni", it.sni);
  json.text("transport", it.transport);
  json.text("protocol", it.protocol);
  json.text("opened", it.opened);
  json.number("epoch", it.epoch);
  json.number("links", it.links);
  json.number("resumes", it.resumes);
  json.number("messages_in", it.messages_in);
  json.number("messages_out", it.messages_out);
  json.number("bytes_in", it.bytes_in);
  json.number("bytes_out", it.bytes_out);
  json.time("total_ms", it.total);
  json.count("status", static_cast<unsigned>(it.status));
  json.count("code", static_cast<unsigned>(it.code));
  json.text("reason", it.reason);
  json.text("detail", it.detail);
  json.text("end", it.end);
  json.text("end_by", it.end_by);
  json.text("end_in", it.end_in);
  json.count("left_out", it.left_out);
  json.end();
}

void append_line(std::string& out, const LinkRecord& it, std::int64_t unix_ms) {
  const auto or_nothing = [](int number) { return number != 0 ? std::to_string(number) : std::string(); };
  WordLine line(out);
  line.word(time_text(unix_ms));
  line.word(word_of(it.kind));
  line.word(it.session);
  line.word(it.listener);
  line.word(text_of(it.client));
  line.word(it.transport);
  line.with(it.protocol);
  line.with(it.opened);
  line.number(it.epoch);
  line.number(it.links);
  line.number(it.messages_in);
  line.number(it.messages_out);
  line.number(it.bytes_in);
  line.number(it.bytes_out);
  line.word(ms_text(it.total));
  line.word(or_nothing(it.status));
  line.with(or_nothing(it.code));
  line.with(it.reason);
  line.word(it.end);
  line.with(it.end_by);
  line.with(it.end_in);
  line.quoted(it.detail);
  if (it.left_out != 0) line.word("left_out=" + std::to_string(it.left_out));
  line.end();
}

}  // namespace

void append_link_record(std::string& out, const LinkRecord& record, std::int64_t began_unix_ms,
                        const AccessRules& rules) {
  if (rules.form == AccessForm::json) {
    append_json(out, record, began_unix_ms);
  } else {
    append_line(out, record, began_unix_ms);
  }
}

}  // namespace rejoin::watch
