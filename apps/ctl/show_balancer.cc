#include "apps/ctl/show_balancer.h"

#include "apps/ctl/show.h"
#include "apps/ctl/table.h"

namespace rejoin::ctl {
namespace {

using watch::Json;

bool is(const Json& flag) { return flag.boolean().value_or(false); }

std::string joined(const Json& list) {
  std::string out;
  for (const Json& one : list.items()) out += (out.empty() ? "" : ", ") + cell(one);
  return out.empty() ? "-" : out;
}

std::string state_of(const Json& server) {
  std::string out = is(server["up"]) ? "up" : "down";
  if (is(server["draining"])) out += ", draining";
  if (server["order"].text().value_or("ready") != "ready") out += ", " + cell(server["order"]);
  if (!server["away_ms"].is_null()) out += ", away " + short_time(number(server["away_ms"]));
  return out;
}

}  // namespace

std::string server_text(const Json& answer) {
  const std::string name = cell(answer["pool"]) + '/' + cell(answer["server"]);
  if (is(answer["removed"])) return name + ": removed\n";
  return name + ": " + cell(answer["order"]) + ", weight " + cell(answer["weight"]) + ", " +
         (is(answer["up"]) ? "up" : "down") + ", " + cell(answer["active"]) + " active, at " +
         cell(answer["address"]) + "\n";
}

std::string reload_text(const Json& answer) {
  std::string out;
  for (const Json& line : answer["changed"].items()) out += "changed: " + cell(line) + "\n";
  for (const Json& line : answer["needs_restart"].items()) out += "needs a restart: " + cell(line) + "\n";
  return out.empty() ? "nothing changed\n" : out;
}

std::string status_text(const Json& answer) {
  const bool gateway = answer["program"].text() == "gateway";
  Table table({cell(answer["program"]), gateway ? cell(answer["gateway"]) : cell(answer["version"])});
  const auto add = [&](std::string name, std::string value) {
    table.add({std::move(name), std::move(value)});
  };
  if (gateway) add("version", cell(answer["version"]));
  add("up for", short_time(number(answer["uptime_ms"])));
  add("workers", cell(answer["workers"]));
  add("draining", cell(answer["draining"]));
  add("ready", cell(answer["ready"]));
  if (gateway) {
    add("sessions", cell(answer["sessions"]) + " (" + cell(answer["attached"]) + " attached, " +
                        cell(answer["detached"]) + " detached)");
    return table.text();
  }
  add("listeners", cell(answer["listeners"]));
  add("pools", cell(answer["pools"]));
  add("connections", cell(answer["connections"]) + ", and " + cell(answer["tunnels"]) + " tunnels");
  add("since start", cell(answer["accepted"]) + " connections, " + cell(answer["requests"]) + " requests");
  return table.text();
}

std::string pools_text(const Json& answer) {
  Table table({"POOL", "SERVERS", "UP", "USABLE", "ACTIVE", "TUNNELS", "IDLE", "PINNED", "SCHEDULED",
               "NOBODY", "AFFINITY"});
  for (const Json& one : answer["pools"].items()) {
    const Json& decisions = one["decisions"];
    table.add({cell(one["name"]), cell(one["servers"]), cell(one["up"]), cell(one["usable"]),
               cell(one["active"]), cell(one["tunnels"]), cell(one["idle_connections"]),
               cell(decisions["pinned"]), cell(decisions["scheduled"]), cell(decisions["nobody"]),
               joined(one["affinity"])});
  }
  return table.text();
}

std::string pool_text(const Json& answer) {
  const Json& decisions = answer["decisions"];
  return "pool " + cell(answer["name"]) + ": " + cell(answer["up"]) + " of " + cell(answer["servers"]) +
         " servers up, " + cell(answer["usable"]) + " take new clients; affinity " +
         joined(answer["affinity"]) + "\n" + cell(decisions["pinned"]) + " clients went where they belong, " +
         cell(decisions["scheduled"]) + " were placed, " + cell(decisions["pins_unusable"]) +
         " belonged to a server that could not be used, " + cell(decisions["come_again"]) +
         " were told to come again, " + cell(decisions["nobody"]) + " found no server\n\n" +
         servers_text(answer["server"]);
}

std::string servers_text(const Json& list) {
  Table table({"SERVER", "ADDRESS", "WEIGHT", "STATE", "ACTIVE", "TUNNELS", "REQUESTS", "CONNECTS", "FAILED",
               "FAILURES", "TO", "FROM"});
  for (const Json& one : list.items()) {
    table.add({cell(one["pool"]) + "/" + cell(one["name"]), cell(one["address"]), cell(one["weight"]),
               state_of(one), cell(one["active"]), cell(one["tunnels"]), cell(one["requests"]),
               cell(one["connections"]), cell(one["connects_failed"]), cell(one["failures"]),
               short_size(number(one["bytes_to"])), short_size(number(one["bytes_from"]))});
  }
  return table.text();
}

std::string listeners_text(const Json& answer) {
  Table table({"LISTENER", "ADDRESS", "MODE", "POOL", "CONNECTIONS", "TUNNELS", "ACCEPTED", "REQUESTS",
               "REFUSED", "IN", "OUT"});
  for (const Json& one : answer["listeners"].items()) {
    std::int64_t refused = 0;
    for (const Json& reason : one["refused"].items()) refused += number(reason);
    table.add({cell(one["name"]), cell(one["address"]), cell(one["mode"]), cell(one["pool"]),
               cell(one["connections"]), cell(one["tunnels"]), cell(one["accepted"]), cell(one["requests"]),
               std::to_string(refused), short_size(number(one["bytes_in"])),
               short_size(number(one["bytes_out"]))});
  }
  return table.text();
}

std::string connections_text(const Json& answer) {
  const std::vector<Json>& list = answer["connections"].items();
  std::string out = cell(answer["matching"]) + " tunnels\n";
  if (list.empty()) return out;
  Table table({"ID", "LISTENER", "CLIENT", "SERVER", "BY", "AGE", "IDLE", "IN", "OUT", "PAUSES"});
  for (const Json& one : list) {
    table.add({cell(one["id"]), cell(one["listener"]), cell(one["client"]),
               cell(one["pool"]) + "/" + cell(one["server"]), cell(one["decision"]),
               short_time(number(one["age_ms"])), short_time(number(one["idle_ms"])),
               short_size(number(one["bytes_in"])), short_size(number(one["bytes_out"])),
               cell(one["pauses"])});
  }
  out += "\n" + table.text();
  if (!answer["next"].is_null()) out += "(more: --after " + cell(answer["next"]) + ")\n";
  return out;
}

std::string connection_ended_text(const Json& answer) {
  return "ended: " + cell(answer["client"]) + " at " + cell(answer["pool"]) + "/" + cell(answer["server"]) +
         ", after " + short_time(number(answer["age_ms"])) + ", " + short_size(number(answer["bytes_in"])) +
         " in, " + short_size(number(answer["bytes_out"])) + " out\n";
}

}  // namespace rejoin::ctl
