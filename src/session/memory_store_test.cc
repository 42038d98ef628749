#include "session/memory_store.h"

#include <gtest/gtest.h>

#include <optional>

#include "base/scope.h"

namespace rejoin::session {
namespace {

struct HandClock final : Clock {
  TimePoint now() const override { return at; }
  UnixSeconds unix_now() const override { return 0; }
  TimePoint at{1h};
};

route::SessionId numbered(std::uint8_t number) {
  route::SessionId id;
  id.bytes[15] = number;
  return id;
}

Task<void> find_into(SessionStore& store, route::SessionId id, Known& known) {
  Claim claim;
  claim.epoch = 1;
  Result<Known> found = co_await store.find(id, std::move(claim));
  if (found) known = *found;
}

Known look(SessionStore& store, const route::SessionId& id) {
  ReadyQueue ready;
  Known known;
  known.owner = "not answered";
  Scope scope(ready);
  scope.spawn(find_into(store, id, known));
  ready.run();
  return known;
}

TEST(MemoryStore, RemembersHowASessionEndedForAWhile) {
  HandClock clock;
  MemoryStore store(clock);
  EXPECT_EQ(look(store, numbered(1)).state, Known::State::unknown);
  SessionEnd end;
  end.code = 4411;
  store.end(numbered(1), end, 60s);
  clock.at += 59s;
  EXPECT_EQ(look(store, numbered(1)).state, Known::State::ended);
  EXPECT_EQ(look(store, numbered(1)).end.code, 4411);
  EXPECT_EQ(look(store, numbered(2)).state, Known::State::unknown);
  clock.at += 1s;
  EXPECT_EQ(look(store, numbered(1)).state, Known::State::unknown);
  store.end(numbered(2), end, 60s);
  EXPECT_EQ(store.ended(), 1u) << "what is too old is forgotten";
}

TEST(MemoryStore, IsBounded) {
  HandClock clock;
  MemoryStore store(clock, 3);
  for (std::uint8_t i = 1; i <= 5; ++i) store.end(numbered(i), {}, 60s);
  EXPECT_EQ(store.ended(), 3u);
  EXPECT_EQ(look(store, numbered(2)).state, Known::State::unknown);
  EXPECT_EQ(look(store, numbered(5)).state, Known::State::ended);
}

}  // namespace
}  // namespace rejoin::session
