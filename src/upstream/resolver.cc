// The only unit that includes c-ares.
#include "upstream/resolver.h"

#include <ares.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "proto/dns_answer.h"

namespace rejoin::upstream {
namespace {

constexpr int kClassInternet = 1, kNoError = 0, kNoSuchName = 3;

Error failure(const std::string& name, std::string_view why) {
  return {ErrorKind::unreachable, Side::server, Retry::yes, "name " + name + ": " + std::string(why)};
}

int type_of(NameKind kind) {
  switch (kind) {
    case NameKind::a: return static_cast<int>(proto::DnsType::a);
    case NameKind::aaaa: return static_cast<int>(proto::DnsType::aaaa);
    case NameKind::srv: break;
  }
  return static_cast<int>(proto::DnsType::srv);
}

/// The least TTL of what was used.
void heed(Duration& ttl, const proto::DnsRecord& record) {
  const auto of = std::chrono::duration_cast<Duration>(std::chrono::seconds(record.ttl_s));
  ttl = ttl == Duration(0) ? of : std::min(ttl, of);
}

}  // namespace

struct Resolver::Channel {
  ~Channel() {
    if (open) ares_destroy(channel);
    ares_library_cleanup();
  }
  ares_channel channel{};
  bool open = false;
};

/// One question. Shared by the coroutine that waits and by c-ares, either of which may be the last.
struct Resolver::Asked {
  Waiter* waiter = nullptr;  // none: nobody waits any more
  bool answered = false;
  int status = 0;
  std::string message;

  static void done(void* self, int status, int, unsigned char* bytes, int length) {
    const std::unique_ptr<std::shared_ptr<Asked>> held(static_cast<std::shared_ptr<Asked>*>(self));
    Asked& asked = **held;
    asked.answered = true;
    asked.status = status;
    if (bytes != nullptr)
      asked.message.assign(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(length));
    if (asked.waiter != nullptr) asked.waiter->wake();
  }
};

Resolver::Resolver(io::KernelLoop& loop, io::World& world, Stop& stop)
    : loop_(loop),
      world_(world),
      stop_(stop),
      timer_([](void* self) { static_cast<Resolver*>(self)->on_time(); }, this) {}

Result<std::unique_ptr<Resolver>> Resolver::make(io::KernelLoop& loop, io::World& world,
                                                 const ResolverRules& rules, Stop& stop) {
  std::unique_ptr<Resolver> out(new Resolver(loop, world, stop));
  out->sockets_ = epoll_create1(EPOLL_CLOEXEC);
  if (out->sockets_ < 0) return Error::from_errno(errno, "epoll_create1");
  if (!loop.watch(out->sockets_, [self = out.get()] { self->on_sockets(); }))
    return Error::from_errno(errno, "watch the sockets of c-ares");
  const auto no_good = [](int status) {
    return Error{ErrorKind::config, Side::ours, Retry::no, std::string("c-ares: ") + ares_strerror(status)};
  };
  ares_library_init(ARES_LIB_INIT_ALL);
  out->channel_ = std::make_unique<Channel>();
  ares_options options{};
  options.timeout =
      static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(rules.timeout).count());
  options.tries = rules.tries;
  options.lookups = const_cast<char*>("b");  // DNS, and not the file of hosts
  options.sock_state_cb_data = out.get();
  options.sock_state_cb = [](void* self, ares_socket_t socket, int readable, int writable) {
    const int sockets = static_cast<Resolver*>(self)->sockets_;
    epoll_event event{};
    event.events = (readable != 0 ? EPOLLIN : 0u) | (writable != 0 ? EPOLLOUT : 0u);
    event.data.fd = socket;
    if (event.events == 0) {
      epoll_ctl(sockets, EPOLL_CTL_DEL, socket, nullptr);
    } else if (epoll_ctl(sockets, EPOLL_CTL_MOD, socket, &event) != 0) {
      epoll_ctl(sockets, EPOLL_CTL_ADD, socket, &event);
    }
  };
  const int asked_for = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;
  if (const int status = ares_init_options(&out->channel_->channel, &options, asked_for);
      status != ARES_SUCCESS)
    return no_good(status);
  out->channel_->open = true;
  std::string servers;
  for (const Address& server : rules.servers) {
    Address at = server;
    if (at.port == 0) at.port = 53;
    servers += (servers.empty() ? "" : ",") + at.text();
  }
  if (servers.empty()) return out;
  if (const int status = ares_set_servers_ports_csv(out->channel_->channel, servers.c_str());
      status != ARES_SUCCESS)
    return no_good(status);
  return out;
}

Resolver::~Resolver() {
  channel_.reset();  // tells everybody who asked, of whom nobody waits
  timer_.cancel();
  if (sockets_ < 0) return;
  loop_.unwatch(sockets_);
  ::close(sockets_);
}

// --- c-ares at work ---

void Resolver::on_sockets() {
  std::array<epoll_event, 16> events;
  const int count = epoll_wait(sockets_, events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    const bool broken = (event.events & (EPOLLERR | EPOLLHUP)) != 0;
    const ares_socket_t socket = event.data.fd;
    ares_process_fd(channel_->channel, broken || (event.events & EPOLLIN) != 0 ? socket : ARES_SOCKET_BAD,
                    broken || (event.events & EPOLLOUT) != 0 ? socket : ARES_SOCKET_BAD);
  }
  arm();
}

