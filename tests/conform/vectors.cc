#include "tests/conform/vectors.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

#include "proto/utf8.h"

namespace rejoin::conform {
namespace {

using namespace proto;

constexpr FrameType kTypes[] = {FrameType::hello,  FrameType::welcome, FrameType::resume, FrameType::resumed,
                                FrameType::ticket, FrameType::detach,  FrameType::data,   FrameType::ack,
                                FrameType::ping,   FrameType::pong,    FrameType::close};
constexpr std::string_view kActions[] = {"move", "again", "login", "stop"};

FrameType type_of(const std::string& name) {
  for (const FrameType type : kTypes) {
    if (frame_name(static_cast<std::uint8_t>(type)) == name) return type;
  }
  std::abort();
}

std::uint8_t action_of(const std::string& name) {
  const auto at = std::find(std::begin(kActions), std::end(kActions), name);
  if (at == std::end(kActions)) std::abort();
  return static_cast<std::uint8_t>(at - std::begin(kActions));
}

std::uint32_t u32(const Json& fields, const char* name) { return fields.value(name, std::uint32_t{0}); }

void encode_welcome(std::string& out, const Json& fields) {
  Welcome welcome;
  const std::string ticket = fields.at("ticket");
  std::vector<std::string> addresses = fields.at("addresses");
  welcome.version = fields.at("version");
  welcome.secret = secret_of(fields.at("secret"));
  welcome.ticket = ticket;
  welcome.grace_ms = u32(fields, "grace");
  welcome.ping_ms = u32(fields, "ping");
  welcome.dead_ms = u32(fields, "dead");
  welcome.window_bytes = u32(fields, "window_bytes");
  welcome.window_messages = u32(fields, "window_messages");
  welcome.spread_ms = u32(fields, "spread");
  welcome.addresses.assign(addresses.begin(), addresses.end());
  append_welcome(out, welcome, u32(fields, "ack"));
}

void encode_resume(std::string& out, const Json& fields, const SessionSecret& secret) {
  Resume resume;
  const std::string ticket = fields.at("ticket");
  resume.ticket = ticket;
  resume.epoch = u32(fields, "epoch");
  resume.received = u64(fields.at("received"));
  append_resume(out, resume, secret);
  if (fields.value("proof", "") == "wrong") out.back() = static_cast<char>(out.back() ^ 1);
}

void encode_detach(std::string& out, const Json& fields) {
  Detach detach;
  const std::string address = fields.value("address", ""), reason = fields.value("reason", "");
  detach.code = fields.at("code");
  detach.action = static_cast<DetachAction>(action_of(fields.at("action")));
  detach.wait_ms = u32(fields, "wait");
  detach.epoch = u32(fields, "epoch");
  detach.address = address;
  detach.reason = reason;
  append_detach(out, detach, u32(fields, "ack"));
}

bool decode_opening(Json& fields, Bytes frame, const FrameView& view) {
  if (view.head.is(FrameType::hello)) {
    const auto hello = parse_hello(view.body);
    if (!hello) return false;
    fields["version"] = hello->version;
    fields["identity"] = to_hex(hello->identity);
    fields["application"] = to_hex(hello->application);
    return true;
  }
  const auto resume = parse_resume(frame);
  if (!resume) return false;
  fields["ticket"] = resume->ticket;
  fields["epoch"] = resume->epoch;
  fields["received"] = std::to_string(resume->received);
  fields["proof"] = to_hex({resume->proof.data(), resume->proof.size()});
  return true;
}

bool decode_welcome(Json& fields, Bytes body) {
  const auto welcome = parse_welcome(body);
  if (!welcome) return false;
  fields["version"] = welcome->version;
  fields["secret"] = to_hex({welcome->secret.data(), welcome->secret.size()});
  fields["ticket"] = welcome->ticket;
  fields["grace"] = welcome->grace_ms;
  fields["ping"] = welcome->ping_ms;
  fields["dead"] = welcome->dead_ms;
  fields["window_bytes"] = welcome->window_bytes;
  fields["window_messages"] = welcome->window_messages;
  fields["spread"] = welcome->spread_ms;
  fields["addresses"] = welcome->addresses;
  return true;
}

bool decode_detach(Json& fields, Bytes body) {
  const auto detach = parse_detach(body);
  if (!detach) return false;
  fields["code"] = detach->code;
  fields["action"] = kActions[static_cast<std::uint8_t>(detach->action)];
  fields["wait"] = detach->wait_ms;
  fields["epoch"] = detach->epoch;
  fields["address"] = detach->address;
  fields["reason"] = detach->reason;
  return true;
}

/// What only a gateway or either end sends, but for WELCOME and DETACH.
bool decode_rest(Json& fields, const FrameView& view) {
  switch (static_cast<FrameType>(view.head.type)) {
    case FrameType::resumed: {
      const auto resumed = parse_resumed(view.body);
      if (!resumed) return false;
      fields["received"] = std::to_string(resumed->received);
      fields["next"] = std::to_string(resumed->next);
      fields["last"] = std::to_string(resumed->last);
      return true;
    }
    case FrameType::ticket: {
      const auto ticket = parse_ticket(view.body);
      if (ticket) fields["ticket"] = *ticket;
      return ticket.has_value();
    }
    case FrameType::ping:
    case FrameType::pong: {
      const auto number = parse_ping(view.body);
      if (number) fields["number"] = std::to_string(*number);
      return number.has_value();
    }
    case FrameType::close: {
      const auto close = parse_close(view.body);
      if (!close) return false;
      fields["code"] = close->code;
      fields["reason"] = close->reason;
      return true;
    }
    case FrameType::data: {
      const bool text = (view.head.flags & kFlagText) != 0;
      if (text && !is_utf8(view.body)) return false;
      put_message(fields, text, view.body);
      return true;
    }
    default: return true;
  }
}

}  // namespace

Json read_vectors(const std::string& file) {
  std::ifstream in(std::string(REJOIN_SPEC) + "/vectors/" + file);
  return Json::parse(in);
}

std::string from_hex(const std::string& text) {
  const auto digit = [](char c) {
    const std::size_t value = std::string_view("0123456789abcdef").find(c);
    if (value == std::string_view::npos) std::abort();
    return static_cast<int>(value);
  };
  if (text.size() % 2 != 0) std::abort();
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 2)
    out += static_cast<char>(digit(text[i]) << 4 | digit(text[i + 1]));
  return out;
}

