#include "proto/ws_message.h"

#include <cassert>

namespace rejoin::proto {

std::optional<Bytes> MessageAssembler::add(Bytes payload, bool first, bool last) {
  release();
  if (first && last) {
    held_.reset();
    return payload;
  }
  assert(first || held_);  // a message is begun before it goes on; clear() is for the end of a connection
  if (first || !held_) {
    held_ = std::make_unique<std::string>();
    done_ = false;
  }
  held_->append(payload);
  if (!last) return std::nullopt;
  done_ = true;
  return Bytes(*held_);
}

}  // namespace rejoin::proto
