#include "io/descriptor_carrier.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <deque>
#include <optional>
#include <utility>

#include "base/limits.h"
#include "io/descriptor_message.h"

namespace rejoin::io {
namespace {

/// Of a sender that the kernel takes nothing from, and of a receiver without room.
constexpr std::chrono::milliseconds kTryAgainMs{2};
/// Taken in a turn: others have their turn, too.
constexpr int kTakenPerTurnMax = limits::kAcceptsPerTurnMax;

/// It may go later: the receiver is behind, or too many are in flight, or the kernel is short of memory.
bool will_pass(int errnum) {
  return errnum == EAGAIN || errnum == ETOOMANYREFS || errnum == ENOBUFS || errnum == ENOMEM;
}

/// 0, or why not.
int send_one(int to, std::uint64_t number, int descriptor) {
  const Bytes bytes(reinterpret_cast<const char*>(&number), sizeof number);
  return send_with_descriptor(to, bytes, descriptor) < 0 ? errno : 0;
}

struct Come {
  std::uint64_t number;
  int descriptor;
};
/// Nothing has come, or nothing will any more.
std::optional<Come> receive_one(int from) {
  Come out{0, -1};
  std::vector<int> descriptors;
  const MutableBytes bytes(reinterpret_cast<char*>(&out.number), sizeof out.number);
  const ssize_t got = receive_with_descriptors(from, bytes, descriptors);
  if (got != static_cast<ssize_t>(sizeof out.number)) return std::nullopt;
  if (!descriptors.empty()) out.descriptor = descriptors.front();
  return out;
}

/// A message that finds no room loses its descriptor: so this is asked first. Whoever else opens files in
/// this table could still be faster, which is what -1 is for.
bool has_room(int any) {
  const int trial = fcntl(any, F_DUPFD_CLOEXEC, 0);
  if (trial < 0) return errno != EMFILE;
  ::close(trial);
  return true;
}

}  // namespace

/// What there is of one thread.
class DescriptorCarrier::Post {
 public:
  Post(DescriptorCarrier& all, KernelLoop& loop)
      : carrier(all),
        at(loop),
        send_again([](void* self) { static_cast<Post*>(self)->carrier.flush(*static_cast<Post*>(self)); },
                   this),
        take_again([](void* self) { static_cast<Post*>(self)->watch(); }, this) {}

  void watch() {
    watching = at.watch(reading, [this] { carrier.take(*this); });
    if (!watching) at.timers().arm(take_again, at.now() + kTryAgainMs);
  }
  void stop_watching() {
    if (std::exchange(watching, false)) at.unwatch(reading);
  }

  DescriptorCarrier& carrier;
  KernelLoop& at;
  int reading = -1;      // the thread's, and the maker's until it lets go
  int writing = -1;      // in all tables
  bool of_maker = true;  // `reading`. Of the maker's thread alone

  // What is to be done with what is under way to it.
  std::mutex mutex;
  std::unordered_map<std::uint64_t, Arrived> expected;
  std::uint64_t last_number = 0;
  bool has_left = false;

