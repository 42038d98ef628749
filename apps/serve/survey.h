// One question to every worker of a program, and their answers added up: how an admin port sees all workers
// without touching what is theirs.
//
// Place: beside the path. Lives in worker 0, whose thread it is used on; a question is answered on the thread
// of the worker that is asked. Questions and answers are values.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "apps/serve/workers.h"
#include "base/scope.h"
#include "base/task.h"
#include "io/world.h"

namespace rejoin::serve {

/// For the answers of all workers.
inline constexpr std::chrono::seconds kSurveyS{5};

/// `Program` is the WorkerProgram that all workers run. `Answer` can be copied, and has add(Answer&&) for the
/// answer of another worker.
template <typename Program, typename Question, typename Answer>
class Survey {
 public:
  struct Rules {
    unsigned number = 0;               // of the worker that asks
    Colleagues* colleagues = nullptr;  // nullptr: it is alone
    /// What a worker says.
    Answer (*reply)(Program&, const Question&) = nullptr;
    /// Where the worker that asked has its Survey; nullptr once that is gone.
    Survey* (*home)(Program&) = nullptr;
  };
  /// All outlive it. `stop` ends what waits.
  Survey(io::World& world, Program& program, Stop& stop, Rules rules)
      : world_(world), program_(program), stop_(stop), rules_(rules) {}
  Survey(const Survey&) = delete;
  Survey& operator=(const Survey&) = delete;

  /// Colleagues::own_tables().
  std::vector<pid_t> own_tables() const {
    return rules_.colleagues != nullptr ? rules_.colleagues->own_tables() : std::vector<pid_t>();
  }
  unsigned workers() const { return rules_.colleagues != nullptr ? rules_.colleagues->count() : 1; }

  /// Asks every worker, or (`only`) one. Nothing: one of them did not answer in time, since it is stopping.
  Task<std::optional<Answer>> ask(Question question, std::optional<unsigned> only) {
    Asking asking(world_, stop_);
    const std::uint64_t number = ++asked_;
    asking_.emplace(number, &asking);
    const unsigned first = only.value_or(0), behind = only ? *only + 1 : workers();
    for (unsigned i = first; i < behind; ++i) {
      if (i == rules_.number) {
        asking.together.add(rules_.reply(program_, question));
      } else {
        ++asking.missing;
        ask_colleague(i, number, question);
      }
    }
    const TimePoint deadline = world_.clock.now() + Duration(kSurveyS);
    while (asking.missing != 0) {
      const Woken woken = co_await asking.waiter.until(deadline);
      if (woken != Woken::ready) break;
    }
    asking_.erase(number);
    std::optional<Answer> out;
    if (asking.missing == 0) out = std::move(asking.together);
    co_return out;
  }

 private:
  /// One question that waits for the answers of colleagues.
  struct Asking {
    Asking(io::World& world, Stop& stop) : waiter(world.ready, world.timers, stop) {}
    Answer together;
    unsigned missing = 0;
    Waiter waiter;
  };

  // The number comes back, not a pointer: who asked may be gone by then.
  void ask_colleague(unsigned worker, std::uint64_t number, const Question& question) {
    const Rules rules = rules_;
    rules.colleagues->ask(worker, [rules, number, question](WorkerProgram& asked) {
      Answer answer = rules.reply(static_cast<Program&>(asked), question);
      rules.colleagues->ask(rules.number, [rules, number, answer = std::move(answer)](WorkerProgram& back) {
        Survey* const home = rules.home(static_cast<Program&>(back));
        if (home != nullptr) home->answered(number, answer);
      });
    });
  }

  void answered(std::uint64_t number, Answer answer) {
    const auto at = asking_.find(number);
    if (at == asking_.end()) return;
    Asking& asking = *at->second;
    asking.together.add(std::move(answer));
    if (--asking.missing == 0) asking.waiter.wake();
  }

  io::World& world_;
  Program& program_;
  Stop& stop_;
  Rules rules_;
  std::map<std::uint64_t, Asking*> asking_;
  std::uint64_t asked_ = 0;
};

}  // namespace rejoin::serve
