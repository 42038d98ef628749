#include "apps/balancer/come_again.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "proto/http_response.h"
#include "proto/resume_frame.h"
#include "proto/ws_frame.h"

namespace rejoin::balancer {
namespace {

constexpr Bytes kWhy = "the gateway of this session is not reachable at the moment";

/// As a gateway would say it. Epoch 0: the balancer knows of none, and none was taken.
std::string detach_frame(Duration wait) {
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
  proto::Detach detach;
  detach.code = proto::number(proto::LinkCode::owner_unreachable);
  detach.action = proto::DetachAction::again;
  detach.wait_ms =
      static_cast<std::uint32_t>(std::clamp<std::int64_t>(ms, 1, std::numeric_limits<std::uint32_t>::max()));
  detach.reason = kWhy;
  std::string out;
  proto::append_detach(out, detach, 0);
  return out;
}

/// May this become a link of the resume protocol?
bool opens_link(const proto::RequestHead& request, proto::UpgradeVerdict& verdict) {
  verdict = proto::check_upgrade_request(request);
  return verdict.ok() && !proto::select_protocol(request, std::span(&proto::kResumeProtocol, 1)).empty();
}

Status write_503(Buffer& out, const proto::RequestHead& request, Duration wait) {
  const std::string text = "503 Service Unavailable\n" + std::string(kWhy) + "\n";
  const auto seconds = std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(wait).count());
  const std::string retry_after = "Retry-After: " + std::to_string(seconds) + "\r\n";
  proto::SimpleResponse response;
  response.status = 503;
  response.text = text;
  response.field_lines = retry_after;
  response.request_method = request.method();
  return write_simple_response(out, response);
}

}  // namespace

Status write_come_again(Buffer& out, const proto::RequestHead& request, Duration wait,
                        proto::AcceptHasher& hasher) {
  proto::UpgradeVerdict verdict;
  if (!opens_link(request, verdict)) return write_503(out, request, wait);
  Status written = proto::write_upgrade_response(out, hasher.accept(verdict.key), proto::kResumeProtocol);
  if (!written) return written;
  std::string frames;
  proto::append_frame(frames, proto::WsOpcode::binary, detach_frame(wait), {});
  const auto code = static_cast<proto::CloseCode>(proto::number(proto::LinkCode::owner_unreachable));
  frames += proto::write_close(code, kWhy, {}).view();
  if (out.append(frames) == frames.size()) return {};
  return Error{ErrorKind::exhausted, Side::ours, Retry::no, "no room for a DETACH"};
}

std::string come_again_on_tcp(Duration wait) {
  const std::string frame = detach_frame(wait);
  std::string out(4, '\0');
  store_u32(out.data(), static_cast<std::uint32_t>(frame.size()));
  return out + frame;
}

}  // namespace rejoin::balancer
