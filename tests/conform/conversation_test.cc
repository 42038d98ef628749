// The player of conversations sees what it is there to see: played against puppets that do as they are told,
// and then otherwise in one thing.
#include "tests/conform/conversation.h"

#include <gtest/gtest.h>

#include <functional>

namespace rejoin::conform {
namespace {

const proto::SessionSecret kSecret = secret_of(std::string(64, '4'));

/// Does in each step what its script says.
class Puppet final : public Subject {
 public:
  using Act = std::function<void(Deeds&)>;
  explicit Puppet(std::vector<Act> acts) : acts_(std::move(acts)) {}
  void step(const Json& step, Bytes frame, Deeds& deeds) override {
    if (step.at("do") == "receive") received.emplace_back(frame);
    acts_.at(at_++)(deeds);
  }
  std::vector<std::string> received;

 private:
  std::vector<Act> acts_;
  std::size_t at_ = 0;
};

std::string data(std::uint64_t seq, std::uint64_t ack, Bytes message) {
  std::string out;
  proto::append_data(out, false, seq, ack, message);
  return out;
}

std::string ping(std::uint64_t number) {
  std::string out;
  append_ping(out, proto::FrameType::ping, number, 3);
  return out;
}

std::string played(const char* steps, std::vector<Puppet::Act> acts) {
  Puppet puppet(std::move(acts));
  return play({{"name", "t"}, {"steps", Json::parse(steps)}}, kSecret, puppet);
}

/// One step that expects two frames on link 1, one on link 2, and a word.
constexpr const char* kOneStep = R"([{"do": "hint", "expect": [
  {"link": 1, "frame": {"type": "DATA", "seq": 1, "ack": 0, "hex": "61"}},
  {"link": 1, "frame": {"type": "DATA", "seq": 2, "zeros": 2}},
  {"told": "resumed", "whole": true},
  {"link": 2, "frame": {"type": "PING", "number": "any"}}]}])";

TEST(Conversation, order_counts_within_a_link_and_what_is_not_given_is_free) {
  const auto right = [](Deeds& deeds) {
    deeds.frame(2, ping(77));
    deeds.told("resumed", {{"whole", true}, {"to_come", 5}});
    deeds.frame(1, data(1, 0, "a"));
    deeds.frame(1, data(2, 9, {"\0\0", 2}));
  };
  EXPECT_EQ(played(kOneStep, {right}), "");
}

TEST(Conversation, sees_what_is_otherwise) {
  const struct {
    const char* what;
    Puppet::Act act;
  } table[] = {
      {"nothing", [](Deeds&) {}},
      {"order on a link",
       [](Deeds& d) {
         d.frame(1, data(2, 9, {"\0\0", 2}));
         d.frame(1, data(1, 0, "a"));
         d.told("resumed", {{"whole", true}});
         d.frame(2, ping(1));
       }},
      {"a field",
       [](Deeds& d) {
         d.frame(1, data(1, 1, "a"));
         d.frame(1, data(2, 9, {"\0\0", 2}));
         d.told("resumed", {{"whole", true}});
         d.frame(2, ping(1));
       }},
      {"a message",
       [](Deeds& d) {
         d.frame(1, data(1, 0, "a"));
         d.frame(1, data(2, 9, "\1\1"));
         d.told("resumed", {{"whole", true}});
         d.frame(2, ping(1));
       }},
      {"a word more",
       [](Deeds& d) {
         d.frame(1, data(1, 0, "a"));
         d.frame(1, data(2, 9, {"\0\0", 2}));
         d.told("resumed", {{"whole", true}});
         d.told("lost");
         d.frame(2, ping(1));
       }},
      {"another word",
       [](Deeds& d) {
         d.frame(1, data(1, 0, "a"));
         d.frame(1, data(2, 9, {"\0\0", 2}));
         d.told("resumed", {{"whole", false}});
         d.frame(2, ping(1));
       }},
      {"another link",
       [](Deeds& d) {
         d.frame(1, data(1, 0, "a"));
         d.frame(1, data(2, 9, {"\0\0", 2}));
         d.told("resumed", {{"whole", true}});
         d.frame(3, ping(1));
       }},
      {"a frame that is none",
       [](Deeds& d) {
         d.frame(1, data(1, 0, "a"));
         d.frame(1, data(2, 9, {"\0\0", 2}));
         d.told("resumed", {{"whole", true}});
         d.frame(2, "x");
       }},
  };
  for (const auto& row : table) EXPECT_NE(played(kOneStep, {row.act}), "") << row.what;
}

