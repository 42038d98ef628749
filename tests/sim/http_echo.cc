#include "tests/sim/http_echo.h"

#include "proto/chunk_scanner.h"
#include "proto/http_head.h"

namespace rejoin::sim_test {
namespace {

constexpr Duration kPatience = 20s;

/// The body of a request, read whole. Bytes behind it stay in `arrived`.
Task<Status> read_body(io::World& world, io::Stream& from, Buffer& arrived, proto::Body body,
                       std::string& out) {
  proto::ChunkScanner chunks;
  std::uint64_t left = body.kind == proto::BodyKind::length ? body.length : 0;
  bool done = body.kind == proto::BodyKind::none;
  while (!done) {
    if (arrived.empty()) {
      Status more = co_await from.read_into(arrived, world.clock.now() + kPatience);
      if (!more) co_return more;
    }
    if (body.kind == proto::BodyKind::length) {
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left, arrived.size()));
      out.append(arrived.view().substr(0, count));
      arrived.consume(count);
      left -= count;
      done = left == 0;
    } else {
      const auto step = chunks.step(arrived.view());
      if (step.state == proto::ChunkState::refused)
        co_return Error{ErrorKind::bad_input, Side::client, Retry::no, step.reason};
      out.append(step.payload);
      arrived.consume(step.consumed);
      done = step.state == proto::ChunkState::done;
    }
  }
  co_return Status{};
}

std::string chunked(const std::string& body, Random& random) {
  std::string out;
  for (std::size_t at = 0; at < body.size();) {
    const std::size_t count = 1 + random.below(body.size() - at);
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", count);
    out.append(size).append(body, at, count).append("\r\n");
    at += count;
  }
  return out + "0\r\n\r\n";
}

}  // namespace

HttpEcho::HttpEcho(io::World& world, Address at, std::string name)
    : world_(world), name_(std::move(name)), connections_(world.ready) {
  auto listener = world.network.listen(at, {}, *this);
  if (listener) listener_ = std::move(*listener);
}

HttpEcho::~HttpEcho() = default;

void HttpEcho::stop() {
  listener_.reset();
  stop_.request();
}

void HttpEcho::on_accept(io::Socket socket, const Address&) { connections_.spawn(serve(std::move(socket))); }

Task<void> HttpEcho::serve(io::Socket accepted) {
  io::Stream client(world_, std::move(accepted), Side::client, stop_);
  Buffer arrived = world_.buffers.borrow();
  for (;;) {
    const bool go_on = co_await answer_one(client, arrived);
    if (!go_on) co_return;
  }
}

Task<bool> HttpEcho::answer_one(io::Stream& client, Buffer& arrived) {
  proto::RequestHead request;
  proto::HeadVerdict verdict;
  for (;;) {
    if (!arrived.empty()) verdict = request.feed(arrived.view());
    if (verdict.state != proto::HeadState::need_more) break;
    arrived.compact();
    Status more = co_await client.read_into(arrived, world_.clock.now() + kPatience);
    if (!more) co_return false;
  }
  if (verdict.state == proto::HeadState::refused) {
    ++bad_;
    co_return false;
  }
  const bool keep = request.keep_alive() && world_.random.below(8) != 0;
  const bool has_id = request.find("X-Client") != nullptr;
  const std::string id = has_id ? std::string(request.value(*request.find("X-Client"))) : "none";
  const proto::Body body = request.body();
  const bool head_only = request.method() == proto::Method::head;
  arrived.consume(verdict.consumed);

  std::string content;
  Status whole = co_await read_body(world_, client, arrived, body, content);
  if (!whole) {
    if (whole.error().kind == ErrorKind::bad_input) ++bad_;
    co_return false;
  }
  ++served_;
  std::string out = "HTTP/1.1 200 OK\r\nX-Server: " + name_ + "\r\nX-Client: " + id + "\r\n";
  const auto form = world_.random.below(3);
  if (!keep || form == 2) out += "Connection: close\r\n";
  if (form == 0 || head_only) {
    out += "Content-Length: " + std::to_string(content.size()) + "\r\n\r\n";
    if (!head_only) out += content;
  } else if (form == 1) {
    out += "Transfer-Encoding: chunked\r\n\r\n" + chunked(content, world_.random);
  } else {
    out += "\r\n" + content;  // its end is the end of the connection
  }
  Status sent = co_await client.write_all(out, world_.clock.now() + kPatience);
  co_return sent&& keep&& form != 2;
}

}  // namespace rejoin::sim_test
