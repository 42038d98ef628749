// What the access log will say of a link besides what the link knows itself. There only where there is an
// access log: a link without has a null pointer.
//
// Nothing here is written per message: what a link said and heard is the difference of its session's counts
// between the two moments at which it got the session and lost it. Owner: the link; its worker's thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "apps/gateway/caller.h"
#include "base/result.h"
#include "route/ticket.h"
#include "session/session.h"

namespace rejoin::gateway {

struct LinkNotes {
  LinkNotes(Caller from, std::string at) : caller(std::move(from)), listener(std::move(at)) {}

  Caller caller;
  std::string listener;

  // of the session that it has, or had
  route::SessionId session{};
  bool attached = false;  // it had one
  bool resumed = false;   // which had a link before
  std::uint32_t epoch = 0;
  std::uint64_t messages_in = 0, messages_out = 0, bytes_out = 0;

  // what its client was told at the end; 0: nothing
  std::uint16_t code = 0;
  std::optional<Side> by;  // who ended its session, where it ended with that
  std::string detail;

  void got(const session::Session& of, const session::SendWindow::Cursor& from, bool was_there) {
    session = of.id();
    attached = true;
    resumed = was_there;
    epoch = of.epoch();
    received_from_ = of.received();
    from_ = from;
    code = 0;  // of an opening that was refused before
    detail.clear();
  }
  void lost(const session::Session& of, const session::SendWindow::Cursor& next) {
    messages_in = of.received() - received_from_;
    messages_out = next.next - from_.next;
    bytes_out = next.offset - from_.offset - messages_out * session::SendWindow::kMarkBytes;
  }
  void told(std::uint16_t with, std::string_view why, std::optional<Side> whose = {}) {
    code = with;
    detail = why;
    by = whose;
  }

 private:
  std::uint64_t received_from_ = 0;
  session::SendWindow::Cursor from_;
};

}  // namespace rejoin::gateway
