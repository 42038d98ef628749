#include "proto/length_framing.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proto/ws_message.h"

namespace rejoin::proto {
namespace {

struct Read {
  std::vector<std::string> messages;
  std::string refused;
  bool between = false;
  bool operator==(const Read&) const = default;
};

/// Feeds `stream` in pieces that end at `cuts`.
Read read(const LengthFormat& format, Bytes stream, const std::vector<std::size_t>& cuts) {
  LengthReader reader(format);
  MessageAssembler whole;
  Read out;
  std::size_t at = 0;
  for (std::size_t i = 0; i <= cuts.size(); ++i) {
    const std::size_t end = i == cuts.size() ? stream.size() : cuts[i];
    const std::string lent(
        stream.substr(at, end - at));  // its own memory, so that a view kept too long is seen
    at = end;
    Bytes input = lent;
    for (;;) {
      const LengthEvent event = reader.feed(input);
      if (event.kind == LengthEvent::Kind::more) break;
      if (event.kind == LengthEvent::Kind::refused) {
        out.refused = event.reason;
        Bytes more = "xxxx";
        EXPECT_EQ(reader.feed(more).reason, event.reason);
        return out;
      }
      if (const auto message = whole.add(event)) out.messages.emplace_back(*message);
    }
    EXPECT_TRUE(input.empty());
  }
  out.between = reader.between_messages();
  return out;
}

LengthFormat format(LengthBytes length, Endian endian, LengthCounts counts, std::uint32_t max = 1000) {
  return {max, length, endian, counts};
}

TEST(LengthFraming, EveryFormatCutAtEveryTwoBytes) {
  for (const LengthBytes length : {LengthBytes::two, LengthBytes::four}) {
    for (const Endian endian : {Endian::big, Endian::little}) {
      for (const LengthCounts counts : {LengthCounts::payload, LengthCounts::payload_and_itself}) {
        const LengthFormat f = format(length, endian, counts);
        const std::vector<std::string> messages{"hello", "", std::string(140, 'x'), "end"};
        std::string stream;
        for (const std::string& message : messages) {
          const Result<LengthHeader> header = write_length(f, message.size());
          ASSERT_TRUE(header);
          stream += std::string(header->view()) + message;
        }
        const Read expected{messages, "", true};
        EXPECT_EQ(read(f, stream, {}), expected);
        for (std::size_t i = 0; i <= stream.size(); ++i) {
          EXPECT_EQ(read(f, stream, {i}), expected) << i;
          for (std::size_t j = i; j <= stream.size() && j < i + 5; ++j)
            EXPECT_EQ(read(f, stream, {i, j}), expected);
        }
        std::vector<std::size_t> all;
        for (std::size_t i = 1; i < stream.size(); ++i) all.push_back(i);
        EXPECT_EQ(read(f, stream, all), expected);
      }
    }
  }
}

TEST(LengthFraming, BytesOfTheHeader) {
  const auto header = [](LengthBytes length, Endian endian, LengthCounts counts, std::uint64_t size) {
    LengthFormat f = format(length, endian, counts, 0xffffffff);
    return std::string(write_length(f, size)->view());
  };
  using enum LengthCounts;
  EXPECT_EQ(header(LengthBytes::four, Endian::big, payload, 5), std::string("\0\0\0\5", 4));
  EXPECT_EQ(header(LengthBytes::four, Endian::little, payload, 0x010203), std::string("\3\2\1\0", 4));
  EXPECT_EQ(header(LengthBytes::four, Endian::big, payload_and_itself, 5), std::string("\0\0\0\x9", 4));
  EXPECT_EQ(header(LengthBytes::two, Endian::big, payload, 0x0102), "\1\2");
  EXPECT_EQ(header(LengthBytes::two, Endian::little, payload_and_itself, 0), std::string("\2\0", 2));
  EXPECT_EQ(header(LengthBytes::four, Endian::big, payload, 0xffffffff), "\xff\xff\xff\xff");
}

TEST(LengthFraming, WriterKeepsToLimitAndWidth) {
  using enum LengthCounts;
  EXPECT_TRUE(write_length(format(LengthBytes::four, Endian::big, payload, 10), 10));
  EXPECT_FALSE(write_length(format(LengthBytes::four, Endian::big, payload, 10), 11));
  EXPECT_TRUE(write_length(format(LengthBytes::two, Endian::big, payload, 1 << 20), 0xffff));
  EXPECT_FALSE(write_length(format(LengthBytes::two, Endian::big, payload, 1 << 20), 0x10000));
  EXPECT_TRUE(write_length(format(LengthBytes::two, Endian::big, payload_and_itself, 1 << 20), 0xfffd));
  const auto refused =
      write_length(format(LengthBytes::two, Endian::big, payload_and_itself, 1 << 20), 0xfffe);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::too_large);
}

TEST(LengthFraming, RefusesBeforeThePayloadAndForEver) {
  using enum LengthCounts;
  const struct {
    const char* what;
    LengthFormat format;
    std::string stream;
    const char* says;
  } table[] = {
      {"one above", format(LengthBytes::four, Endian::big, payload, 5), std::string("\0\0\0\6", 4), "limit"},
      {"4 GiB", format(LengthBytes::four, Endian::big, payload, 5), "\xff\xff\xff\xff", "limit"},
      {"little", format(LengthBytes::four, Endian::little, payload, 5), std::string("\0\0\0\1", 4), "limit"},
      {"one above, counting", format(LengthBytes::four, Endian::big, payload_and_itself, 5),
       std::string("\0\0\0\xa", 4), "limit"},
      {"counts itself, zero", format(LengthBytes::four, Endian::big, payload_and_itself),
       std::string(4, '\0'), "smaller"},
      {"counts itself, three", format(LengthBytes::four, Endian::big, payload_and_itself),
       std::string("\0\0\0\3", 4), "smaller"},
      {"counts itself, one", format(LengthBytes::two, Endian::big, payload_and_itself),
       std::string("\0\1", 2), "smaller"},
  };
  for (const auto& row : table) {
    for (std::size_t i = 0; i <= row.stream.size(); ++i) {
      EXPECT_NE(read(row.format, row.stream, {i}).refused.find(row.says), std::string::npos) << row.what;
    }
  }
}

TEST(LengthFraming, PiecesLieInTheInputAndTellTheirPlace) {
  LengthReader reader(format(LengthBytes::two, Endian::big, LengthCounts::payload));
  const std::string first("\0\5ab", 4), second("cde\0\0\0", 6);
  Bytes input = first;
  LengthEvent event = reader.feed(input);
  EXPECT_EQ(event.kind, LengthEvent::Kind::piece);
  EXPECT_EQ(event.payload.data(), first.data() + 2);
  EXPECT_TRUE(event.first && !event.last);
  EXPECT_EQ(event.left, 3u);
  EXPECT_FALSE(reader.between_messages());
  input = second;
  event = reader.feed(input);
  EXPECT_EQ(event.payload, "cde");
  EXPECT_TRUE(!event.first && event.last);
  EXPECT_TRUE(reader.between_messages());
  event = reader.feed(input);
  EXPECT_TRUE(event.first && event.last && event.payload.empty());
  EXPECT_EQ(reader.feed(input).kind, LengthEvent::Kind::more);
  EXPECT_FALSE(reader.between_messages());  // one byte of the next length is there
}

}  // namespace
}  // namespace rejoin::proto
