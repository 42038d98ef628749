#include "proto/ws_compression.h"

#include <cassert>
#include <utility>

#include "base/limits.h"

namespace rejoin::proto {
namespace {

using Taken = MessageCompression::Taken;

Taken whole(Bytes message) {
  Taken taken;
  taken.kind = Taken::Kind::message;
  taken.message = message;
  return taken;
}

Taken refused(CloseCode code, std::string_view reason) {
  Taken taken;
  taken.kind = Taken::Kind::refused;
  taken.code = code;
  taken.reason = reason;
  return taken;
}

Taken refuse_text() { return refused(CloseCode::bad_payload, "text that is not UTF-8"); }

Taken refuse(Inflater::Verdict why) {
  switch (why) {
    case Inflater::Verdict::good: break;
    case Inflater::Verdict::corrupt:
      return refused(CloseCode::bad_payload, "compressed message that cannot be inflated");
    case Inflater::Verdict::too_big:
      return refused(CloseCode::too_big, "message longer than the limit when inflated");
    case Inflater::Verdict::no_memory:
      return refused(CloseCode::internal_error, "no memory to inflate a message");
  }
  return {};
}

}  // namespace

// ---- CompressionShare ----

// zlib's zconf.h says what its parts take; the rest of a deflater and of an inflater is measured
// (zlib 1.2.13).
std::size_t takeover_bytes(std::uint8_t window_bits, std::uint8_t memory_level) {
  constexpr std::size_t kRest = 6 * 1024 + 7 * 1024 + 256;
  return (std::size_t{4} << window_bits) + (std::size_t{512} << memory_level) +
         (std::size_t{1} << window_bits) + kRest;
}

CompressionShare::CompressionShare(const CompressionSettings& settings) : settings_(settings) {}

CompressionShare::~CompressionShare() { assert(keepers_ == 0); }

DeflateTerms CompressionShare::wanted(Takeover most) const {
  const std::size_t each = takeover_bytes(settings_.window_bits, settings_.memory_level);
  const bool room = keepers_ < settings_.memory_max / each;
  const Takeover takeover = room && most == Takeover::yes ? settings_.takeover : Takeover::no;
  DeflateTerms terms;
  DeflateSide& ours = settings_.role == WsRole::server ? terms.server : terms.client;
  DeflateSide& theirs = settings_.role == WsRole::server ? terms.client : terms.server;
  ours = {settings_.window_bits, takeover};
  // Without takeover one inflater serves all, so that its window costs nothing: the peer may use all of it.
  theirs = {takeover == Takeover::yes ? settings_.window_bits : kWindowBitsMax, takeover};
  return terms;
}

std::size_t CompressionShare::memory_bytes() const {
  std::size_t bytes = inflater_.memory_bytes() + deflated_.memory_bytes() + inflated_.memory_bytes();
  for (const auto& deflater : deflaters_) {
    if (deflater) bytes += sizeof(Deflater) + deflater->memory_bytes();
  }
  return bytes;
}

void CompressionShare::release() {
  deflated_.shrink(limits::kCompressionKeptBytes);
  inflated_.shrink(limits::kCompressionKeptBytes);
}

Deflater& CompressionShare::deflater(std::uint8_t window_bits) {
  std::unique_ptr<Deflater>& one = deflaters_[window_bits - kDeflaterWindowBitsMin];
  if (!one) one = std::make_unique<Deflater>(DeflateSide{window_bits, Takeover::no}, settings_.memory_level);
  return *one;
}

std::size_t CompressionShare::takeover_memory_bytes() const {
  return keepers_ * takeover_bytes(settings_.window_bits, settings_.memory_level);
}

// ---- MessageCompression ----

MessageCompression::MessageCompression(CompressionShare& share, const DeflateTerms& terms,
                                       std::uint32_t message_max)
    : share_(nullptr),
      message_max_(message_max),
      ours_(share.settings().role == WsRole::server ? terms.server : terms.client),
      theirs_(share.settings().role == WsRole::server ? terms.client : terms.server) {
  join(share);
}

MessageCompression::~MessageCompression() { leave(); }

void MessageCompression::leave() {
  if (share_ != nullptr && keeps()) --share_->keepers_;
  share_ = nullptr;
}

void MessageCompression::join(CompressionShare& share) {
  assert(share_ == nullptr);
  share_ = &share;
  if (keeps()) ++share.keepers_;
}

DeflateTerms MessageCompression::terms() const {
  const bool server = share_->settings().role == WsRole::server;
  return server ? DeflateTerms{ours_, theirs_} : DeflateTerms{theirs_, ours_};
}

Taken MessageCompression::take(const WsEvent& data) {
  if (data.compressed && theirs_.takeover == Takeover::yes) return inflate_piece(data);
  const std::optional<Bytes> message = assembler_.add(data);
  if (!message) return {};
  if (data.compressed) return inflate_whole(*message, data.opcode == WsOpcode::text);
  return whole(*message);
}

/// With the share's inflater, which other connections use in between: hence whole messages only.
Taken MessageCompression::inflate_whole(Bytes compressed, bool text) {
  GrowingBlock& out = share_->inflated_;
  out.clear();
  const Inflater::Verdict verdict = share_->inflater_.feed(compressed, true, true, out, message_max_);
  if (verdict != Inflater::Verdict::good) return refuse(verdict);
  if (text && !is_utf8(out.view())) return refuse_text();
  return whole(out.view());
}

/// With an inflater of our own. A message that came in one piece, the usual case, comes out into the share's
/// block.
Taken MessageCompression::inflate_piece(const WsEvent& data) {
  if (!inflater_) inflater_ = std::make_unique<Inflater>(theirs_);
  if (data.first) {
    begun_.reset();
    if (!data.last) begun_ = std::make_unique<GrowingBlock>();
    share_->inflated_.clear();
  }
  GrowingBlock& out = begun_ ? *begun_ : share_->inflated_;
  const std::size_t before = out.size();
  const Inflater::Verdict verdict = inflater_->feed(data.view(), data.first, data.last, out, message_max_);
  if (verdict != Inflater::Verdict::good) return refuse(verdict);
  if (data.opcode == WsOpcode::text &&
      (!utf8_.feed(out.view().substr(before)) || (data.last && !utf8_.complete()))) {
    return refuse_text();
  }
  if (!data.last) return {};
  if (begun_) {
    share_->inflated_.swap(*begun_);
    begun_.reset();
  }
  return whole(share_->inflated_.view());
}

std::optional<Bytes> MessageCompression::pack(Bytes head, Bytes rest) {
  const std::size_t bytes = head.size() + rest.size();
  if (bytes < share_->settings().message_min) return std::nullopt;
  // A server may ask us for what zlib cannot do. No message has to be compressed.
  if (ours_.window_bits < kDeflaterWindowBitsMin) return std::nullopt;
  if (ours_.takeover == Takeover::yes && !deflater_) {
    deflater_ = std::make_unique<Deflater>(ours_, share_->settings().memory_level);
  }
  Deflater& deflater = deflater_ ? *deflater_ : share_->deflater(ours_.window_bits);
  const std::optional<Bytes> deflated = deflater.deflate(head, rest, share_->deflated_);
  if (!deflated) return std::nullopt;
  // With takeover it is in the window that the next message refers to, so it has to be sent. It is longer by
  // a few bytes in a thousand at most.
  if (ours_.takeover == Takeover::no && deflated->size() >= bytes) return std::nullopt;
  return deflated;
}

void MessageCompression::release() {
  assembler_.release();
  share_->release();
}

void MessageCompression::clear() {
  assembler_.clear();
  begun_.reset();
}

std::size_t MessageCompression::memory_bytes() const {
  std::size_t bytes = sizeof *this + assembler_.held_bytes();
  if (deflater_) bytes += sizeof(Deflater) + deflater_->memory_bytes();
  if (inflater_) bytes += sizeof(Inflater) + inflater_->memory_bytes();
  if (begun_) bytes += sizeof(GrowingBlock) + begun_->memory_bytes();
  return bytes;
}

}  // namespace rejoin::proto
