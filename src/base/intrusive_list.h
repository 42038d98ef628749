// A doubly linked list whose nodes are part of the things in it: no allocation, O(1) leave, and a thing that
// dies leaves by itself. One thread.
#pragma once

#include <cstddef>

namespace rejoin {

/// Derive from it to be a member of one List at a time. 16 bytes.
class ListNode {
 public:
  ListNode() = default;
  ListNode(const ListNode&) = delete;
  ListNode& operator=(const ListNode&) = delete;
  ~ListNode() { leave(); }

  bool in_list() const { return next_ != nullptr; }
  /// Leaves its list, if it is in one.
  void leave() {
    if (next_ == nullptr) return;
    next_->prev_ = prev_;
    prev_->next_ = next_;
    next_ = prev_ = nullptr;
  }

 private:
  template <typename T>
  friend class List;
  ListNode* next_ = nullptr;
  ListNode* prev_ = nullptr;
};

/// Of T, which derives from ListNode. The list owns nothing; when it dies its members are in no list any
/// more.
template <typename T>
class List {
 public:
  List() { head_.next_ = head_.prev_ = &head_; }
  ~List() {
    while (!empty()) front().leave();
    head_.next_ = head_.prev_ = nullptr;
  }
  List(const List&) = delete;
  List& operator=(const List&) = delete;

  bool empty() const { return head_.next_ == &head_; }
  /// Of a list that is not empty.
  T& front() { return static_cast<T&>(*head_.next_); }
  T& back() { return static_cast<T&>(*head_.prev_); }

  void push_back(T& item) {
    ListNode& node = item;
    node.leave();
    node.prev_ = head_.prev_;
    node.next_ = &head_;
    head_.prev_->next_ = &node;
    head_.prev_ = &node;
  }

  /// Moves all members of `other` behind ours, in their order.
  void take_all(List& other) {
    if (other.empty()) return;
    ListNode* first = other.head_.next_;
    ListNode* last = other.head_.prev_;
    other.head_.next_ = other.head_.prev_ = &other.head_;
    first->prev_ = head_.prev_;
    head_.prev_->next_ = first;
    last->next_ = &head_;
    head_.prev_ = last;
  }

  /// Counts by walking: for tests and for lists that are shown.
  std::size_t count() const {
    std::size_t n = 0;
    for (const ListNode* at = head_.next_; at != &head_; at = at->next_) ++n;
    return n;
  }

  /// Calls `visit(T&)` for each; `visit` may make the visited one leave.
  template <typename Visit>
  void for_each(Visit visit) {
    for (ListNode* at = head_.next_; at != &head_;) {
      ListNode* next = at->next_;
      visit(static_cast<T&>(*at));
      at = next;
    }
  }

 private:
  ListNode head_;
};

}  // namespace rejoin
