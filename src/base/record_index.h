// An index of parked records by a key that they have themselves. The chain's link is part of the record, so
// that being found costs 8 bytes there and 4 to 8 in the index, where a node of std::unordered_map is a block
// of malloc's (48 bytes) and a line of cache more.
//
// It grows by one bucket at a time (linear hashing, Litwin 1980): no insertion has to move the hundred
// thousand others. Owner: who owns the records; one thread.
#pragma once

#include <bit>
#include <cstddef>
#include <vector>

namespace rejoin {

/// Derive from it to be in one RecordIndex at a time. 8 bytes.
template <typename T>
class IndexNode {
 public:
  IndexNode() = default;
  IndexNode(const IndexNode&) = delete;
  IndexNode& operator=(const IndexNode&) = delete;

 private:
  template <typename, typename>
  friend class RecordIndex;
  T* index_next_ = nullptr;
};

/// Of T, which derives from IndexNode<T>. `By` has `static const Key& key(const T&)` and
/// `static std::size_t hash(const Key&)`, all of whose bits are good. Owns nothing: a record leaves before it
/// dies. Does not shrink: 4 bytes for each of the most records that it ever had.
template <typename T, typename By>
class RecordIndex {
 public:
  RecordIndex() : buckets_(kFirstBuckets, nullptr) {}
  RecordIndex(const RecordIndex&) = delete;
  RecordIndex& operator=(const RecordIndex&) = delete;

  std::size_t size() const { return size_; }

  template <typename Key>
  T* find(const Key& key) const {
    T* at = buckets_[bucket_of(key)];
    while (at != nullptr && !(By::key(*at) == key)) at = next(*at);
    return at;
  }

  /// No other has its key.
  void insert(T& record) {
    if (size_ >= kPerBucket * buckets_.size()) add_bucket();
    ++size_;
    put(record);
  }

  /// False: it was not here.
  bool erase(T& record) {
    for (T** at = &buckets_[bucket_of(By::key(record))]; *at != nullptr; at = &next(**at)) {
      if (*at != &record) continue;
      *at = next(record);
      next(record) = nullptr;
      --size_;
      return true;
    }
    return false;
  }

 private:
  static constexpr std::size_t kFirstBuckets = 8, kPerBucket = 2;

  static T*& next(T& record) { return static_cast<IndexNode<T>&>(record).index_next_; }

  // Buckets beyond the last one are still part of those with the highest bit cleared.
  template <typename Key>
  std::size_t bucket_of(const Key& key) const {
    const std::size_t mask = std::bit_ceil(buckets_.size()) - 1;
    const std::size_t bucket = By::hash(key) & mask;
    return bucket < buckets_.size() ? bucket : bucket & (mask >> 1);
  }

  void put(T& record) {
    T*& first = buckets_[bucket_of(By::key(record))];
    next(record) = first;
    first = &record;
  }

  void add_bucket() {
    buckets_.push_back(nullptr);
    const std::size_t added = buckets_.size() - 1;
    T* rest = buckets_[added & ~std::bit_floor(added)];
    buckets_[added & ~std::bit_floor(added)] = nullptr;
    while (rest != nullptr) {
      T& record = *rest;
      rest = next(record);
      put(record);
    }
  }

  std::vector<T*> buckets_;
  std::size_t size_ = 0;
};

}  // namespace rejoin
