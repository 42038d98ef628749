#include "tests/conform/conversation.h"

#include <algorithm>
#include <map>
#include <utility>

namespace rejoin::conform {
namespace {

/// Order counts among the frames of one link, among what is told, among what the game server gets, and among
/// closes; not between those.
using Group = std::pair<std::string, unsigned>;
using Groups = std::map<Group, std::vector<Json>>;

Group group_of(const Json& deed) {
  for (const char* kind : {"frame", "close", "told", "game"}) {
    if (deed.contains(kind)) return {kind, deed.value("link", 0u)};
  }
  return {"?", 0};
}

/// `text`, `hex` and `zeros` may say the same.
Json plain(Json fields) {
  if (!fields.contains("text") && !fields.contains("hex") && !fields.contains("zeros")) return fields;
  const Message message = message_of(fields);
  fields.erase("zeros");
  put_message(fields, message.text, message.bytes);
  return fields;
}

/// What is given is compared; what is not given may be anything.
bool same(const Json& expected, const Json& found) {
  if (expected == "any") return true;
  if (!expected.is_object()) return expected == found;
  for (const auto& [key, value] : expected.items()) {
    if (!found.contains(key)) return false;
    if (!same(key == "frame" ? plain(value) : value, found.at(key))) return false;
  }
  return true;
}

bool same_lists(const std::vector<Json>& expected, const std::vector<Json>& found) {
  return std::equal(expected.begin(), expected.end(), found.begin(), found.end(),
                    [](const Json& e, const Json& f) { return same(plain(e), f); });
}

std::string words(const std::vector<Json>& deeds) {
  std::string out;
  for (const Json& deed : deeds) out += "\n    " + deed.dump();
  return out.empty() ? " nothing" : out;
}

/// One conversation under way.
struct Play {
  const proto::SessionSecret& secret;
  std::string last_ping = "0";
  std::set<unsigned> parting;  // links on which the last word was said: either side may close them

  std::string bytes_of(const Json& step) const {
    if (!step.contains("frame")) return {};
    Json fields = step["frame"];
    if (fields.value("number", "") == "last") fields["number"] = last_ping;
    return encode(fields, secret);
  }

  void note(const Json& deed) {
    if (!deed.contains("frame")) return;
    const Json& fields = deed["frame"];
    const std::string type = fields.at("type");
    if (type == "PING") last_ping = fields.at("number");
    if (type == "CLOSE" || (type == "DETACH" && fields.at("action") != "move"))
      parting.insert(deed.at("link").get<unsigned>());
  }

  std::string compare(const Json& expect, const std::vector<Json>& all) {
    for (const Json& deed : all) note(deed);
    std::set<unsigned> must_close;
    Groups expected, found;
    for (const Json& deed : expect) {
      if (deed.contains("close")) must_close.insert(deed["close"].get<unsigned>());
      expected[group_of(deed)].push_back(deed);
    }
    for (const Json& deed : all) {
      const unsigned closed = deed.value("close", 0u);
      if (parting.contains(closed) && !must_close.contains(closed)) continue;
      found[group_of(deed)].push_back(deed);
    }
    std::set<Group> groups;
    for (const auto& [group, deeds] : expected) groups.insert(group);
    for (const auto& [group, deeds] : found) groups.insert(group);
    for (const Group& group : groups) {
      if (!same_lists(expected[group], found[group]))
        return "\n  expected" + words(expected[group]) + "\n  found" + words(found[group]);
    }
    return {};
  }
};

}  // namespace

void Deeds::frame(unsigned link, Bytes bytes) {
  const auto fields = decode(bytes);
  all_.push_back(
      {{"link", link}, {"frame", fields ? *fields : Json{{"type", "bad"}, {"hex", to_hex(bytes)}}}});
}
void Deeds::close(unsigned link, unsigned code) { all_.push_back({{"close", link}, {"code", code}}); }
void Deeds::told(const std::string& what, Json more) {
  more["told"] = what;
  all_.push_back(std::move(more));
}
void Deeds::told_message(bool text, Bytes bytes) {
  Json deed{{"told", "message"}};
  put_message(deed, text, bytes);
  all_.push_back(std::move(deed));
}
void Deeds::game(const std::string& what) { all_.push_back({{"game", what}}); }
void Deeds::game_message(bool text, Bytes bytes) {
  Json deed{{"game", "message"}};
  put_message(deed, text, bytes);
  all_.push_back(std::move(deed));
}

std::string play(const Json& conversation, const proto::SessionSecret& secret, Subject& subject) {
  Play play{secret, "0", {}};
  int number = 0;
  for (const Json& step : conversation.at("steps")) {
    ++number;
    Deeds deeds;
    subject.step(step, play.bytes_of(step), deeds);
    const std::string fault = play.compare(step.at("expect"), deeds.all());
    if (fault.empty()) continue;
    Json shown = step;
    shown.erase("expect");
    return conversation.at("name").get<std::string>() + ", step " + std::to_string(number) + " " +
           shown.dump() + ":" + fault;
  }
  return {};
}

}  // namespace rejoin::conform
