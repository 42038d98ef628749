// A channel between two processes over a unix socket: messages behind a length, connections beside them as
// SCM_RIGHTS, and what their loops had read of them and nobody else.
//
// Place: see passing.h. Owner: the loop that it is made for, its thread.
#pragma once

#include <deque>
#include <string>
#include <unordered_map>
#include <utility>

#include "io/kernel_loop.h"
#include "io/passing.h"

namespace rejoin::io {

class KernelPassChannel final : public PassChannel, private SocketEvents {
 public:
  /// A message is at most so long; a longer one is a broken channel.
  static constexpr std::size_t kMessageBytesMax = std::size_t{1} << 30;

  /// `descriptor`: one end of a connected unix stream socket, the channel's from now on. `loop` outlives it.
  KernelPassChannel(KernelLoop& loop, int descriptor);
  ~KernelPassChannel() override;

  /// Both ends, close-on-exec: {ours, the other process's}. Error: exhausted.
  static Result<std::pair<int, int>> make_pair();

  void set_events(PassEvents* events) override;
  void send(Bytes message, const LooseSocket* with) override;
  std::size_t unsent() const override { return unsent_bytes_; }
  LooseSocket loosen(Socket socket) override;
  Socket fasten(LooseSocket socket) override;

 private:
  /// What waits to be sent; its descriptor goes with its first byte.
  struct Waiting {
    std::string bytes;
    int descriptor = -1;  // a copy of our own, as the sender's may be gone when it leaves
    std::size_t sent = 0;
  };
  void on_ready(Ready ready) override;
  void flush();
  void receive();
  bool deliver();
  void end();
  void drop(std::uint32_t token) override;
  std::string unread_of(std::uint32_t token) const;

  KernelLoop& loop_;
  Socket socket_;
  PassEvents* events_ = nullptr;
  std::deque<Waiting> waiting_;
  std::size_t unsent_bytes_ = 0;
  std::string arrived_;
  std::size_t taken_ = 0;      // bytes of arrived_ that were delivered
  std::deque<int> travelled_;  // descriptors that came, in order
  // Of loose connections, by token: see LooseConnection. Few.
  std::unordered_map<std::uint32_t, std::string> unread_;
  bool* gone_ = nullptr;  // set when we are destroyed in the middle of telling
};

}  // namespace rejoin::io
