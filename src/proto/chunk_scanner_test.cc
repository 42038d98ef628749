#include "proto/chunk_scanner.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace rejoin::proto {
namespace {

struct Case {
  const char* sentence;
  std::string bytes;
  /// "done N" (N bytes are the body), "more", or the reason of the refusal.
  std::string verdict;
};

std::string verdict_text(const ChunkScanner::Fed& fed) {
  if (fed.state == ChunkState::refused) return fed.reason;
  return fed.state == ChunkState::done ? "done " + std::to_string(fed.consumed) : "more";
}

/// Feeds `bytes` in two pieces.
ChunkScanner::Fed feed_cut(Bytes bytes, std::size_t cut) {
  ChunkScanner scanner;
  ChunkScanner::Fed first = scanner.feed(bytes.substr(0, cut));
  if (first.state != ChunkState::more) return first;
  EXPECT_EQ(first.consumed, cut);
  ChunkScanner::Fed second = scanner.feed(bytes.substr(cut));
  second.consumed += cut;
  return second;
}

ChunkScanner::Fed feed_byte_by_byte(Bytes bytes) {
  ChunkScanner scanner;
  ChunkScanner::Fed all;
  for (std::size_t i = 0; i < bytes.size() && all.state == ChunkState::more; ++i) {
    const auto fed = scanner.feed(bytes.substr(i, 1));
    all = {all.consumed + fed.consumed, fed.state, fed.reason};
  }
  return all;
}

void expect_all(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    SCOPED_TRACE(one.sentence);
    ChunkScanner scanner;
    EXPECT_EQ(verdict_text(scanner.feed(one.bytes)), one.verdict);
    EXPECT_EQ(verdict_text(feed_byte_by_byte(one.bytes)), one.verdict) << "byte by byte";
    if (one.bytes.size() > 2000) continue;
    for (std::size_t cut = 0; cut <= one.bytes.size(); ++cut) {
      ASSERT_EQ(verdict_text(feed_cut(one.bytes, cut)), one.verdict) << "cut at " << cut;
    }
  }
}

const std::string kEnd = "0\r\n\r\n";
std::string chunk(const std::string& line) { return line + "\r\nabc\r\n" + kEnd; }

TEST(ChunkScanner, BodiesThatAreAccepted) {
  expect_all({
      {"an empty body", kEnd, "done 5"},
      {"one chunk", chunk("3"), "done 13"},
      {"the next request stays", chunk("3") + "GET / HTTP/1.1\r\n", "done 13"},
      {"two chunks, sizes in both cases of letters", "a\r\n0123456789\r\nB\r\n0123456789a\r\n" + kEnd,
       "done 36"},
      {"data that looks like an end", "5\r\n0\r\n\r\n\r\n" + kEnd, "done 15"},
      {"leading zeros, up to sixteen digits", chunk("0000000000000003"), "done 28"},
      {"an end of many zeros", "00000\r\n\r\n", "done 9"},
      {"an extension", chunk("3;a"), "done 15"},
      {"an extension with a token", chunk("3;a=b;c"), "done 19"},
      {"an extension with a quoted text", chunk("3;a=\"b ;\t\\\"\x80\""), "done 25"},
      {"an extension behind a quoted text", chunk("3;a=\"b\";c"), "done 21"},
      {"an extension of the end", "0;a=b\r\n\r\n", "done 9"},
      {"a line that just fits", chunk("3;" + std::string(limits::kChunkLineBytesMax - 2, 'a')),
       "done " + std::to_string(limits::kChunkLineBytesMax + 12)},
      {"trailers", "0\r\nX-Sum: 1\r\nETag:\t\"\x80\"\r\nEmpty:\r\n\r\n", "done 34"},
      {"trailers whose names are almost forbidden",
       "0\r\nHos: 1\r\nHosts: 2\r\nContent-Lengt: 3\r\nContent-Lengths: 4\r\n\r\n", "done 61"},
      {"a chunk that has not come", "5\r\nhel", "more"},
      {"the largest chunk", "7fffffffffffffff\r\nabc", "more"},
      {"an end that has not come", "0\r\n", "more"},
      {"nothing", "", "more"},
  });
}