void Resolver::on_time() {
  ares_process_fd(channel_->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  arm();
}

void Resolver::arm() {
  timeval in{};
  if (ares_timeout(channel_->channel, nullptr, &in) == nullptr) return timer_.cancel();
  const Duration wait = std::chrono::duration_cast<Duration>(std::chrono::seconds(in.tv_sec)) +
                        std::chrono::duration_cast<Duration>(std::chrono::microseconds(in.tv_usec)) + 1ms;
  world_.timers.arm(timer_, world_.clock.now() + wait);
}

// --- questions ---

/// The bytes of the answer, whatever it says.
Task<Result<std::string>> Resolver::ask(std::string name, int type) {
  if (stop_.requested()) co_return failure(name, "stopping");
  Waiter waiter(world_.ready, world_.timers, stop_);
  const auto asked = std::make_shared<Asked>();
  asked->waiter = &waiter;
  ares_query(channel_->channel, name.c_str(), kClassInternet, type, &Asked::done,
             new std::shared_ptr<Asked>(asked));
  arm();
  bool stopped = false;
  while (!asked->answered && !stopped) {
    const Woken woken = co_await waiter.until(world_.clock.now() + 1h);
    stopped = woken == Woken::stopped;
  }
  asked->waiter = nullptr;
  if (!asked->answered) co_return failure(name, "stopping");
  // c-ares calls a name without records an error, and gives the message with it.
  const bool empty = asked->status == ARES_ENODATA || asked->status == ARES_ENOTFOUND;
  if (asked->status != ARES_SUCCESS && !(empty && !asked->message.empty()))
    co_return failure(name, ares_strerror(asked->status));
  co_return std::move(asked->message);
}

Task<Status> Resolver::add_addresses(std::string name, NameKind kind, FoundServer like, NameAnswer& out) {
  const Result<std::string> message = co_await ask(name, type_of(kind));
  if (!message) co_return message.error();
  const auto answer = proto::parse_dns_answer(*message);
  if (!answer || answer->truncated) co_return failure(name, "a broken answer");
  if (answer->code == kNoSuchName) co_return Status();
  if (answer->code != kNoError) co_return failure(name, "code " + std::to_string(answer->code));
  const auto wanted = kind == NameKind::a ? proto::DnsType::a : proto::DnsType::aaaa;
  for (const proto::DnsRecord& record : answer->answers) {
    if (record.type != wanted && record.type != proto::DnsType::cname) continue;
    heed(out.ttl, record);
    if (record.type != wanted || out.found.size() >= kFoundServersMax) continue;
    like.address = record.address;
    out.found.push_back(like);
  }
  co_return Status();
}

Task<Status> Resolver::add_targets(std::string name, NameAnswer& out) {
  const Result<std::string> message = co_await ask(name, type_of(NameKind::srv));
  if (!message) co_return message.error();
  const auto answer = proto::parse_dns_answer(*message);
  if (!answer || answer->truncated) co_return failure(name, "a broken answer");
  if (answer->code == kNoSuchName) co_return Status();
  if (answer->code != kNoError) co_return failure(name, "code " + std::to_string(answer->code));
  std::vector<proto::DnsRecord> targets;
  for (const proto::DnsRecord& record : answer->answers) {
    if (record.type == proto::DnsType::cname) heed(out.ttl, record);
    if (record.type == proto::DnsType::srv && !record.target.empty()) targets.push_back(record);
  }
  if (targets.empty()) co_return Status();
  const auto less = [](const proto::DnsRecord& a, const proto::DnsRecord& b) {
    return a.priority < b.priority;
  };
  std::stable_sort(targets.begin(), targets.end(), less);
  const std::uint16_t best = targets.front().priority;
  if (targets.size() > kSrvTargetsMax) targets.resize(kSrvTargetsMax);
  const bool weighed =
      std::any_of(targets.begin(), targets.end(), [](const auto& it) { return it.weight > 0; });
  for (const proto::DnsRecord& target : targets) {
    heed(out.ttl, target);
    // Weights are all 0 where nobody cares; beside others 0 means "hardly ever".
    const std::uint16_t weight = weighed ? std::max<std::uint16_t>(target.weight, 1) : 1;
    const std::size_t before = out.found.size();
    for (const proto::DnsRecord& beside : answer->additional) {
      const bool address = beside.type == proto::DnsType::a || beside.type == proto::DnsType::aaaa;
      if (!address || beside.name != target.target || out.found.size() >= kFoundServersMax) continue;
      heed(out.ttl, beside);
      out.found.push_back({beside.address, target.target, weight, target.priority != best});
    }
    if (out.found.size() == before) {
      const FoundServer like{{}, target.target, weight, target.priority != best};
      Status four = co_await add_addresses(target.target, NameKind::a, like, out);
      if (!four) co_return four;
      Status six = co_await add_addresses(target.target, NameKind::aaaa, like, out);
      if (!six) co_return six;
    }
    for (std::size_t i = before; i < out.found.size(); ++i) out.found[i].address.port = target.port;
  }
  co_return Status();
}

Task<Result<NameAnswer>> Resolver::look_up(NameQuery query) {
  NameAnswer out;
  Status done;
  if (query.kind == NameKind::srv) {
    done = co_await add_targets(query.name, out);
  } else {
    const FoundServer like{};
    done = co_await add_addresses(query.name, query.kind, like, out);
    for (FoundServer& found : out.found) found.address.port = query.port;
  }
  if (!done) co_return std::move(done.error());
  std::sort(out.found.begin(), out.found.end());
  const auto same = [](const FoundServer& a, const FoundServer& b) { return a.address == b.address; };
  out.found.erase(std::unique(out.found.begin(), out.found.end(), same), out.found.end());
  co_return out;
}

}  // namespace rejoin::upstream