TEST(Conversation, closes_are_free_only_after_the_last_word) {
  const auto detach = [](proto::DetachAction action) {
    return [action](Deeds& deeds) {
      proto::Detach fields;
      fields.action = action;
      std::string out;
      append_detach(out, fields, 0);
      deeds.frame(1, out);
    };
  };
  const auto close = [](Deeds& deeds) { deeds.close(1, 4408); };
  constexpr const char* kFree = R"([
    {"do": "hint", "expect": [{"link": 1, "frame": {"type": "DETACH"}}]}, {"do": "hint", "expect": []}])";
  constexpr const char* kMust = R"([
    {"do": "hint", "expect": [{"link": 1, "frame": {"type": "DETACH"}}]}, {"do": "hint", "expect": [{"close": 1}]}])";
  constexpr const char* kOther = R"([{"do": "hint", "expect": [{"close": 1, "code": 4400}]}])";
  const auto nothing = [](Deeds&) {};
  EXPECT_EQ(played(kFree, {detach(proto::DetachAction::again), close}), "");
  EXPECT_EQ(played(kFree, {detach(proto::DetachAction::again), nothing}), "");
  EXPECT_NE(played(kFree, {detach(proto::DetachAction::move), close}), "");
  EXPECT_EQ(played(kMust, {detach(proto::DetachAction::again), close}), "");
  EXPECT_NE(played(kMust, {detach(proto::DetachAction::again), nothing}), "");
  EXPECT_NE(played(kOther, {close}), "");
  EXPECT_NE(played(R"([{"do": "hint", "expect": []}])", {close}), "");
}

TEST(Conversation, gives_frames_their_bytes) {
  Puppet puppet(
      {[](Deeds& deeds) { deeds.frame(1, ping(41)); }, [](Deeds&) {}, [](Deeds&) {}, [](Deeds&) {}});
  const Json steps = Json::parse(R"([
    {"do": "hint", "expect": [{"link": 1, "frame": {"type": "PING", "number": "any"}}]},
    {"do": "receive", "link": 1, "frame": {"type": "PONG", "ack": 2, "number": "last"}, "expect": []},
    {"do": "receive", "link": 1, "frame": {"raw": "2a00"}, "expect": []},
    {"do": "receive", "link": 1, "frame": {"type": "RESUME", "ticket": "t", "epoch": 2, "received": "1",
                                            "proof": "wrong"}, "expect": []}])");
  EXPECT_EQ(play({{"name", "t"}, {"steps", steps}}, kSecret, puppet), "");
  ASSERT_EQ(puppet.received.size(), 3u);
  EXPECT_EQ(to_hex(puppet.received[0]), "130000000000000000020000000000000029");
  EXPECT_EQ(to_hex(puppet.received[1]), "2a00");
  const auto resume = proto::parse_resume(puppet.received[2]);
  ASSERT_TRUE(resume);
  EXPECT_FALSE(proof_holds(*resume, kSecret));
}

/// The file itself: each conversation is whole, and of a role that is known.
TEST(Conversations, are_there_for_both_ends) {
  const Json vectors = read_vectors("conversations.json");
  std::set<std::string> names;
  std::size_t clients = 0;
  for (const Json& one : vectors.at("conversations")) {
    EXPECT_TRUE(names.insert(one.at("name")).second) << one.at("name");
    EXPECT_FALSE(one.at("steps").empty());
    EXPECT_TRUE(one.at("role") == "client" || one.at("role") == "gateway");
    clients += one.at("role") == "client" ? 1 : 0;
  }
  EXPECT_GT(clients, 40u);
  EXPECT_GT(names.size() - clients, 40u);
}

}  // namespace
}  // namespace rejoin::conform
