// The admin port: a small HTTP/1.1 server for operators and their scripts (`rejoin ctl`, Prometheus, curl).
//
// Place: beside the path, never on it. Hears a head, hands what was asked to an AdminHandler, writes its
// reply, and hears the next one. Bodies of requests are not read: parameters stand in the query.
//
// What keeps strangers out is the address that it listens on, or a token (`Authorization: Bearer ...`),
// without which everything but kOpenPaths is answered 401. What keeps the pages of the operator's own browser
// out is that a request with an Origin is answered 403, and where there is no token, so is one for a Host
// that is a name (a page whose name was made to point here: DNS rebinding).
//
// Owner: one worker; its thread.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "base/scope.h"
#include "base/task.h"
#include "io/network.h"
#include "io/world.h"
#include "proto/http_head.h"

namespace rejoin::watch {

class Json;

// Limits of the admin port.
inline constexpr std::size_t kAdminConnectionsMax = 64;
/// From the first byte of a request to its whole head, and for the first one.
inline constexpr std::chrono::seconds kAdminHeadS{10};
/// Between two requests on one connection.
inline constexpr std::chrono::seconds kAdminIdleS{60};
/// For a whole answer.
inline constexpr std::chrono::seconds kAdminAnswerS{30};

/// Asked by balancers and supervisors, who have no token; they tell nothing but yes or no.
inline constexpr std::string_view kOpenPaths[] = {"/healthz", "/readyz"};

/// Where an admin port is, and who may ask there.
struct AdminDoor {
  Address listen;
  std::string token = {};  // empty: whoever reaches it
};

/// What was asked, decoded.
struct AdminRequest {
  proto::Method method = proto::Method::get;  // HEAD is GET: the server leaves the body out
  std::string path;                           // "/sessions/3f…"
  std::vector<std::pair<std::string, std::string>> query;

  /// The first parameter of that name; nothing when there is none.
  std::optional<std::string> parameter(std::string_view name) const;
};
/// Path and query of an origin-form target, percent-decoded ('+' in the query is a space). Nothing when an
/// escape is broken.
std::optional<AdminRequest> parse_admin_target(Bytes target);
/// Percent-encodes what cannot stand as a value in a query.
std::string encode_parameter(std::string_view text);

struct AdminReply {
  int status = 200;  // 200 to 599, with a body
  std::string body;
  std::string content_type = "application/json";
  std::string field_lines = {};  // whole lines with CRLF; ours, not checked

  /// `{"error": "..."}`, for people and scripts alike.
  static AdminReply error(int status, std::string_view why);
  /// 405, with the method that is allowed.
  static AdminReply wrong_method(std::string_view allowed);
  static AdminReply of(const Json& body, int status = 200);
};
/// 400 for a parameter that is not among `known`: a misspelt one would otherwise be ignored in silence.
std::optional<AdminReply> unknown_parameter(const AdminRequest& request,
                                            const std::vector<std::string_view>& known);

class AdminHandler {
 public:
  /// May take its time: the connection waits, and others are served meanwhile. Ends soon when its program is
  /// stopped.
  virtual Task<AdminReply> answer(AdminRequest request) = 0;

 protected:
  ~AdminHandler() = default;
};

class AdminServer final : private io::AcceptEvents {
 public:
  /// Both outlive it. idle() when it dies.
  AdminServer(io::World& world, AdminHandler& handler);
  ~AdminServer();

  /// Error: the address cannot be listened on.
  Status open(const AdminDoor& door);
  /// The real one; none when it is not open.
  Address address() const { return listener_ ? listener_->address() : Address(); }
  /// Stops listening and ends every connection; idle() follows within some turns.
  void close();
  bool idle() const { return connections_.running() == 0; }

 private:
  void on_accept(io::Socket socket, const Address& peer) override;
  std::optional<AdminReply> against(const proto::RequestHead& request) const;
  Task<void> serve(io::Socket socket);

  io::World& world_;
  AdminHandler& handler_;
  std::string token_;
  std::unique_ptr<io::Listener> listener_;
  Stop stop_;
  Scope connections_;
};

}  // namespace rejoin::watch
