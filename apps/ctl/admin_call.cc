#include "apps/ctl/admin_call.h"

#include "io/stream.h"
#include "proto/http_head.h"

namespace rejoin::ctl {
namespace {

Error no_answer(ErrorKind kind, std::string why) { return {kind, Side::server, Retry::no, std::move(why)}; }

/// The head, and what of the body came with it.
struct Begun {
  int status = 0;
  std::uint64_t length = 0;
  std::string body;
};

Task<Result<Begun>> hear_head(io::World& world, io::Stream& server, TimePoint deadline) {
  Buffer arrived = world.buffers.borrow();
  proto::ResponseHead head;
  for (;;) {
    Status more = co_await server.read_into(arrived, deadline);
    if (!more) co_return std::move(more.error());
    const proto::HeadVerdict verdict = head.feed(arrived.view());
    if (verdict.state == proto::HeadState::refused) {
      co_return no_answer(ErrorKind::bad_input, "what listens there speaks no HTTP: is it the admin port?");
    }
    if (verdict.state == proto::HeadState::need_more) continue;
    Begun begun;
    begun.status = head.status();
    begun.length = head.content_length().value_or(0);
    begun.body = arrived.view().substr(verdict.consumed);
    co_return begun;
  }
}

}  // namespace

Task<Result<AdminAnswer>> call_admin(io::World& world, AdminCall call, Stop& stop) {
  io::Stream server(world, Side::server, stop);
  const TimePoint deadline = world.clock.now() + Duration(kAdminCallS);
  const io::ConnectOptions options;
  Status open = co_await server.connect(call.to, options, deadline);
  if (!open) co_return std::move(open.error());
  const std::string request = call.method + " " + call.target + " HTTP/1.1\r\nHost: " + call.to.text() +
                              "\r\nUser-Agent: rejoin-ctl\r\nConnection: close\r\n" +
                              (call.token.empty() ? "" : "Authorization: Bearer " + call.token + "\r\n") +
                              "\r\n";
  Status sent = co_await server.write_all(request, deadline);
  if (!sent) co_return std::move(sent.error());
  Result<Begun> begun = co_await hear_head(world, server, deadline);
  if (!begun) co_return std::move(begun.error());
  if (begun->length > kAdminBodyBytesMax)
    co_return no_answer(ErrorKind::too_large, "the answer is too large");
  AdminAnswer answer;
  answer.status = begun->status;
  answer.body = std::move(begun->body);
  while (answer.body.size() < begun->length) {
    Status possible = co_await server.readable(deadline);
    if (!possible) co_return std::move(possible.error());
    const io::ReadResult read = server.socket().read();
    if (read.state == io::ReadResult::State::would_block) continue;
    if (!read.got()) co_return no_answer(ErrorKind::closed, "the answer ended in its middle");
    answer.body += read.view();
  }
  answer.body.resize(begun->length);
  co_return answer;
}

}  // namespace rejoin::ctl
