// The vectors of spec/vectors/, read once, and frames as the dictionaries that they are written in.
//
// Place: under every test of this folder, and under the runners of conversations (conversation.h). A fault in
// a vector file ends the test program with nlohmann's own words: it is checked in, so that it is a bug of
// ours.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "proto/resume_frame.h"

namespace rejoin::conform {

using Json = nlohmann::json;

/// "frames.json" and so on.
Json read_vectors(const std::string& file);

/// Aborts when `text` is not pairs of hex digits.
std::string from_hex(const std::string& text);
std::string to_hex(Bytes bytes);
/// Of 64 digits.
proto::SessionSecret secret_of(const std::string& hex);
/// 64-bit numbers are decimal strings in the vectors.
std::uint64_t u64(const Json& text);

/// A message is `text`, `hex` or `zeros` (so many bytes).
struct Message {
  bool text = false;
  std::string bytes;
  bool operator==(const Message&) const = default;
};
Message message_of(const Json& fields);
/// As text or hex.
void put_message(Json& fields, bool text, Bytes bytes);

/// The frame that a dictionary says; what it does not say is 0 or empty. A RESUME is proven with `secret`,
/// and wrongly where it says `"proof": "wrong"`. `raw` is a frame in hex.
std::string encode(const Json& fields, const proto::SessionSecret& secret);
/// The dictionary of a frame, with all its fields. Nothing: a bad frame, a text of DATA that is not UTF-8
/// among them. One of an unknown kind has a head only.
std::optional<Json> decode(Bytes frame);

}  // namespace rejoin::conform
