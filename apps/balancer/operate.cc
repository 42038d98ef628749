#include "apps/balancer/operate.h"

#include <algorithm>

#include "apps/balancer/worker.h"
#include "apps/config/keys.h"
#include "apps/config/named_files.h"
#include "base/random.h"
#include "io/stream.h"

namespace rejoin::balancer {

/// What a file says, and its keys. Made on the reader's thread, and only looked at afterwards.
struct Operations::FileReading {
  config::Reading file;
  std::vector<config::Diagnostic> files;
  std::optional<config::KeyReading> keys;  // none: the file is no good, or has no keys

  static std::shared_ptr<FileReading> of(const std::string& path) {
    auto out = std::make_shared<FileReading>();
    out->file = config::read_config_file(path);
    if (!out->file.ok()) return out;
    out->files = config::check_named_files(out->file.config, config::FilesOf::balancer);
    if (out->file.config.keys.seal.empty()) return out;
    SystemRandom random;
    out->keys = config::load_keys(out->file.config, random, config::AbsentKey::make);
    return out;
  }
  std::vector<std::string> wrong() const {
    std::vector<std::string> out;
    const auto add = [&out](const std::vector<config::Diagnostic>& from) {
      for (const config::Diagnostic& it : from) {
        if (it.severity == config::Severity::error) out.push_back(it.text());
      }
    };
    add(file.diagnostics);
    add(files);
    if (keys) add(keys->diagnostics);
    if (out.empty() && file.config.listeners.empty())
      out.push_back(file.config.file + ": there is no [[listener]]: a balancer needs at least one");
    return out;
  }
};

Operations::Operations(Worker& worker, serve::Colleagues* colleagues, Start start)
    : worker_(worker),
      colleagues_(colleagues),
      started_with_(start.file),
      file_(std::move(start.file)),
      runtime_(std::move(start.runtime)),
      names_(start.names ? start.names(stop_) : nullptr),
      discovery_(worker.world(), names_.get(), stop_, std::move(start.known)),
      rollout_(worker, colleagues, stop_),
      reading_(worker.world().ready, worker.world().timers, stop_),
      inherited_drain_ends_(std::move(start.drain_ends)),
      tasks_(worker.world().ready) {}

Operations::~Operations() {
  if (reader_.joinable()) reader_.join();
}

void Operations::begin() {
  follow_names();
  for (const auto& of : worker_.generation()->plan->pools) {
    const route::Pool& pool = *of->route->pool;
    for (std::size_t i = 0; i < pool.size(); ++i) {
      const route::ServerRef server = pool.ref(static_cast<route::ServerIndex>(i));
      const auto end = inherited_drain_ends_.find(server->name);
      if (end != inherited_drain_ends_.end()) end_drain_at(server, end->second);
    }
  }
  inherited_drain_ends_.clear();
}

void Operations::hang_up(std::function<void()> done) { tasks_.spawn(reload_then(std::move(done))); }

Task<void> Operations::reload_then(std::function<void()> done) {
  const Outcome in_the_log = co_await reload();
  (void)in_the_log;
  done();
}

// --- the process in our place ---

void Operations::bequeath(std::function<void(serve::WorkerProgram::LegacyMaker)> then) {
  hands_over_ = true;
  tasks_.spawn(bequeath_then(std::move(then)));
}

// A change that is under way ends first, so that whoever was told of it finds it there.
Task<void> Operations::bequeath_then(std::function<void(serve::WorkerProgram::LegacyMaker)> then) {
  Status turn = co_await wait_for_turn();
  if (!turn) {
    then({});
    co_return;
  }
  const Turn ours(*this);
  const std::shared_ptr<const Plan> plan = worker_.generation()->plan;
  const Clock& clock = worker_.world().clock;
  DrainEnds ends;
  for (const auto& [server, order] : orders_) ends[server] = order.end;
  const Knowledge known =
      knowledge_of(*plan, runtime_, discovery_.known(), ends, clock.now(), clock.unix_now());
  SecretBytes bytes;
  write_knowledge(known, bytes);
  then(legacy_of(plan, clock.now(), std::move(bytes)));
}

void Operations::stop() {
  stop_.request();
  discovery_.stop();
}

Task<Status> Operations::wait_for_turn() {
  Waiter waiter(worker_.world().ready, worker_.world().timers, stop_);
  while (busy_) {
    queue_.push_back(&waiter);
    const Woken woken = co_await waiter.until(worker_.world().clock.now() + 1h);
    std::erase(queue_, &waiter);
    if (woken == Woken::stopped) break;
  }
  if (stop_.requested() || worker_.draining())
    co_return Error{ErrorKind::cancelled, Side::ours, Retry::no, "the balancer is stopping"};
  busy_ = true;
  co_return Status();
}

// --- the file ---

Task<std::shared_ptr<Operations::FileReading>> Operations::read_file() {
  const std::string path = file_.file;
  if (colleagues_ == nullptr) co_return FileReading::of(path);
  if (reader_.joinable()) co_return nullptr;  // the last one still waits for its disk
  read_.reset();
  serve::Colleagues* const colleagues = colleagues_;
  reader_ = std::thread([colleagues, path] {
    std::shared_ptr<FileReading> out = FileReading::of(path);
    colleagues->ask(0, [out](serve::WorkerProgram& program) {
      Operations* const home = static_cast<Worker&>(program).operations();
      if (home == nullptr) return;
      home->reader_.join();  // this was the last that it did
      home->read_ = out;
      home->reading_.wake();
    });
  });
  const TimePoint deadline = worker_.world().clock.now() + Duration(kReadFileS);
  while (!read_) {
    const Woken woken = co_await reading_.until(deadline);
    if (woken != Woken::ready) break;
  }
  co_return std::exchange(read_, nullptr);
}

Task<Operations::Outcome> Operations::reload() {
  Log& log = worker_.world().log;
  Outcome out;
  Status turn = co_await wait_for_turn();
  if (!turn) {
    out.wrong.push_back(turn.error().detail);
    co_return out;
  }
  const Turn ours(*this);
  const std::shared_ptr<FileReading> reading = co_await read_file();
  if (!reading) {
    out.wrong.push_back(file_.file + ": reading it takes too long");
  } else {
    out.wrong = reading->wrong();
  }
  if (out.wrong.empty()) {
    for (const config::Diagnostic& doubt : reading->file.diagnostics) log.warn(doubt.text());
    const config::Config& file = reading->file.config;
    // Without [keys] a random one lives as long as the process.
    const bool keys_are_made_up = !reading->keys && file_.keys.seal.empty();
    if (!reading->keys && !keys_are_made_up) {
      out.wrong.push_back(file.file +
                          ": [keys] is gone; a process that began with keys keeps none of its own");
    } else {
      route::KeyRing keys = reading->keys ? *reading->keys->ring : worker_.generation()->plan->keys;
      RuntimeServers runtime = runtime_;
      const std::vector<std::string> overruled = runtime.settle(file);
      out = co_await go_by(file, std::move(runtime), std::move(keys), Certificates::all);
      if (out.wrong.empty()) {
        for (const std::string& line : overruled) log.info(line);
        log.info(out.changed.nothing() ? "reload: nothing is new" : "reload: done");
      }
    }
  }
  for (const std::string& line : out.wrong) log.error(line);
  if (!out.wrong.empty()) log.error("reload: nothing has changed");
  co_return out;
}

Task<Operations::Outcome> Operations::go_by(config::Config file, RuntimeServers runtime, route::KeyRing keys,
                                            Certificates certificates) {
  Outcome out;
  const std::shared_ptr<const Plan> before = worker_.generation()->plan;
  const config::Config meant = runtime.over(file);
  co_await discovery_.learn(meant);
  const config::Config now = with_known_names(meant, discovery_.known());
  out.changed = what_changed(before->config, now);
  out.changed.needs_restart = what_changed(started_with_, now).needs_restart;
  keys_changed(before->keys, keys, out.changed);
  auto plan = make_plan(now, std::move(keys), worker_.world().random, before.get());
  if (!plan) {
    out.wrong.push_back(plan.error().detail);
    co_return out;
  }
  if (certificates == Certificates::all || wants_certificates(**plan)) {
    const config::TlsReading tls = config::load_tls(now, (*plan)->tickets, worker_.world().clock.unix_now());
    if (!tls.ok()) {
      for (const config::Diagnostic& it : tls.diagnostics) out.wrong.push_back(it.text());
      co_return out;
    }
    config::say_reading(tls, worker_.world().log);
    use_tls(**plan, tls.contexts);
  }
  Status gone_over = co_await rollout_.run(*plan);
  if (!gone_over) {
    out.wrong.push_back(to_string(gone_over.error()));
    co_return out;
  }
  file_ = std::move(file);
  runtime_ = std::move(runtime);
  follow_names();
  tell(out.changed, *before);
  co_return out;
}

// --- names ---

void Operations::follow_names() {
  discovery_.follow(runtime_.over(file_), [this] {
    if (names_wait_) return;
    names_wait_ = true;
    tasks_.spawn(names_changed());
  });
}

Task<void> Operations::names_changed() {
  Status turn = co_await wait_for_turn();
  names_wait_ = false;  // what is learnt from here on needs another turn
  if (!turn) co_return;
  const Turn ours(*this);
  route::KeyRing keys = worker_.generation()->plan->keys;
  const Outcome outcome = co_await go_by(file_, runtime_, std::move(keys));
  for (const std::string& line : outcome.wrong) worker_.world().log.error("names: " + line);
}

void Operations::tell(const WhatChanged& changed, const Plan& before) {
  Log& log = worker_.world().log;
  for (const std::string& line : changed.done) log.info("changed: " + line);
  for (const std::string& line : changed.needs_restart) log.warn("needs a restart: " + line);
  const std::vector<Address> addresses = worker_.addresses();
  const Plan& now = *worker_.generation()->plan;
  for (std::size_t i = 0; i < now.listeners.size(); ++i) {
    const bool old = std::any_of(before.listeners.begin(), before.listeners.end(),
                                 [&](const ListenerPlan& it) { return it.same_door(now.listeners[i]); });
    if (!old) log.info("listener " + now.listeners[i].rules.name + ": listening on " + addresses[i].text());
  }
}

}  // namespace rejoin::balancer
