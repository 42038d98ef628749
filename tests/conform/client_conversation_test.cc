// The client of clients/cpp, without its network: the calculators of src/session hold to the conversations of
// spec/vectors/.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <set>
#include <utility>

#include "base/limits.h"
#include "session/client_session.h"
#include "session/liveness.h"
#include "tests/conform/conversation.h"

namespace rejoin::conform {
namespace {

using session::ClientSession;
using session::Heard;
using session::LinkNumber;
using session::Liveness;

void put(std::string& out, std::uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

/// What a client keeps that lost its memory (client_snapshot.cc has the form).
std::string snapshot_of(const Json& kept) {
  std::string out("RJNS\x01\x00", 6);
  put(out, kept.at("epoch").get<std::uint64_t>(), 4);
  out += from_hex(kept.at("secret").get<std::string>());
  const std::string ticket = kept.at("ticket");
  put(out, ticket.size(), 2);
  out += ticket;
  for (const char* field : {"grace", "ping", "dead", "spread", "window_bytes", "window_messages"}) {
    put(out, kept.at(field).get<std::uint64_t>(), 4);
  }
  put(out, 0, 1);  // addresses
  return out;
}

class Client final : public Subject {
 public:
  explicit Client(const Json& given)
      : session_(*ClientSession::make(from_hex(given.at("identity").get<std::string>()),
                                      from_hex(given.at("application").get<std::string>()))) {
    const Json& kept = given.at("session");
    if (kept.is_null()) return;
    const Status restored = session_.restore(snapshot_of(kept));
    EXPECT_TRUE(restored);
  }

  void step(const Json& step, Bytes frame, Deeds& deeds) override {
    deeds_ = &deeds;
    const std::string what = step.at("do");
    const LinkNumber link = step.value("link", 0u);
    if (what == "dial") {
      pass(step.value("after", 0));
      open(link);
    } else if (what == "receive") {
      if (link == session_.live()) liveness_.heard(now_);
      act(link, session_.heard(link, frame));
    } else if (what == "broke") {
      links_.erase(link);
      act(link, session_.lost(link));
    } else if (what == "pass") {
      pass(step.at("ms"));
    } else if (what == "send") {
      waiting_.push_back(message_of(step.at("message")));
      send();
    } else if (what == "hint") {
      liveness_.doubt(now_);
      watch();
    } else if (what == "close") {
      session_.close(step.at("code"), step.at("reason").get<std::string>());
    } else {
      ADD_FAILURE() << "no word for " << what;
    }
    settle();
  }

 private:
  void open(LinkNumber link) {
    links_.insert(link);
    dialled_ = {link, now_};
    const session::Opening opening = session_.open(link);
    deeds_->frame(link, opening.frame);
  }
  void act(LinkNumber link, const Heard& heard) {
    switch (heard.kind) {
      case Heard::Kind::nothing: break;
      case Heard::Kind::message:
        deeds_->told_message(heard.text, heard.bytes);
        session_.accepted(heard.bytes.size());
        break;
      case Heard::Kind::pong: liveness_.pong(heard.number, now_); break;
      case Heard::Kind::opened:
        deeds_->told("opened");
        watch_link();
        break;
      case Heard::Kind::resumed:
        deeds_->told("resumed", {{"whole", heard.whole}, {"to_come", heard.to_come}});
        watch_link();
        break;
      case Heard::Kind::renewed: deeds_->told("renewed"); break;
      case Heard::Kind::move: tell_way("move", heard); break;
      case Heard::Kind::sent_away: tell_way("sent_away", heard); break;
      case Heard::Kind::lost:
        deeds_->told("lost", {{"code", heard.code}});
        waiting_.clear();
        break;
      case Heard::Kind::ended: deeds_->told("ended", {{"code", heard.code}}); break;
      case Heard::Kind::bad_frame:
        deeds_->told("bad_frame");
        code_ = heard.code;
        break;
    }
    if (heard.reopen) open(link);
    if (heard.room) send();
  }
  void tell_way(const char* what, const Heard& heard) {
    deeds_->told(what, {{"code", heard.code}, {"wait", heard.wait / 1ms}, {"address", heard.address}});
  }
  void watch_link() { liveness_.opened(now_, session_.terms().ping, session_.terms().dead); }

  void send() {
    while (!waiting_.empty()) {
      if (session_.send(waiting_.front().bytes, waiting_.front().text) != ClientSession::Sent::taken) return;
      waiting_.pop_front();
    }
  }

  /// Time goes from timer to timer.
  void pass(int ms) {
    const TimePoint end = now_ + std::chrono::milliseconds(ms);
    for (;;) {
      settle();
      const TimePoint next = std::min({ack_at_, liveness_.due(), dial_ends()});
      if (next > end) break;
      now_ = std::max(now_, next);
      if (ack_at_ <= now_) session_.ack_now();
      if (dial_ends() <= now_) (void)session_.lost(dialled_.link);
      watch();
    }
    now_ = end;
  }
  /// A dial that nobody answers in time is over.
  TimePoint dial_ends() const {
    const bool unanswered = dialled_.link != session_.live() && session_.knows(dialled_.link);
    return unanswered ? dialled_.at + limits::kDialS : kNever;
  }
  void watch() {
    switch (liveness_.act(now_)) {
      case Liveness::Act::ping: liveness_.pinged(session_.ping(), now_); break;
      case Liveness::Act::dead: {
        const LinkNumber live = session_.live();
        code_ = number(proto::LinkCode::silent);
        (void)session_.lost(live);
        break;
      }
      case Liveness::Act::dial:  // the conversation says when
      case Liveness::Act::nothing: break;
    }
  }
  /// Everything that is to be written leaves, links that are not known are closed.
  void settle() {
    std::string frame;
    for (const LinkNumber link : std::set<LinkNumber>(links_)) {
      while (session_.next_frame(link, frame)) {
        if (static_cast<proto::FrameType>(frame[0]) == proto::FrameType::data) liveness_.sent(now_);
        deeds_->frame(link, frame);
      }
      if (session_.knows(link)) continue;
      deeds_->close(link, code_);
      links_.erase(link);
    }
    code_ = number(proto::LinkCode::normal);
    if (session_.live() == 0) liveness_.closed();
    const bool owed = session_.live() != 0 && session_.ack_due() != session::AckDebt::Due::nothing;
    if (!owed) ack_at_ = kNever;
    if (owed && ack_at_ == kNever) ack_at_ = now_ + limits::kAckDelayMs;
  }

  ClientSession session_;
  Liveness liveness_;
  TimePoint now_{3600s}, ack_at_ = kNever;
  struct {
    LinkNumber link = 0;
    TimePoint at{};
  } dialled_;  // last
  std::set<LinkNumber> links_;
  std::deque<Message> waiting_;
  Deeds* deeds_ = nullptr;
  unsigned code_ = 1000;
};

TEST(ClientConversations, the_cpp_client_holds_them) {
  const Json vectors = read_vectors("conversations.json");
  const proto::SessionSecret secret = secret_of(vectors.at("secret"));
  int played = 0;
  for (const Json& conversation : vectors.at("conversations")) {
    if (conversation.at("role") != "client") continue;
    ++played;
    Client client(conversation.at("given"));
    EXPECT_EQ(play(conversation, secret, client), "");
  }
  EXPECT_GT(played, 40);
}

}  // namespace
}  // namespace rejoin::conform
