// Takes open descriptors from thread to thread where each has a table of its own (own_table.h), in which a
// number of another's means nothing.
//
// Place: between the workers of one process (apps/serve/workers.cc): a client who belongs to another worker,
// listening sockets for the next process. Other processes are reached by PassChannel.
//
// Each thread has a unix socket on which all others send: SCM_RIGHTS, and a number by which the receiver
// finds what is to be done. No call waits. What the kernel does not take (the receiver is behind: some
// hundred are under way to it, or too many are in flight for the user) stays with the sender and is tried
// again; a receiver whose table is full takes nothing until it has room. So nothing is lost, and a descriptor
// counts in one table or in flight.
//
// Owner: the maker's thread, which outlives the others; each method says whose thread calls it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "io/kernel_loop.h"

namespace rejoin::io {

class DescriptorCarrier {
 public:
  /// On the receiver's thread: its number there, which is the called one's from now on. -1: it was lost, for
  /// the kernel had no room in the end.
  using Arrived = std::function<void(int descriptor)>;

  /// For threads 0, 1, ... with these loops, which outlive it. Before the threads begin, so that its ends
  /// have the same numbers in all tables. Error: exhausted.
  static Result<std::unique_ptr<DescriptorCarrier>> make(std::span<KernelLoop* const> loops);
  /// On the maker's thread, when the others have left.
  ~DescriptorCarrier();
  DescriptorCarrier(const DescriptorCarrier&) = delete;
  DescriptorCarrier& operator=(const DescriptorCarrier&) = delete;

  /// What has to be in the table of `thread`. Any thread.
  std::vector<int> ends_of(unsigned thread) const;
  /// All other threads have their tables: what is theirs alone is closed in the maker's, so that it closes
  /// with them. On the maker's thread.
  void let_go_of_others();

  /// Takes what comes, on its loop. On `thread` itself, first of all.
  void attend(unsigned thread);
  /// Takes nothing more: what is under way to it, or is sent to it later, is closed. Its last act, once
  /// is_sending() is false; on `thread` itself.
  void leave(unsigned thread);
  /// Something waits for the kernel to take it: turn the loop of `thread` on. On `thread` itself.
  bool is_sending(unsigned thread) const;

  /// `descriptor`, the carrier's from now on, is closed on this side as soon as it is under way. On thread
  /// `from`, which is not `to`; `arrived` runs on `to` in a turn of its loop, or is destroyed there, or here
  /// if `to` has left.
  void carry(unsigned from, unsigned to, int descriptor, Arrived arrived);

 private:
  class Post;
  explicit DescriptorCarrier(std::span<KernelLoop* const> loops);

  void flush(Post& from);
  void take(Post& post);

  std::vector<std::unique_ptr<Post>> posts_;  // by thread
};

}  // namespace rejoin::io
