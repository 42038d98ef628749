#include "apps/ctl/show.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <vector>

#include "apps/ctl/table.h"

namespace rejoin::ctl {
namespace {

using watch::Json;

std::string how_many(const Json& answer) {
  return std::to_string(number(answer["sessions"])) + " sessions (" +
         std::to_string(number(answer["attached"])) + " attached, " +
         std::to_string(number(answer["detached"])) + " detached)";
}

std::string ends_in(const Json& answer) {
  if (answer["ends_in_ms"].is_null()) return "they end by themselves";
  const std::int64_t left = number(answer["ends_in_ms"]);
  return left == 0 ? "what is left is being ended" : "what is left then ends in " + short_time(left);
}

}  // namespace

std::string short_time(std::int64_t milliseconds) {
  if (milliseconds < 1000) return std::to_string(milliseconds) + "ms";
  struct Unit {
    std::int64_t seconds;
    const char* name;
  };
  static constexpr std::array<Unit, 4> kUnits{{{86400, "d"}, {3600, "h"}, {60, "m"}, {1, "s"}}};
  const std::int64_t seconds = milliseconds / 1000;
  std::size_t first = 0;
  while (seconds < kUnits[first].seconds) ++first;
  std::string out = std::to_string(seconds / kUnits[first].seconds) + kUnits[first].name;
  if (first + 1 == kUnits.size()) return out;
  const std::int64_t rest = seconds % kUnits[first].seconds / kUnits[first + 1].seconds;
  if (rest != 0) out += std::to_string(rest) + kUnits[first + 1].name;
  return out;
}

std::string short_size(std::int64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1024;
  const char* unit = "KiB";
  for (const char* larger : {"MiB", "GiB"}) {
    if (value < 1024) break;
    value /= 1024;
    unit = larger;
  }
  char out[32];
  std::snprintf(out, sizeof out, "%.1f %s", value, unit);
  return out;
}

std::string sessions_text(const Json& answer) {
  std::string out = "gateway " + cell(answer["gateway"]) + ": " + how_many(answer);
  if (answer["draining"].boolean().value_or(false)) out += "; draining: no new ones, " + ends_in(answer);
  out += "\n";
  const std::vector<Json>& list = answer["list"].items();
  if (!list.empty()) {
    Table table({"ID", "KIND", "PHASE", "SINCE", "AGE", "CLIENT", "LINK", "EPOCH", "LINKS", "SENT", "HELD",
                 "PENDING", "GAME SERVER"});
    for (const Json& one : list) {
      const bool closing = !one["closing_code"].is_null();
      table.add({cell(one["id"]), cell(one["kind"]), cell(one["phase"]) + (closing ? ", closing" : ""),
                 short_time(number(one["since_ms"])), short_time(number(one["age_ms"])), cell(one["client"]),
                 cell(one["link"]["kind"]), cell(one["epoch"]), cell(one["links"]),
                 cell(one["window"]["sent"]),
                 cell(one["window"]["held_messages"]) + " (" +
                     short_size(number(one["window"]["held_bytes"])) + ")",
                 cell(one["pending"]), cell(one["game_server"])});
    }
    out += "\n" + table.text();
  }
  const std::int64_t matching = number(answer["matching"]);
  if (matching > static_cast<std::int64_t>(list.size())) {
    out += "(" + std::to_string(list.size()) + " of " + std::to_string(matching) + " shown; see --limit)\n";
  }
  const std::vector<Json>& ended = answer["ended"].items();
  if (!ended.empty()) {
    Table table({"ENDED", "AGO", "LIVED", "CODE", "REASON"});
    for (const Json& one : ended) {
      table.add({cell(one["id"]), short_time(number(one["age_ms"])), short_time(number(one["lived_ms"])),
                 cell(one["code"]), cell(one["reason"])});
    }
    out += "\n" + table.text();
  }
  return out;
}

std::string session_text(const Json& answer) {
  Table table({"session", cell(answer["id"])});
  const auto add = [&](std::string name, std::string value) {
    table.add({std::move(name), std::move(value)});
  };
  if (answer["phase"].text() == "ended") {
    add("ended", short_time(number(answer["age_ms"])) + " ago");
    add("code", cell(answer["code"]));
    add("reason", cell(answer["reason"]));
    add("lived", short_time(number(answer["lived_ms"])));
    return table.text();
  }
  const Json& window = answer["window"];
  add("kind", cell(answer["kind"]));
  add("phase", cell(answer["phase"]) + " since " + short_time(number(answer["since_ms"])));
  add("age", short_time(number(answer["age_ms"])));
  add("client", cell(answer["client"]));
  add("link", cell(answer["link"]["kind"]));
  add("epoch", cell(answer["epoch"]) + ", " + cell(answer["links"]) + " links");
  add("to client", cell(window["sent"]) + " messages, " + cell(window["acked"]) + " acknowledged, " +
                       cell(window["held_messages"]) + " held (" + short_size(number(window["held_bytes"])) +
                       ")");
  add("from client", cell(answer["received"]) + " messages, " + cell(answer["duplicates"]) + " duplicates, " +
                         cell(answer["pending"]) + " not taken by the game server (" +
                         short_size(number(answer["unsent_to_game_bytes"])) + ")");
  add("game server", cell(answer["game_server"]));
  add("worker", cell(answer["worker"]));
  if (!answer["closing_code"].is_null()) add("closing", cell(answer["closing_code"]));
  return table.text();
}

std::string drain_text(const Json& answer) {
  const std::string name = "gateway " + cell(answer["gateway"]);
  if (!answer["draining"].boolean().value_or(false))
    return name + " takes new sessions; " + how_many(answer) + "\n";
  return name + " takes no new sessions; left: " + how_many(answer) + "; " + ends_in(answer) + "\n";
}

std::string upgrade_text(const Json& answer) {
  if (answer["gateway"].is_null()) return "the next process starts; the log says whether it serves\n";
  return "gateway " + cell(answer["gateway"]) + ": the new process begins; " + how_many(answer) +
         " move to it when it is up. Its log says how that goes; `rejoin ctl sessions` asks the new one from "
         "then on.\n";
}

}  // namespace rejoin::ctl
