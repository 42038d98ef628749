// A client's application for tests of the driver, and the small world they share: a gateway's host and a
// phone on a simulated network.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "clients/cpp/src/driver.h"
#include "clients/cpp/src/fake_gateway.h"
#include "io/sim_network.h"

namespace rejoin::client {

/// Writes down all that it is told: states as "open", "reconnecting", "resumed", "lost 4401", "ended 1000".
class Application final : public DriverEvents {
 public:
  Application(io::World& world, DriverOptions options, io::Network* secure = nullptr) {
    auto made = Driver::make(world, secure, resolver, std::move(options), *this);
    EXPECT_TRUE(made) << to_string(made.error());
    if (made) driver = std::move(*made);
  }
  void start() { driver->start(); }
  bool send(const std::string& text) {
    const bool taken = driver->send(text, true) == Driver::Sent::taken;
    driver->flush();
    return taken;
  }
  std::string states() const {
    std::string out;
    for (const State& state : told) {
      if (!out.empty()) out += ", ";
      out += name(state);
    }
    return out;
  }
  bool is(State::Kind kind) const { return !told.empty() && told.back().kind == kind; }
  const State& last() const { return told.back(); }

  void on_message(Bytes message, bool) override { got.emplace_back(message); }
  void on_state(const State& state) override {
    told.push_back(state);
    if (then) then(state);
  }
  void on_room() override { ++rooms; }
  void on_save(const std::string& snapshot) override { saved.push_back(snapshot); }

  NoResolver resolver;
  std::unique_ptr<Driver> driver;
  std::vector<State> told;
  std::vector<std::string> got, saved;
  std::function<void(const State&)> then;
  int rooms = 0;

 private:
  static std::string name(const State& state) {
    switch (state.kind) {
      case State::Kind::connecting: return "connecting";
      case State::Kind::open: return "open";
      case State::Kind::reconnecting: return "reconnecting";
      case State::Kind::resumed: return state.whole ? "resumed" : "resumed with a gap";
      case State::Kind::lost: return "lost " + std::to_string(state.code);
      case State::Kind::ended: return "ended " + std::to_string(state.code);
    }
    return "?";
  }
};

inline session::SessionRules rules() {
  session::SessionRules rules;
  rules.spread = 100ms;
  rules.window = {.bytes = 4096, .messages = 16};
  return rules;
}

/// One gateway, one phone.
struct SmallWorld {
  explicit SmallWorld(std::uint64_t seed = 1, const session::SessionRules& with = rules())
      : sim(seed),
        gateway_host(sim.add_host({.name = "gateway", .addresses = {"10.0.0.1"}})),
        phone(sim.add_host({.name = "phone", .addresses = {"10.1.0.2"}})),
        gateway(std::make_unique<FakeGateway>(gateway_host.world(), with)) {
    gateway->listen_websocket(gateway_host.address(8000));
    gateway->listen_tcp(gateway_host.address(8001));
  }
  DriverOptions options(std::string_view url = "ws://10.0.0.1:8000/play") {
    DriverOptions options;
    options.url = *proto::Url::parse(url);
    options.identity = "who";
    return options;
  }
  session::ToyGateway& toy() { return gateway->toy; }
  session::ToyGateway::Player& player() { return *toy().players.begin()->second; }
  /// Until it has `kind` as its last state.
  bool until(const Application& app, State::Kind kind, Duration at_most = 60s) {
    return sim.run_until([&] { return app.is(kind); }, at_most);
  }
  bool open(Application& app) {
    app.start();
    return until(app, State::Kind::open);
  }

  io::Simulation sim;
  io::SimHost& gateway_host;
  io::SimHost& phone;
  std::unique_ptr<FakeGateway> gateway;
};

}  // namespace rejoin::client
