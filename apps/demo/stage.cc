#include "apps/demo/stage.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "io/sockaddr.h"

namespace rejoin::demo {
namespace {

using std::chrono::milliseconds;

constexpr std::uint16_t kGatewayPort = 8000;
constexpr int kLoopbackTries = 9;
constexpr milliseconds kReadyTime{10'000};
constexpr milliseconds kVisitTime{10'000};
constexpr const char* kVisitStepTime = "3s";

/// Would a listener there open? Connections that linger from a run before do not count, listeners do.
bool is_free(const Address& address) {
  const io::SocketAddress at = io::to_sockaddr(address);
  const int descriptor = socket(at.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return false;
  const int on = 1;
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const bool bound = bind(descriptor, reinterpret_cast<const sockaddr*>(&at.storage), at.length) == 0 &&
                     ::listen(descriptor, 1) == 0;
  ::close(descriptor);
  return bound;
}

/// Balancer and gateways share it: tickets of the ones are read by the other.
const char* const kKeys = "[keys]\nseal = [\"file:seal.key\"]\n\n";

std::string gateway_toml(std::size_t number, const Address& address, const Setting& setting) {
  std::string out = kKeys + ("[gateway]\nname = \"" + gateway_name(number)) + "\"\n" +  //
                    "listener = [ { listen = \"" + address.text() + "\", kind = \"websocket\" } ]\n";
  if (!setting.game_servers.empty()) {
    // A page to look at: what a phone's user would wait half a minute for is found out in seconds.
    out += "upstream = { kind = \"tcp\", address = \"" + setting.game_servers[number] +
           "\" }\nsession = { grace = \"2m\", spread = \"200ms\" }\nheartbeat = { ping = \"1s\", dead = "
           "\"3s\" }\n"
           "pages = \"" +
           setting.pages + "\"\n";
  } else if (setting.game_server.empty()) {
    out += "upstream = { kind = \"echo\" }\n";
  } else {
    out += "upstream = { kind = \"tcp\", address = \"" + setting.game_server + "\" }\nadvertise = [ \"ws://" +
           address.text() + "\" ]\nsession = { grace = \"30s\", spread = \"200ms\" }\n";
  }
  if (!setting.gateway_cookie.empty()) out += "cookie = \"" + setting.gateway_cookie + "\"\n";
  return out;
}

std::string balancer_toml(const std::array<Address, kGateways>& gateways, const Setting& setting) {
  std::string servers;
  for (std::size_t i = 0; i < gateways.size(); ++i) {
    if (i != 0) servers += ", ";
    servers += "{ name = \"" + gateway_name(i) + "\", address = \"" + gateways[i].text() + "\" }";
  }
  return std::string(kKeys) + "[[listener]]\nname = \"play\"\nlisten = \"127.0.0.1:0\"\nmode = \"" +
         setting.mode +
         "\"\npool = \"gateways\"\n\n[[pool]]\nname = \"gateways\"\nscheduler = \"round-robin\"\naffinity = "
         "[ " +
         setting.affinity +
         " ]\nhealth = { kind = \"http\", path = \"/healthz\", every = \"500ms\", timeout = \"500ms\", "
         "rise = 1, fall = 2 }\n"
         "connect_timeout = \"1s\"\nserver = [ " +
         servers + " ]\n";
}

}  // namespace

std::string gateway_name(std::size_t number) { return "g" + std::to_string(number + 1); }

Result<std::unique_ptr<PrivateFolder>> PrivateFolder::make() {
  const char* parent = std::getenv("TMPDIR");
  std::string path =
      std::string(parent != nullptr && *parent != '\0' ? parent : "/tmp") + "/rejoin-demo-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) return Error::from_errno(errno, "make a folder " + path);
  return std::unique_ptr<PrivateFolder>(new PrivateFolder(std::move(path)));
}

PrivateFolder::~PrivateFolder() {
  std::error_code ignored;  // what is left in /tmp is no reason to fail
  std::filesystem::remove_all(path_, ignored);
}

Status PrivateFolder::write(const std::string& file, const std::string& text) const {
  std::error_code failed;
  std::filesystem::create_directories(std::filesystem::path(path(file)).parent_path(), failed);
  std::ofstream out(path(file), std::ios::trunc);
  out << text << std::flush;
  if (!out) return Error{ErrorKind::os, Side::ours, Retry::no, "cannot write " + path(file)};
  return {};
}

Result<std::array<Address, kGateways>> free_gateway_addresses() {
  for (int i = 1; i <= kLoopbackTries; ++i) {
    std::array<Address, kGateways> out;
    bool all_free = true;
    for (std::size_t g = 0; g < kGateways; ++g) {
      const std::string ip = "127.0." + std::to_string(i) + "." + std::to_string(g + 1);
      out[g] = *Address::parse_ip(ip, kGatewayPort);
      all_free = all_free && is_free(out[g]);
    }
    if (all_free) return out;
  }
  return Error{
      ErrorKind::refused, Side::ours, Retry::no,
      "port 8000 is taken on all of 127.0.1.1 to 127.0.9.2: something listens there on every address"};
}

Stage::Stage(Children& children, const PrivateFolder& folder, const std::array<Address, kGateways>& gateways)
    : children_(children), folder_(folder), addresses_(gateways) {}

Stage::~Stage() {
  if (balancer_ != nullptr) children_.end(*balancer_, SIGKILL);
  for (Child* gateway : gateways_) {
    if (gateway != nullptr) children_.end(*gateway, SIGKILL);
  }
}

Status Stage::open(const Setting& setting) {
  for (std::size_t i = 0; i < kGateways; ++i) {
    Status written = folder_.write(gateway_name(i) + ".toml", gateway_toml(i, addresses_[i], setting));
    if (written) written = start_gateway(i);
    if (!written) return written;
  }
  Status written = folder_.write("balancer.toml", balancer_toml(addresses_, setting));
  if (!written) return written;
  Result<Child*> balancer = start_server("balancer", "balancer");
  if (!balancer) return std::move(balancer.error());
  balancer_ = *balancer;

  static constexpr std::string_view kListening = "listening on ";
  const std::string* line = balancer_->find(kListening);
  if (line == nullptr) return failed("the balancer did not say where it listens", *balancer_);
  url_ = "ws://" + line->substr(line->find(kListening) + kListening.size()) + "/play";
  return {};
}

Status Stage::start_gateway(std::size_t number) {
  Result<Child*> gateway = start_server(gateway_name(number), "gateway");
  if (!gateway) return std::move(gateway.error());
  gateways_[number] = *gateway;
  return {};
}

void Stage::kill_gateway(std::size_t number) {
  children_.end(*gateways_[number], SIGKILL);
  gateways_[number] = nullptr;
}

Result<Child*> Stage::start_server(const std::string& name, const std::string& command) {
  Result<Child*> child = children_.start(name, {command, "-c", folder_.path(name + ".toml")});
  if (!child) return child;
  const auto settled = [&] { return (*child)->ended() || (*child)->find(": ready") != nullptr; };
  const Status waited = children_.wait(settled, kReadyTime);
  if (waited && !(*child)->ended()) return child;
  Error error = failed(waited ? name + " ended at once" : name + ": " + waited.error().detail, **child);
  children_.end(**child, SIGKILL);
  return error;
}

Result<connect::Account> Stage::visit(const std::string& from, const std::string& jar) {
  std::vector<std::string> arguments{"connect",   url_,    "--json",    "--bind",      from,
                                     "--message", "hello", "--timeout", kVisitStepTime};
  if (!jar.empty()) {
    arguments.push_back("--cookie-jar");
    arguments.push_back(folder_.path(jar));
  }
  Result<Child*> client = children_.start("client", std::move(arguments));
  if (!client) return std::move(client.error());
  const Status waited = children_.wait([&] { return (*client)->ended().has_value(); }, kVisitTime);
  std::optional<connect::Account> account = connect::from_json((*client)->output());
  Status outcome;
  if (!waited) {
    outcome = failed("client: " + waited.error().detail, **client);
  } else if (!account) {
    outcome = failed("the client gave no account", **client);
  } else if (!account->error && (account->messages.size() != 2 || account->messages[1] != "hello")) {
    outcome = failed("the client's message did not come back", **client);
  }
  children_.end(**client, SIGKILL);
  if (!outcome) return std::move(outcome.error());
  return std::move(*account);
}

Error Stage::failed(const std::string& what, const Child& child) const {
  std::string detail = what;
  for (const std::string& line : child.said()) detail += "\n    " + child.name() + ": " + line;
  return Error{ErrorKind::os, Side::ours, Retry::no, detail};
}

}  // namespace rejoin::demo