TEST(ChunkScanner, SizesThatAreRefused) {
  const std::string none = "chunk size without digits";
  const std::string digit = "chunk size with a byte that is no digit";
  expect_all({
      {"no size", chunk(""), none},
      {"a size in C", chunk("0x3"), digit},
      {"a space before", chunk(" 3"), none},
      {"a tab before", chunk("\t3"), none},
      {"a space behind", chunk("3 "), digit},
      {"a tab behind", chunk("3\t"), digit},
      {"plus", chunk("+3"), none},
      {"minus", chunk("-1"), none},
      {"an underscore", chunk("3_"), digit},
      {"a letter that is no digit", chunk("3g"), digit},
      {"a quote", chunk("\"3\""), none},
      {"a comma", chunk("3,3"), digit},
      {"NUL", chunk(std::string("3\0", 2)), digit},
      {"seventeen digits", chunk("00000000000000003"), "chunk size of more than 16 digits"},
      {"2^63", chunk("8000000000000000"), "chunk size too large"},
      {"2^64 - 1", chunk("ffffffffffffffff"), "chunk size too large"},
      {"LF without CR", "3\nabc\r\n" + kEnd, digit},
      {"LF before the size", "\n3\r\nabc\r\n" + kEnd, none},
      {"CR without LF", "3\rabc\r\n" + kEnd, "CR without LF behind a chunk size"},
      {"two CRs", "3\r\r\nabc\r\n" + kEnd, "CR without LF behind a chunk size"},
  });
}

TEST(ChunkScanner, ExtensionsThatAreRefused) {
  const std::string malformed = "malformed chunk extension";
  const std::string control = "control character in a chunk extension";
  const std::string no_name = "chunk extension without name";
  const std::string no_value = "chunk extension without value";
  expect_all({
      {"a space before the semicolon", chunk("3 ;a"), "chunk size with a byte that is no digit"},
      {"a space behind the semicolon", chunk("3; a"), no_name},
      {"no name", chunk("3;"), no_name},
      {"no name between", chunk("3;;a"), no_name},
      {"no name before the value", chunk("3;=b"), no_name},
      {"a space behind the name", chunk("3;a "), malformed},
      {"a space before the value", chunk("3;a= b"), no_value},
      {"no value", chunk("3;a="), no_value},
      {"a space behind the value", chunk("3;a=b "), malformed},
      {"a second value", chunk("3;a=b=c"), malformed},
      {"a quote in a token", chunk("3;a=b\"c\""), malformed},
      {"a letter behind the quote", chunk("3;a=\"b\"c"), malformed},
      {"LF in an extension", chunk("3;a\nb"), malformed},
      {"LF in a quoted text", chunk("3;a=\"\n\""), control},
      {"LF behind a backslash", chunk("3;a=\"\\\n\""), control},
      {"NUL in a quoted text", chunk(std::string("3;a=\"\0\"", 7)), control},
      {"a quoted text that is not closed", chunk("3;a=\"b"), control},
      {"a quoted text whose closing quote is escaped", chunk("3;a=\"b\\\""), control},
      {"CR without LF", "3;a\rb\r\nabc\r\n" + kEnd, "CR without LF behind a chunk size"},
      {"a line of one byte more than fits", chunk("3;" + std::string(limits::kChunkLineBytesMax - 1, 'a')),
       "chunk line too long"},
      {"a quoted text that never ends", "3;a=\"" + std::string(20000, 'b'), "chunk line too long"},
      {"a long extension of the end", "0;a=\"" + std::string(20000, 'b'), "chunk line too long"},
  });
}

TEST(ChunkScanner, DataAndEndsThatAreRefused) {
  const std::string longer = "chunk data longer than its size";
  expect_all({
      {"data that is too long", "3\r\nabcd\r\n" + kEnd, longer},
      {"data that is too short", "3\r\nab\r\n" + kEnd, longer},
      {"data without an end", "3\r\nabc3\r\nabc\r\n" + kEnd, longer},
      {"LF behind data", "3\r\nabc\n" + kEnd, longer},
      {"CR without LF behind data", "3\r\nabc\r" + kEnd, "CR without LF behind chunk data"},
      {"LF at the end", "0\r\n\n", "malformed trailer name"},
      {"CR without LF at the end", "0\r\n\rX", "CR without LF in trailers"},
  });
}

