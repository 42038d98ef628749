// The upstream that needs no game server: it greets, and says everything back. For demonstrations and for
// tests of the path.
//
// Place: the end of the path. A link (apps/gateway) hands it whole messages; what it says comes back through
// a MessageSink. Owner: a gateway's worker, one for all its links, since an echo remembers nothing; its
// loop's thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/bytes.h"
#include "upstream/message.h"

namespace rejoin::upstream {

/// Where an upstream's messages go: towards the client.
class MessageSink {
 public:
  /// Takes all of it, in order. What the client does not read yet is kept by the sink, which has to stop the
  /// source of messages before it holds too much.
  virtual void send(const Message& message) = 0;

 protected:
  ~MessageSink() = default;
};

class Echo {
 public:
  /// `server` is the name that the greeting tells: the gateway's.
  explicit Echo(std::string server) : server_(std::move(server)) {}

  /// What a client of a cookie-setting gateway brought.
  struct SeenCookie {
    std::optional<std::string_view> value;  // nothing: it brought none
  };

  /// The first message of a link, one JSON object of ASCII characters:
  /// {"server":"g1","client":"127.0.0.1:41000"}. With `cookie` there is a member "cookie" as well: the value
  /// that reached us (at most limits::kGreetingCookieBytesMax of it), or null; so that an experiment can see
  /// what a balancer stripped or rewrote. Bytes that are not ASCII are written as the characters U+0080 to
  /// U+00FF.
  std::string greeting(const Address& client, const std::optional<SeenCookie>& cookie) const;

  /// Says `message` back.
  void take(const Message& message, MessageSink& back) const { back.send(message); }

 private:
  std::string server_;
};

}  // namespace rejoin::upstream