std::string to_hex(Bytes bytes) {
  std::string out;
  for (const char c : bytes) {
    out += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    out += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

SessionSecret secret_of(const std::string& hex) {
  const std::string bytes = from_hex(hex);
  SessionSecret secret;
  if (bytes.size() != secret.size()) std::abort();
  std::copy(bytes.begin(), bytes.end(), secret.begin());
  return secret;
}

std::uint64_t u64(const Json& text) { return std::stoull(text.get<std::string>()); }

Message message_of(const Json& fields) {
  if (fields.contains("text")) return {true, fields["text"]};
  if (fields.contains("zeros")) return {false, std::string(fields["zeros"].get<std::size_t>(), '\0')};
  return {false, from_hex(fields.at("hex"))};
}

void put_message(Json& fields, bool text, Bytes bytes) {
  if (text) {
    fields["text"] = bytes;
  } else {
    fields["hex"] = to_hex(bytes);
  }
}

std::string encode(const Json& fields, const SessionSecret& secret) {
  if (fields.contains("raw")) return from_hex(fields["raw"]);
  std::string out;
  const std::uint32_t ack = u32(fields, "ack");
  switch (const FrameType type = type_of(fields.at("type"))) {
    case FrameType::hello: {
      const std::string identity = from_hex(fields.at("identity"));
      const std::string application = from_hex(fields.at("application"));
      append_hello(out, {fields.at("version"), identity, application});
      break;
    }
    case FrameType::welcome: encode_welcome(out, fields); break;
    case FrameType::resume: encode_resume(out, fields, secret); break;
    case FrameType::resumed:
      append_resumed(out, {u64(fields.at("received")), u64(fields.at("next")), u64(fields.at("last"))}, ack);
      break;
    case FrameType::ticket: append_ticket(out, fields.at("ticket").get<std::string>(), ack); break;
    case FrameType::detach: encode_detach(out, fields); break;
    case FrameType::data: {
      const Message message = message_of(fields);
      append_data(out, message.text, u32(fields, "seq"), ack, message.bytes);
      break;
    }
    case FrameType::ack: append_ack(out, ack); break;
    case FrameType::ping:
    case FrameType::pong: append_ping(out, type, u64(fields.at("number")), ack); break;
    case FrameType::close: {
      const std::string reason = fields.value("reason", "");
      append_close(out, {fields.at("code"), reason}, ack);
      break;
    }
  }
  return out;
}

std::optional<Json> decode(Bytes frame) {
  const auto view = parse_frame(frame);
  if (!view) return std::nullopt;
  Json fields{{"type", frame_name(view->head.type)},
              {"flags", view->head.flags},
              {"seq", view->head.seq},
              {"ack", view->head.ack}};
  if (view->unknown_kind()) return fields;
  bool read = false;
  if (view->head.is(FrameType::hello) || view->head.is(FrameType::resume)) {
    read = decode_opening(fields, frame, *view);
  } else if (view->head.is(FrameType::welcome)) {
    read = decode_welcome(fields, view->body);
  } else if (view->head.is(FrameType::detach)) {
    read = decode_detach(fields, view->body);
  } else {
    read = decode_rest(fields, *view);
  }
  if (!read) return std::nullopt;
  return fields;
}

}  // namespace rejoin::conform
