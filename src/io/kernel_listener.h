// The Listener of a KernelLoop: one listening socket, or several that were inherited for one address.
//
// Owner: who called listen(). Its loop tells on_readable().
#pragma once

#include <memory>
#include <vector>

#include "base/timers.h"
#include "io/kernel_loop.h"

namespace rejoin::io {

class KernelListener final : public Listener {
 public:
  /// `descriptor` is open and listens, or will.
  KernelListener(KernelLoop& loop, int descriptor, const Address& asked, AcceptEvents& events);
  ~KernelListener() override;

  int descriptor() const { return descriptor_; }
  std::uint32_t generation() const { return generation_; }
  bool accepting() const { return accepting_; }
  Address asked() const { return asked_.port != 0 ? asked_ : address(); }
  /// To another process.
  void leave();
  /// Another socket of the same address, for the same events.
  void add(std::unique_ptr<KernelListener> other) { others_.push_back(std::move(other)); }

  Address address() const override;
  bool paused() const override { return paused_; }

  /// Connections wait. As many are taken at a time as were waiting last time: one accept that finds nothing
  /// costs more than being told once more.
  void on_readable();
  /// Goes on after a pause.
  void resume();

 private:
  bool accept_one();
  void pause(int errnum);
  void begin();
  void end();

  KernelLoop& loop_;
  AcceptEvents& events_;
  Timer retry_;
  TimePoint quiet_until_{};
  std::vector<std::unique_ptr<KernelListener>> others_;
  Address asked_;
  int descriptor_;
  std::uint32_t generation_;
  int batch_ = 1;
  bool accepting_ = false;
  bool paused_ = false;
  bool left_ = false;  // to another process
};

}  // namespace rejoin::io
