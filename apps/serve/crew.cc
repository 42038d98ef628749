#include "apps/serve/crew.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <future>
#include <utility>

#include "base/limits.h"
#include "base/owned_descriptor.h"
#include "io/kernel_passing.h"
#include "io/own_table.h"

namespace rejoin::serve {
namespace {

Status this_process_ends() {
  return Error{ErrorKind::unsupported, Side::ours, Retry::no, "this process is ending"};
}

Status no_descriptor(unsigned worker) {
  return Error{ErrorKind::exhausted, Side::ours, Retry::yes,
               "no descriptor is left for a listening socket of worker " + std::to_string(worker)};
}

}  // namespace

// --- a seat ---

Status Seat::make_loop(const io::LoopKind& kind) {
  Result<std::unique_ptr<io::KernelLoop>> loop = io::make_loop(kind, log_);
  if (!loop) return std::move(loop.error());
  loop_ = std::move(*loop);
  return {};
}

Status Seat::open(const WorkerFactory& factory, const std::vector<Address>& at, int channel,
                  Colleagues& colleagues, Bytes legacy) {
  world_.emplace(loop_->world(random_, log_));
  deadline_.emplace([](void* self) { static_cast<Seat*>(self)->on_deadline(); }, this);
  program_ = factory(*world_, number_, colleagues);
  if (channel >= 0) program_->expect(std::make_unique<io::KernelPassChannel>(*loop_, channel));
  if (!legacy.empty()) program_->inherit(legacy);
  Status open = program_->open(at);
  if (!open) close();
  return open;
}

void Seat::turn() {
  loop_->turn(1h);
  if (phase_ == Phase::serving && program_ && program_->over()) advance(Phase::draining, drain_time_);
  if (phase_ != Phase::serving && program_ && program_->idle()) close();
}

void Seat::advance(Phase to, Duration time) {
  if (to <= phase_ || ended()) return;
  phase_ = to;
  if (to == Phase::retiring) program_->retire();
  if (to == Phase::draining) program_->drain();
  if (to == Phase::stopping) program_->stop();
  world_->timers.arm(*deadline_, loop_->now() + (to == Phase::stopping ? Duration(limits::kStopS) : time));
}

void Seat::hand_on(int channel) {
  auto to_next = std::make_unique<io::KernelPassChannel>(*loop_, channel);
  if (phase_ == Phase::serving && program_) program_->hand_on(std::move(to_next));
}

void Seat::on_deadline() {
  if (phase_ != Phase::stopping) {
    log_.info("worker " + std::to_string(number_) + ": the time to drain is over, ending what is left");
    advance(Phase::stopping, {});
    return;
  }
  log_.error("worker " + std::to_string(number_) + " does not end, which is a bug: leaving without it");
  std::_Exit(1);
}

void Seat::close() {
  program_.reset();
  deadline_.reset();
  loop_->settle();  // other workers may have clients for long, and our thread ends now
}

// --- beginning ---

Crew::Crew(const WorkersOptions& options, Log& log) : log_(log) {
  for (unsigned i = 0; i < options.count; ++i)
    seats_.push_back(std::make_unique<Seat>(i, log, options.drain_time));
}

Crew::~Crew() {
  for (std::thread& thread : threads_) thread.join();
}

Status Crew::make_loops(const io::LoopKind& kind) {
  for (const auto& seat : seats_) {
    Status made = seat->make_loop(kind);
    if (!made) return made;
  }
  return {};
}

std::vector<io::KernelLoop*> Crew::loops() {
  std::vector<io::KernelLoop*> out;
  for (const auto& seat : seats_) out.push_back(&seat->loop());
  return out;
}

Status Crew::separate_tables() {
  if (seats_.size() == 1) return {};
  auto carrier = io::DescriptorCarrier::make(loops());
  if (!carrier) return std::move(carrier.error());
  carrier_ = std::move(*carrier);
  return {};
}

Status Crew::open(const WorkerFactory& factory, Inheritance& inheritance) {
  if (carrier_) carrier_->attend(0);
  Status first_open = main().open(factory, {}, inheritance.take_channel(0), *this, inheritance.legacy());
  inheritance.forget_legacy();
  if (!first_open) return first_open;
  const std::vector<Address> at = main().addresses();
  std::vector<int> of_others;
  std::vector<std::future<Opened>> opening;
  for (std::size_t i = 1; i < seats_.size(); ++i) {
    const int channel = inheritance.take_channel(static_cast<unsigned>(i));
    for (const int one : seats_[i]->loop().inherited()) of_others.push_back(one);
    if (channel >= 0) of_others.push_back(channel);
    std::promise<Opened> opened;
    opening.push_back(opened.get_future());
    threads_.emplace_back(
        [this, &factory, at, seat = seats_[i].get(), channel, opened = std::move(opened)]() mutable {
          Opened how = open_on_thread(*seat, factory, at, channel);
          const bool ok = how.status.ok();
          opened.set_value(std::move(how));
          if (ok) work(*seat);
        });
  }
  Status all;
  for (std::size_t i = 0; i < opening.size(); ++i) {
    Opened how = opening[i].get();
    not_taken_.insert(not_taken_.end(), how.not_taken.begin(), how.not_taken.end());
    if (how.status) {
      ++others_;
      opened_.push_back(seats_[i + 1].get());
      if (carrier_) own_tables_.push_back(how.thread);
    } else if (all) {
      all = std::move(how.status);
    }
  }
  opened_.push_back(&main());
  if (carrier_) forget(of_others);
  return all;
}

Crew::Opened Crew::open_on_thread(Seat& seat, const WorkerFactory& factory, const std::vector<Address>& at,
                                  int channel) {
  Opened out;
  io::KernelLoop& loop = seat.loop();
  if (carrier_) {
    std::vector<int> kept = carrier_->ends_of(seat.number());
    for (const auto& any : seats_) kept.push_back(any->loop().wake_descriptor());
    for (const int one : loop.inherited()) kept.push_back(one);
    for (const int one : loop.own_descriptors()) kept.push_back(one);
    kept.push_back(channel);
    out.status = io::own_descriptor_table(std::move(kept));
    if (!out.status) return out;
    out.thread = gettid();
    carrier_->attend(seat.number());
  }
  out.status = seat.open(factory, at, channel, *this);
  if (carrier_) {
    out.not_taken = loop.not_taken();  // the main thread has them, too
    for (const int one : out.not_taken) ::close(one);
    if (!out.status) carrier_->leave(seat.number());
  }
  return out;
}

// The others have their tables: what is theirs must close with them, also here. Their loops stay, until they
// are destroyed on this thread.
void Crew::forget(const std::vector<int>& of_others) {
  carrier_->let_go_of_others();
  for (const int one : of_others) {
    if (std::find(not_taken_.begin(), not_taken_.end(), one) == not_taken_.end()) ::close(one);
  }
}

std::vector<int> Crew::not_taken() {
  std::vector<int> out = std::exchange(not_taken_, {});
  for (const auto& seat : seats_) {
    for (const int one : seat->loop().not_taken()) out.push_back(one);
    if (carrier_) break;  // the others have said
  }
  return out;
}

// --- serving, and the end ---

void Crew::work(Seat& seat) {
  while (!seat.ended() || (carrier_ && carrier_->is_sending(seat.number()))) seat.turn();
  if (carrier_) carrier_->leave(seat.number());
  seat.loop().refuse_posts();
  seat.loop().settle();                       // who was handed over to us meanwhile
  main().loop().post([this] { --others_; });  // the last thing that this thread does
}

void Crew::end(Phase how, Duration time) {
  for (Seat* seat : opened_) seat->order(how, time);
}

void Crew::run() {
  while (!main().ended() || others_ != 0) main().turn();
}

// --- between workers ---

void Crew::ask(unsigned worker, std::function<void(WorkerProgram&)> work) {
  Seat& seat = *seats_[worker];
  seat.loop().post([&seat, work = std::move(work)] {
    if (WorkerProgram* program = seat.program()) work(*program);
  });
}

void Crew::hand_over(unsigned worker, io::Socket socket,
                     std::function<void(WorkerProgram&, io::Socket)> work) {
  Seat& seat = *seats_[worker];
  io::LooseConnection loose = io::KernelLoop::give_up(std::move(socket));
  auto arrived = [&seat, unread = std::move(loose.unread), work = std::move(work)](int descriptor) {
    io::Socket taken = seat.loop().take_over({descriptor, unread});
    if (WorkerProgram* program = seat.program()) work(*program, std::move(taken));
  };
  const unsigned from = worker_of(loose.from);
  if (carrier_ && from != worker) {
    carrier_->carry(from, worker, loose.descriptor, [this, arrived = std::move(arrived)](int descriptor) {
      if (descriptor < 0)
        return log_.warn("a connection for another worker is lost: it had no descriptor left");
      arrived(descriptor);
    });
    return;
  }
  // What is posted to a worker that has ended never runs.
  seat.loop().post([held = std::make_shared<OwnedDescriptor>(loose.descriptor),
                    arrived = std::move(arrived)] { arrived(held->take()); });
}

unsigned Crew::worker_of(const io::KernelLoop* loop) const {
  const auto found =
      std::find_if(seats_.begin(), seats_.end(), [loop](const auto& seat) { return &seat->loop() == loop; });
  return static_cast<unsigned>(found - seats_.begin());
}

// --- an upgrade ---

/// What was asked of all workers. On the main thread.
struct Crew::Gathering {
  Sockets sockets;
  Status may;
  std::function<void(const Sockets&, const Status& may)> then;
  std::size_t missing;  // workers that have not answered
  std::ptrdiff_t copies =
      0;  // that are said to come and have not; below 0: that have, and nobody has said so

