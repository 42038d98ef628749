#include "upstream/unsent_messages.h"

#include <algorithm>
#include <cassert>

#include "base/pack.h"

namespace rejoin::upstream {

void UnsentMessages::add(std::size_t bytes, Kind kind) {
  assert(bytes != 0 && bytes < std::size_t{1} << 31);
  const Entry entry = static_cast<Entry>(bytes) << 1 | (kind == Kind::message ? 1u : 0u);
  bytes_ += bytes;
  if (front_ == 0) {
    front_ = entry;
    return;
  }
  if (!rest_) rest_ = std::make_unique<Rest>();
  rest_->entries.push_back(entry);
}

std::size_t UnsentMessages::settle(std::size_t unsent) {
  std::size_t gone = 0;
  while (front_ != 0 && bytes_ - bytes_of(front_) >= unsent) {
    gone += front_ & 1;
    pop();
  }
  return gone;
}

void UnsentMessages::pop() {
  bytes_ -= bytes_of(front_);
  front_ = 0;
  if (!rest_) return;
  auto& [entries, first] = *rest_;
  front_ = entries[first++];
  if (first == entries.size()) {
    rest_.reset();
  } else if (first > entries.size() / 2) {  // so that what is never quite empty does not grow
    entries.erase(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(first));
    first = 0;
  }
}

std::size_t UnsentMessages::messages() const {
  std::size_t count = front_ & 1;
  if (!rest_) return count;
  for (std::size_t i = rest_->first; i < rest_->entries.size(); ++i) count += rest_->entries[i] & 1;
  return count;
}

void UnsentMessages::save(std::string& out) const {
  Packer pack(out);
  if (front_ == 0) return;
  pack.u32(front_);
  if (!rest_) return;
  for (std::size_t i = rest_->first; i < rest_->entries.size(); ++i) pack.u32(rest_->entries[i]);
}

bool UnsentMessages::restore(Bytes from) {
  assert(front_ == 0);
  Unpacker in(from);
  while (!in.done()) {
    const Entry entry = in.u32();
    if (!in.ok() || bytes_of(entry) == 0) return false;
    add(bytes_of(entry), (entry & 1) != 0 ? Kind::message : Kind::other);
  }
  return true;
}

}  // namespace rejoin::upstream
