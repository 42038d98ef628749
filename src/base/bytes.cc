#include "base/bytes.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace rejoin {

std::size_t Buffer::append(Bytes bytes) {
  const std::size_t count = std::min(bytes.size(), room());
  if (count != 0) std::memcpy(block_ + end_, bytes.data(), count);
  end_ += static_cast<std::uint32_t>(count);
  return count;
}

void Buffer::consume(std::size_t count) {
  assert(count <= size());
  begin_ += static_cast<std::uint32_t>(count);
  if (begin_ == end_) clear();
}

void Buffer::compact() {
  if (begin_ == 0) return;
  std::memmove(block_, block_ + begin_, size());
  end_ -= begin_;
  begin_ = 0;
}

void Buffer::release() {
  if (block_ == nullptr) return;
  home_->take_back(block_);
  block_ = nullptr;
  home_ = nullptr;
  begin_ = end_ = capacity_ = 0;
}

void Buffer::swap(Buffer& other) noexcept {
  std::swap(block_, other.block_);
  std::swap(home_, other.home_);
  std::swap(begin_, other.begin_);
  std::swap(end_, other.end_);
  std::swap(capacity_, other.capacity_);
}

BufferPool::BufferPool(std::size_t block_bytes, std::size_t idle_max)
    : block_bytes_(block_bytes), idle_max_(idle_max) {
  idle_.reserve(idle_max);
}

BufferPool::~BufferPool() {
  assert(lent_ == 0 && "a Buffer outlives its pool");
  for (char* block : idle_) delete[] block;
}

Buffer BufferPool::borrow() {
  Buffer out;
  if (idle_.empty()) {
    out.block_ = new char[block_bytes_];
  } else {
    out.block_ = idle_.back();
    idle_.pop_back();
  }
  out.home_ = this;
  out.capacity_ = static_cast<std::uint32_t>(block_bytes_);
  ++lent_;
  return out;
}

void BufferPool::take_back(char* block) {
  --lent_;
  if (idle_.size() < idle_max_) {
    idle_.push_back(block);
  } else {
    delete[] block;
  }
}

}  // namespace rejoin