  void tell_if_all() {
    if (missing == 0 && copies == 0) then(sockets, may);
  }
};

void Crew::gather_listening(std::function<void(const Sockets&, const Status& may)> then) {
  auto all = std::make_shared<Gathering>();
  all->then = std::move(then);
  all->missing = seats_.size();
  for (const auto& seat : seats_) seat->loop().post([this, it = seat.get(), all] { answer(*it, all); });
}

// On the worker's thread.
void Crew::answer(Seat& seat, const std::shared_ptr<Gathering>& all) {
  const unsigned number = seat.number();
  Status may = seat.program() != nullptr ? seat.program()->may_hand_on() : this_process_ends();
  Sockets here;
  std::ptrdiff_t copies = 0;
  for (const io::KernelLoop::Listening& it : seat.loop().listening()) {
    if (!carrier_ || number == 0) {
      here.push_back({number, it.descriptor, it.address, it.descriptor, nullptr});
      continue;
    }
    const int copy = fcntl(it.descriptor, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
      may = no_descriptor(number);
      continue;
    }
    ++copies;
    carrier_->carry(number, 0, copy, [all, it, number](int descriptor) {
      if (descriptor < 0) {
        all->may = no_descriptor(number);
      } else {
        auto held = std::make_shared<OwnedDescriptor>(descriptor);
        all->sockets.push_back({number, descriptor, it.address, it.descriptor, std::move(held)});
      }
      --all->copies;
      all->tell_if_all();
    });
  }
  main().loop().post([here = std::move(here), may = std::move(may), copies, all]() mutable {
    all->sockets.insert(all->sockets.end(), here.begin(), here.end());
    if (!may && all->may) all->may = std::move(may);
    all->copies += copies;
    --all->missing;
    all->tell_if_all();
  });
}

void Crew::leave(const Sockets& sockets, const std::vector<int>& left) {
  for (unsigned i = 0; i < seats_.size(); ++i) {
    std::vector<int> theirs;
    for (const Upgrade::Given& it : sockets) {
      if (it.worker == i && std::find(left.begin(), left.end(), it.descriptor) == left.end())
        theirs.push_back(it.of_worker);
    }
    io::KernelLoop& loop = seats_[i]->loop();
    loop.post([&loop, theirs] { loop.leave_to_others(theirs); });
  }
}

void Crew::hand_on(const std::vector<int>& channels) {
  for (unsigned i = 0; i < seats_.size(); ++i) {
    Seat& seat = *seats_[i];
    if (carrier_ && i != 0) {
      carrier_->carry(0, i, channels[i], [this, &seat](int descriptor) {
        if (descriptor >= 0) return seat.hand_on(descriptor);
        log_.error("worker " + std::to_string(seat.number()) +
                   " keeps its sessions: it had no descriptor left for the channel to the next process");
      });
      continue;
    }
    seat.loop().post(
        [&seat, held = std::make_shared<OwnedDescriptor>(channels[i])] { seat.hand_on(held->take()); });
  }
}

void Crew::upgrade() {
  main().loop().post([this] {
    if (begin_upgrade_) begin_upgrade_();
  });
}

}  // namespace rejoin::serve
