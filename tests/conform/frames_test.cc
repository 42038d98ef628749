// spec/vectors/frames.json and proofs.json: what an implementation that shares nothing with ours has written.
#include <gtest/gtest.h>

#include "tests/conform/vectors.h"

namespace rejoin::conform {
namespace {

using namespace proto;

/// `zeros` and `hex` may say the same.
Json plain(Json fields) {
  if (fields.value("type", "") != "DATA") return fields;
  const Message message = message_of(fields);
  fields.erase("zeros");
  put_message(fields, message.text, message.bytes);
  return fields;
}

TEST(Frames, are_read_as_the_vectors_say) {
  const Json vectors = read_vectors("frames.json");
  for (const Json& one : vectors.at("good")) {
    const auto fields = decode(from_hex(one.at("hex")));
    ASSERT_TRUE(fields) << one.at("name");
    EXPECT_EQ(*fields, plain(one.at("frame"))) << one.at("name");
  }
  EXPECT_GT(vectors.at("good").size(), 40u);
}

TEST(Frames, are_written_as_the_vectors_say) {
  const Json vectors = read_vectors("frames.json");
  const SessionSecret secret = secret_of(vectors.at("secret"));
  std::size_t written = 0;
  for (const Json& one : vectors.at("good")) {
    if (!one.at("canonical")) continue;
    EXPECT_EQ(to_hex(encode(one.at("frame"), secret)), one.at("hex")) << one.at("name");
    ++written;
  }
  EXPECT_GT(written, 20u);
}

TEST(Frames, that_are_bad_are_refused) {
  const Json vectors = read_vectors("frames.json");
  for (const Json& one : vectors.at("bad"))
    EXPECT_FALSE(decode(from_hex(one.at("hex")))) << one.at("name") << ": " << one.at("why");
  EXPECT_GT(vectors.at("bad").size(), 30u);
}

TEST(Proofs, hold_where_the_vectors_say) {
  const Json vectors = read_vectors("proofs.json");
  for (const Json& one : vectors.at("good")) {
    const SessionSecret secret = secret_of(one.at("secret"));
    const std::string frame = from_hex(one.at("frame"));
    const auto resume = parse_resume(frame);
    ASSERT_TRUE(resume) << one.at("name");
    EXPECT_EQ(resume->ticket, one.at("ticket").get<std::string>());
    EXPECT_EQ(resume->epoch, one.at("epoch").get<std::uint32_t>());
    EXPECT_EQ(resume->received, u64(one.at("received")));
    EXPECT_EQ(to_hex({resume->proof.data(), resume->proof.size()}), one.at("proof"));
    EXPECT_TRUE(proof_holds(*resume, secret)) << one.at("name");
    EXPECT_EQ(resume_item(frame), one.at("item").get<std::string>());
    EXPECT_EQ(resume_in_item(one.at("item").get<std::string>()), frame);
    if (one.at("later") != "") continue;
    std::string again;
    append_resume(again, *resume, secret);
    EXPECT_EQ(to_hex(again), one.at("frame")) << one.at("name");
  }
  for (const Json& one : vectors.at("wrong")) {
    const std::string frame = from_hex(one.at("frame"));
    const auto resume = parse_resume(frame);
    EXPECT_FALSE(resume && proof_holds(*resume, secret_of(one.at("secret")))) << one.at("name");
  }
  EXPECT_GT(vectors.at("wrong").size(), 5u);
}

TEST(Proofs, items_of_the_sub_protocol_list) {
  const Json vectors = read_vectors("proofs.json");
  for (const Json& one : vectors.at("items")) {
    const auto frame = resume_in_item(one.at("item").get<std::string>());
    EXPECT_EQ(frame ? Json(to_hex(*frame)) : Json(), one.at("frame")) << one.at("item");
  }
  EXPECT_GT(vectors.at("items").size(), 10u);
}

}  // namespace
}  // namespace rejoin::conform
