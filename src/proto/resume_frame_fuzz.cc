// Any bytes as a frame, and as an item of the sub-protocol list: what is read lies in the input, and written
// again it is read as the same.
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

#include "proto/resume_frame.h"
#include "proto/utf8.h"

namespace {

using namespace rejoin;
using namespace rejoin::proto;

void check(bool held, const char* what) {
  if (held) return;
  std::cerr << "broken: " << what << "\n";
  std::abort();
}

void inside(Bytes input, Bytes view) {
  check(view.empty() ||
            (view.data() >= input.data() && view.data() + view.size() <= input.data() + input.size()),
        "views lie in the input");
}

constexpr SessionSecret kSecret{'k', 'e', 'y'};

FrameView again(const std::string& frame, FrameHead expected) {
  const auto view = parse_frame(frame);
  check(view.has_value(), "what is written is a frame");
  // Other flags and a seq where there is none are skipped, not kept.
  if (!view->head.is(FrameType::data)) expected.flags = 0, expected.seq = 0;
  if (view->head.is(FrameType::data)) expected.flags &= kFlagText;
  check(view->head == expected, "the head is the same");
  return *view;
}

void reason_fits(Bytes reason) {
  check(reason.size() <= limits::kReasonBytesMax && is_utf8(reason), "a reason is short, and UTF-8");
}

void hello(const FrameView& frame) {
  const auto read = parse_hello(frame.body);
  if (!read) return;
  inside(frame.body, read->identity);
  inside(frame.body, read->application);
  std::string out;
  append_hello(out, *read);
  FrameHead head = frame.head;
  head.ack = 0;
  const auto same = parse_hello(again(out, head).body);
  check(same && same->version == read->version && same->identity == read->identity &&
            same->application == read->application,
        "HELLO");
}

void welcome(const FrameView& frame) {
  const auto read = parse_welcome(frame.body);
  if (!read) return;
  for (const Bytes address : read->addresses) inside(frame.body, address);
  std::string out;
  append_welcome(out, *read, frame.head.ack);
  const auto same = parse_welcome(again(out, frame.head).body);
  check(same && same->version == read->version && same->secret == read->secret &&
            same->ticket == read->ticket && same->grace_ms == read->grace_ms &&
            same->ping_ms == read->ping_ms && same->dead_ms == read->dead_ms &&
            same->window_bytes == read->window_bytes && same->window_messages == read->window_messages &&
            same->spread_ms == read->spread_ms && same->addresses == read->addresses,
        "WELCOME");
}

void resume(Bytes bytes, const FrameView& frame) {
  const auto read = parse_resume(bytes);
  if (!read) return;
  check(frame.head.is(FrameType::resume) && bytes.size() <= limits::kResumeBytesMax,
        "RESUME by name and size");
  inside(bytes, read->ticket);
  check(read->proven.data() == bytes.data() && read->proven.size() + read->proof.size() == bytes.size(),
        "all but the proof is proven");
  check(proof_holds(*read, kSecret) == (resume_proof(kSecret, read->proven) == read->proof), "the proof");
  std::string out;
  append_resume(out, *read, kSecret);
  const auto same = parse_resume(out);
  check(
      same && same->ticket == read->ticket && same->epoch == read->epoch && same->received == read->received,
      "RESUME");
  check(proof_holds(*same, kSecret), "what we prove is proven");
  const auto item = resume_item(out);
  check(item && resume_in_item(*item) == out, "a RESUME fits into an item");
}

void detach(const FrameView& frame) {
  const auto read = parse_detach(frame.body);
  if (!read) return;
  inside(frame.body, read->address);
  inside(frame.body, read->reason);
  reason_fits(read->reason);
  std::string out;
  append_detach(out, *read, frame.head.ack);
  const auto same = parse_detach(again(out, frame.head).body);
  check(same && same->code == read->code && same->action == read->action && same->wait_ms == read->wait_ms &&
            same->epoch == read->epoch && same->address == read->address && same->reason == read->reason,
        "DETACH");
}

void close(const FrameView& frame) {
  const auto read = parse_close(frame.body);
  if (!read) return;
  inside(frame.body, read->reason);
  reason_fits(read->reason);
  std::string out;
  append_close(out, *read, frame.head.ack);
  const auto same = parse_close(again(out, frame.head).body);
  check(same && same->code == read->code && same->reason == read->reason, "CLOSE");
}

void small_ones(const FrameView& frame) {
  const std::uint64_t ack = frame.head.ack;
  std::string out;
  if (frame.head.is(FrameType::resumed)) {
    const auto read = parse_resumed(frame.body);
    if (!read) return;
    append_resumed(out, *read, ack);
    check(parse_resumed(again(out, frame.head).body) == read, "RESUMED");
  } else if (frame.head.is(FrameType::ticket)) {
    const auto read = parse_ticket(frame.body);
    if (!read) return;
    inside(frame.body, *read);
    append_ticket(out, *read, ack);
    check(parse_ticket(again(out, frame.head).body) == read, "TICKET");
  } else if (frame.head.is(FrameType::data)) {
    append_data(out, (frame.head.flags & kFlagText) != 0, frame.head.seq, ack, frame.body);
    check(again(out, frame.head).body == frame.body, "DATA");
  } else if (frame.head.is(FrameType::ack)) {
    append_ack(out, ack);
    check(again(out, frame.head).body.empty(), "ACK");
  } else if (frame.head.is(FrameType::ping) || frame.head.is(FrameType::pong)) {
    const auto read = parse_ping(frame.body);
    if (!read) return;
    append_ping(out, static_cast<FrameType>(frame.head.type), *read, ack);
    check(parse_ping(again(out, frame.head).body) == read, "PING");
  }
}

void frame(Bytes bytes) {
  const auto view = parse_frame(bytes);
  if (!view) {
    check(!parse_resume(bytes), "a RESUME is a frame");
    return;
  }
  inside(bytes, view->body);
  const FrameHeadBytes head = write_frame_head(view->head);
  check(bytes.starts_with(Bytes(head.data(), head.size())), "a head is written as it was read");
  check(view->unknown_kind() || !frame_name(view->head.type).starts_with("0x"),
        "only known types below 0x20");
  resume(bytes, *view);
  if (view->head.is(FrameType::hello)) hello(*view);
  if (view->head.is(FrameType::welcome)) welcome(*view);
  if (view->head.is(FrameType::detach)) detach(*view);
  if (view->head.is(FrameType::close)) close(*view);
  small_ones(*view);
}

void item(Bytes text) {
  const auto bytes = resume_in_item(text);
  if (!bytes) return;
  // One text for each frame: so an item cannot be changed and still be the same RESUME.
  check(resume_item(*bytes) == std::string(text), "an item is written as it was read");
  frame(*bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes = as_bytes({data, size});
  frame(bytes);
  item(bytes);
  item(std::string(kResumeItemPrefix).append(bytes));
  // Every parser on its own: a gateway calls them by type, but they must not count on it.
  (void)parse_hello(bytes);
  (void)parse_welcome(bytes);
  (void)parse_resumed(bytes);
  (void)parse_ticket(bytes);
  (void)parse_detach(bytes);
  (void)parse_ping(bytes);
  (void)parse_close(bytes);
  return 0;
}
