// Open connections to servers that wait for their next request (HTTP keep-alive, RFC 9112 9.3).
//
// Owner: one worker. One record of 96 bytes each; a connection that its server closes, or on which it speaks
// out of turn, leaves by itself.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/intrusive_list.h"
#include "base/limits.h"
#include "base/record_pool.h"
#include "base/timers.h"
#include "io/network.h"
#include "io/world.h"

namespace rejoin::upstream {

class IdleConnections {
 public:
  /// For `servers` servers, named by index from 0. Keeps at most `most` of each, for at most `keep`.
  IdleConnections(io::World& world, std::size_t servers, Duration keep,
                  std::size_t most = limits::kIdlePerServerMax);
  ~IdleConnections();

  /// A socket that was open a moment ago, the one used last first; empty when there is none, or none that was
  /// used within `used_within`. The server may still close it before it has read the request: whoever takes
  /// one must be ready to send again on a new connection, or to let their client do that.
  io::Socket take(std::size_t server, Duration used_within = Duration::max());
  /// Keeps `socket` for reuse, or closes it when there are enough or something unread is on it.
  /// `told`: how long its server has said to keep it.
  void put(std::size_t server, io::Socket socket, Duration told = Duration::max());
  /// Closes those of one server (it went down), or all.
  void close(std::size_t server);
  void close_all();
  /// The connections of server `from` of `other` are those of our server `to` from now on.
  void take_over(std::size_t to, IdleConnections& other, std::size_t from);
  /// Closes all, and keeps none any more: another one stands in its place.
  void retire();
  std::size_t size() const { return records_.live(); }

 private:
  struct Record final : ListNode, io::SocketEvents {
    Record(IdleConnections& owner, io::Socket s, std::size_t of);
    void on_ready(io::Ready ready) override;
    IdleConnections& home;
    io::Socket socket;
    Timer expiry;
    TimePoint since;
    std::size_t server;
  };
  void drop(Record& record);

  struct Server {
    List<Record> records;  // the one used last stands last
    std::size_t count = 0;
  };
  io::World& world_;
  Duration keep_;
  std::size_t most_;
  RecordPool<Record> records_;
  std::vector<std::unique_ptr<Server>> servers_;
  bool retired_ = false;
};

}  // namespace rejoin::upstream