TEST(ChunkScanner, TrailersThatAreRefused) {
  const std::string name = "malformed trailer name";
  const std::string forbidden = "trailer that may not be one";
  const std::string control = "control character in a trailer";
  const auto trailer = [](const std::string& line) { return "0\r\n" + line + "\r\n\r\n"; };
  std::vector<Case> cases = {
      {"Content-Length in small letters", trailer("content-length: 3"), forbidden},
      {"Content_Length", trailer("Content_Length: 3"), forbidden},
      {"no colon", trailer("X"), name},
      {"no name", trailer(": x"), name},
      {"a space before the colon", trailer("X : y"), name},
      {"a byte from 0x80 on in the name", trailer("X\x80: y"), name},
      {"obs-fold", trailer("X: y\r\n z"), "obs-fold in trailers"},
      {"a space first", trailer(" X: y"), "obs-fold in trailers"},
      {"LF without CR", trailer("X: y\nZ: a"), control},
      {"CR without LF", trailer("X: y\rZ: a"), "CR without LF in trailers"},
      {"NUL", trailer(std::string("X: \0", 4)), control},
      {"DEL", trailer("X: \x7f"), control},
      {"too many bytes in one", trailer("X: " + std::string(limits::kTrailerBytesMax, 'y')),
       "trailers too large"},
      {"a name that never ends", "0\r\n" + std::string(limits::kTrailerBytesMax + 1, 'y'),
       "trailers too large"},
  };
  for (const char* one :
       {"Host", "Content-Length", "Transfer-Encoding", "Connection", "TE", "Trailer", "Upgrade", "Cookie",
        "Set-Cookie", "Authorization", "WWW-Authenticate", "Content-Encoding", "Content-Type", "Range",
        "Cache-Control", "X-Forwarded-For", "Sec-WebSocket-Key", "If-None-Match", "Expect"}) {
    cases.push_back({one, trailer(std::string(one) + ": x"), forbidden});
  }
  std::string many;
  while (many.size() <= limits::kTrailerBytesMax) many += "X: y\r\n";
  cases.push_back({"too many bytes in many", "0\r\n" + many, "trailers too large"});
  expect_all(cases);
}

TEST(ChunkScanner, TheContentComesInPieces) {
  const std::string bytes = "3;x\r\nabc\r\n5\r\nde\r\nf\r\n0\r\nX: y\r\n\r\nrest";
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    SCOPED_TRACE(cut);
    ChunkScanner scanner;
    std::string payload;
    std::size_t consumed = 0;
    ChunkState state = ChunkState::more;
    for (Bytes piece : {Bytes(bytes).substr(0, cut), Bytes(bytes).substr(cut)}) {
      while (!piece.empty() && state == ChunkState::more) {
        const auto step = scanner.step(piece);
        payload += step.payload;
        consumed += step.consumed;
        state = step.state;
        piece.remove_prefix(step.consumed);
      }
    }
    EXPECT_EQ(state, ChunkState::done);
    EXPECT_EQ(payload, "abcde\r\nf");
    EXPECT_EQ(consumed, bytes.size() - 4);
  }
}

TEST(ChunkScanner, ItSaysHowMuchOfAChunkIsMissing) {
  ChunkScanner scanner;
  EXPECT_EQ(scanner.payload_left(), 0u);
  scanner.feed("1000\r\nabc");
  EXPECT_EQ(scanner.payload_left(), 0x1000u - 3);
}

TEST(ChunkScanner, TheVerdictIsFinal) {
  ChunkScanner done, refused;
  done.feed(kEnd);
  EXPECT_EQ(done.feed("3\r\n").state, ChunkState::done);
  EXPECT_EQ(done.feed("3\r\n").consumed, 0u);
  EXPECT_EQ(refused.feed("3\r\nabcX").consumed, 6u) << "what is before the wrong byte";
  EXPECT_EQ(refused.feed("\r\n").state, ChunkState::refused);
}

TEST(ChunkScanner, OnlyTheBytesBeforeTheWrongOneAreConsumed) {
  ChunkScanner scanner;
  EXPECT_EQ(scanner.feed("3\r\nabc\r\nzz").consumed, 8u);
}

}  // namespace
}  // namespace rejoin::proto