  // Of its own thread alone.
  struct Waiting {
    int descriptor;
    std::uint64_t number;
  };
  std::vector<std::deque<Waiting>> waiting;  // by receiver
  Timer send_again;
  Timer take_again;
  bool watching = false;
};

Result<std::unique_ptr<DescriptorCarrier>> DescriptorCarrier::make(std::span<KernelLoop* const> loops) {
  std::unique_ptr<DescriptorCarrier> out(new DescriptorCarrier(loops));
  for (const auto& post : out->posts_) {
    int ends[2];
    // Whole messages, as many as the sender's buffer holds (of datagrams the kernel keeps ten).
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
      return Error::from_errno(errno, "socketpair");
    post->reading = ends[0];
    post->writing = ends[1];
  }
  return out;
}

DescriptorCarrier::DescriptorCarrier(std::span<KernelLoop* const> loops) {
  for (KernelLoop* loop : loops) {
    posts_.push_back(std::make_unique<Post>(*this, *loop));
    posts_.back()->waiting.resize(loops.size());
  }
}

DescriptorCarrier::~DescriptorCarrier() {
  for (const auto& post : posts_) {
    post->stop_watching();
    if (post->reading >= 0 && post->of_maker && !post->has_left) ::close(post->reading);
    if (post->writing >= 0) ::close(post->writing);
  }
}

std::vector<int> DescriptorCarrier::ends_of(unsigned thread) const {
  std::vector<int> out{posts_[thread]->reading};
  for (const auto& post : posts_) out.push_back(post->writing);
  return out;
}

void DescriptorCarrier::attend(unsigned thread) { posts_[thread]->watch(); }

bool DescriptorCarrier::is_sending(unsigned thread) const {
  const auto& waiting = posts_[thread]->waiting;
  return std::any_of(waiting.begin(), waiting.end(), [](const auto& queue) { return !queue.empty(); });
}

// --- sending ---

void DescriptorCarrier::carry(unsigned from, unsigned to, int descriptor, Arrived arrived) {
  Post& there = *posts_[to];
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(there.mutex);
    if (!there.has_left) {
      number = ++there.last_number;
      there.expected.emplace(number, std::move(arrived));
    }
  }
  if (number == 0) {
    ::close(descriptor);
    return;
  }
  Post& here = *posts_[from];
  here.waiting[to].push_back({descriptor, number});
  if (here.waiting[to].size() == 1) flush(here);
}

void DescriptorCarrier::flush(Post& from) {
  bool all = true;
  for (std::size_t to = 0; to < posts_.size(); ++to) {
    std::deque<Post::Waiting>& queue = from.waiting[to];
    while (!queue.empty()) {
      const Post::Waiting first = queue.front();
      const int failed = send_one(posts_[to]->writing, first.number, first.descriptor);
      if (will_pass(failed)) {
        all = false;
        break;
      }
      queue.pop_front();
      ::close(first.descriptor);
      if (failed == 0) continue;
      // It has left, and has forgotten what it was to do.
      Arrived never;
      const std::lock_guard lock(posts_[to]->mutex);
      if (auto node = posts_[to]->expected.extract(first.number)) never = std::move(node.mapped());
    }
  }
  if (!all) from.at.timers().arm(from.send_again, from.at.now() + kTryAgainMs);
}

// --- receiving ---

void DescriptorCarrier::take(Post& post) {
  for (int i = 0; i < kTakenPerTurnMax; ++i) {
    if (!has_room(post.reading)) {
      post.stop_watching();
      post.at.timers().arm(post.take_again, post.at.now() + kTryAgainMs);
      return;
    }
    const std::optional<Come> come = receive_one(post.reading);
    if (!come) return;
    Arrived arrived;
    {
      const std::lock_guard lock(post.mutex);
      if (auto node = post.expected.extract(come->number)) arrived = std::move(node.mapped());
    }
    if (arrived) {
      arrived(come->descriptor);
    } else if (come->descriptor >= 0) {
      ::close(come->descriptor);
    }
  }
}

// --- ends ---

void DescriptorCarrier::let_go_of_others() {
  for (std::size_t i = 1; i < posts_.size(); ++i) {
    posts_[i]->of_maker = false;
    ::close(posts_[i]->reading);
  }
}

void DescriptorCarrier::leave(unsigned thread) {
  Post& post = *posts_[thread];
  post.stop_watching();
  post.send_again.cancel();
  post.take_again.cancel();
  std::unordered_map<std::uint64_t, Arrived> never;
  {
    const std::lock_guard lock(post.mutex);
    post.has_left = true;
    never.swap(post.expected);
  }
  // What lies in it is closed with it, and who sends finds that nobody reads.
  ::close(post.reading);
}

}  // namespace rejoin::io
