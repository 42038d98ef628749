#include "apps/demo/web_page.h"

#include <signal.h>

#include <cstdio>
#include <string>

namespace rejoin::demo {
namespace {

constexpr auto kStartTime = std::chrono::seconds(10);
constexpr int kPortsTried = 20;

/// A child that says where it listens, and then "ready".
class Server {
 public:
  Server(Children& children, std::string name) : children_(children), name_(std::move(name)) {}
  ~Server() {
    if (child_ != nullptr) children_.end(*child_, SIGTERM);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  Status start(std::vector<std::string> arguments) {
    Result<Child*> child = children_.start(name_, std::move(arguments));
    if (!child) return std::move(child.error());
    child_ = *child;
    const Status ready =
        children_.wait([&] { return child_->ended() || child_->find("ready") != nullptr; }, kStartTime);
    if (ready && !child_->ended()) return {};
    std::string why = name_ + " did not start";
    for (const std::string& line : child_->said()) why += "\n    " + line;
    children_.end(*child_, SIGKILL);
    child_ = nullptr;
    return Error{ErrorKind::os, Side::ours, Retry::no, why};
  }
  /// The addresses that it listens on, in its order.
  std::vector<std::string> addresses() const {
    static constexpr std::string_view kListening = "listening on ";
    std::vector<std::string> out;
    for (const std::string& line : child_->said()) {
      if (line.starts_with(kListening)) out.push_back(line.substr(kListening.size()));
    }
    return out;
  }
  bool ended() const { return child_->ended().has_value(); }

 private:
  Children& children_;
  std::string name_;
  Child* child_ = nullptr;
};

/// "ws://127.0.0.1:41234/play" -> "127.0.0.1:41234"
std::string host_of(const std::string& url) {
  const std::size_t begin = url.find("://") + 3;
  return url.substr(begin, url.find('/', begin) - begin);
}

Status start_network(Server& network, const std::string& at, const std::string& balancer) {
  Result<Address> address = Address::parse(at);
  if (!address) return std::move(address.error());
  const bool may_move = at == kPageAddress;
  Status started;
  for (int i = 0; i < kPortsTried; ++i) {
    started = network.start({"demo", "--access-network", address->text() + "," + balancer});
    if (started || !may_move) return started;
    ++address->port;
  }
  return started;
}

}  // namespace

Status serve_web_page(Children& children, const PrivateFolder& folder,
                      const std::array<Address, kGateways>& gateways, const std::string& at) {
  for (const WebFile& file : web_files()) {
    Status written = folder.write("web/" + std::string(file.name), std::string(file.bytes));
    if (!written) return written;
  }
  Server arena(children, "arena server");
  Status status = arena.start({"demo", "--arena-server", "127.0.0.1:0,127.0.0.1:0"});
  if (!status) return status;
  Setting setting{.affinity = "{ kind = \"ticket\" }", .mode = "http", .gateway_cookie = ""};
  setting.game_servers = arena.addresses();
  setting.pages = "web";
  Stage stage(children, folder, gateways);
  status = stage.open(setting);
  if (!status) return status;
  Server network(children, "network");
  status = start_network(network, at, host_of(stage.url()));
  if (!status) return status;

  const std::string address = network.addresses().front();
  std::printf(
      "\nOpen  http://%s/  in a browser, and break the connection.\n\n"
      "   browser  ->  network that can be broken  ->  balancer %s  ->  gateways g1 %s, g2 %s  ->  game "
      "server\n\n"
      "Ctrl-C ends it.\n",
      address.c_str(), host_of(stage.url()).c_str(), gateways[0].text().c_str(), gateways[1].text().c_str());
  std::fflush(stdout);
  for (;;) {
    const Status waited =
        children.wait([&] { return network.ended() || arena.ended(); }, std::chrono::hours(1));
    if (!waited && waited.error().kind == ErrorKind::timed_out) continue;
    if (!waited && waited.error().kind == ErrorKind::cancelled) return {};
    if (!waited) return waited;
    return Error{ErrorKind::os, Side::ours, Retry::no, "a part of it has ended by itself"};
  }
}

}  // namespace rejoin::demo
