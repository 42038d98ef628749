#include "proto/http_editor.h"

#include <array>
#include <cassert>
#include <cstring>
#include <memory>

#include "proto/http_scan.h"

namespace rejoin::proto {
namespace {

constexpr Bytes kLineEnd = "\r\n";
constexpr Bytes kColon = ": ";

/// Appends pieces to a stretch of memory of which somebody has checked the size.
class Pen {
 public:
  explicit Pen(char* at) : at_(at) {}
  void write(Bytes bytes) {
    if (bytes.empty()) return;
    std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }
  void write(const Pieces& pieces) {
    for (Bytes part : pieces.parts) write(part);
  }

 private:
  char* at_;
};

/// RFC 9110 5.5, the half that keeps a head a head: no control characters but tabs.
bool is_value_text(Bytes text) {
  ControlFinder finder(text.data(), 0, text.size());
  std::size_t at;
  while ((at = finder.next()) != ControlFinder::kNone) {
    if (text[at] != '\t') return false;
  }
  return true;
}

Error no_room() { return {ErrorKind::exhausted, Side::ours, Retry::no, "no room for the edited head"}; }

}  // namespace

HeadEdits::HeadEdits(const Head& head, bool is_request, Bytes before, Bytes variable, Bytes after)
    : head_(head), before_(before), variable_(variable), after_(after), is_request_(is_request) {}

HeadEdits::HeadEdits(const RequestHead& head)
    : HeadEdits(head, true, head.start_line().substr(0, head.method_text().size() + 1), head.target(),
                head.start_line().substr(head.method_text().size() + 1 + head.target().size())) {}

HeadEdits::HeadEdits(const ResponseHead& head)
    : HeadEdits(head, false, head.start_line().substr(0, head.start_line().size() - head.reason().size()),
                head.reason(), {}) {}

void HeadEdits::fail(ErrorKind kind, const char* why) {
  if (failure_ != nullptr) return;
  failure_kind_ = kind;
  failure_ = why;
}

const HeadEdits::Edit* HeadEdits::edit_of(std::size_t field) const {
  for (std::size_t i = 0; i < edit_count_; ++i) {
    if (edits()[i].field == field) return &edits()[i];
  }
  return nullptr;
}

void HeadEdits::note(std::uint16_t field, Bytes name, const Pieces& value) {
  for (Bytes part : value.parts) {
    if (!is_value_text(part)) return fail(ErrorKind::bad_input, "control character in a field value");
  }
  const Edit* old = field == kAppended ? nullptr : edit_of(field);
  if (old != nullptr) {
    edits()[old - edits()].value = value;
    return;
  }
  if (edit_count_ == kEditsMax) return fail(ErrorKind::exhausted, "more edits of a head than fit");
  std::construct_at(edits() + edit_count_++, Edit{field, name, value});
}

void HeadEdits::drop(const Field& field) { dropped_.set(head_.index_of(field)); }

void HeadEdits::drop_all(KnownField known) {
  for (const Field& field : head_.all(known)) drop(field);
}

void HeadEdits::replace_value(const Field& field, Pieces value) {
  const std::size_t index = head_.index_of(field);
  dropped_.reset(index);
  replaced_.set(index);
  note(static_cast<std::uint16_t>(index), {}, value);
}

void HeadEdits::append(Bytes name, Pieces value) {
  if (!is_token(name)) return fail(ErrorKind::bad_input, "field name that is no token");
  note(kAppended, name, value);
}

void HeadEdits::set(KnownField known, Pieces value) {
  const Field* first = head_.find(known);
  if (first == nullptr) return append(name_of(known), value);
  drop_all(known);
  replace_value(*first, value);
}

void HeadEdits::drop_all(Bytes name) {
  for (const Field& field : head_.fields()) {
    if (equals_ignoring_case(head_.name(field), name)) drop(field);
  }
  for (std::size_t i = 0; i < edit_count_; ++i) {
    Edit& edit = edits()[i];
    if (edit.field == kAppended && equals_ignoring_case(edit.name, name)) edit.name = {};  // not written
  }
}

void HeadEdits::set(Bytes name, Pieces value) {
  const Field* first = head_.find(name);
  drop_all(name);
  if (first == nullptr) return append(name, value);
  replace_value(*first, value);
}

void HeadEdits::tidy(const Field& field) {
  const std::size_t index = head_.index_of(field);
  if (dropped_[index] || replaced_[index]) return;
  const std::size_t colon = std::size_t{field.name_begin} + field.name_length;
  const std::size_t plain_end = colon + kColon.size() + field.value_length + kLineEnd.size();
  const bool is_plain = field.value_begin == colon + kColon.size() && head_.bytes()[colon + 1] == ' ' &&
                        line_end(index) == plain_end;
  if (!is_plain) replace_value(field, head_.value(field));
}

void HeadEdits::replace_target(Bytes target) {
  assert(is_request_);
  if (target.empty() || target.find(' ') != Bytes::npos || !is_value_text(target) ||
      target.find('\t') != Bytes::npos) {
    return fail(ErrorKind::bad_input, "request target with a space or control character");
  }
  variable_ = target;
  start_edited_ = true;
}

void HeadEdits::replace_reason(Bytes reason) {
  assert(!is_request_);
  if (!is_value_text(reason)) return fail(ErrorKind::bad_input, "control character in a reason phrase");
  variable_ = reason;
  start_edited_ = true;
}

Bytes HeadEdits::keep(Bytes text) {
  if (text.size() > kept_bytes_.size() - kept_) {
    fail(ErrorKind::exhausted, "no room to keep a field value");
    return {};
  }
  char* at = kept_bytes_.data() + kept_;
  if (!text.empty()) std::memcpy(at, text.data(), text.size());
  kept_ = static_cast<std::uint16_t>(kept_ + text.size());
  return {at, text.size()};
}

std::size_t HeadEdits::size() const {
  std::size_t total = before_.size() + variable_.size() + after_.size() + kLineEnd.size();
  const auto fields = head_.fields();
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (dropped_[i]) continue;
    total += replaced_[i] ? replaced_size(i) : line_end(i) - fields[i].name_begin;
  }
  for (std::size_t i = 0; i < edit_count_; ++i) {
    const Edit& edit = edits()[i];
    if (edit.field == kAppended && !edit.name.empty())
      total += edit.name.size() + kColon.size() + edit.value.size() + kLineEnd.size();
  }
  return total + kLineEnd.size();
}

std::size_t HeadEdits::line_end(std::size_t index) const {
  // Lines follow each other without gaps: a line ends where the next begins, the last one before the empty
  // line.
  const auto fields = head_.fields();
  return index + 1 < fields.size() ? fields[index + 1].name_begin : head_.bytes().size() - kLineEnd.size();
}

std::size_t HeadEdits::replaced_size(std::size_t index) const {
  const Edit* edit = edit_of(index);
  const std::size_t value = edit == nullptr ? 0 : edit->value.size();
  return head_.fields()[index].name_length + kColon.size() + value + kLineEnd.size();
}

/// The start line, and where it ends.
char* HeadEdits::write_start(char* at) const {
  Pen pen(at);
  pen.write(before_);
  pen.write(variable_);
  pen.write(after_);
  pen.write(kLineEnd);
  const std::size_t length = before_.size() + variable_.size() + after_.size();
  // The minor digit: the last byte of a request line, the eighth of a status line.
  if (raised_) at[is_request_ ? length - 1 : 7] = '1';
  return at + length + kLineEnd.size();
}

Result<std::size_t> HeadEdits::write(MutableBytes out) const {
  if (failure_ != nullptr) return Error{failure_kind_, Side::ours, Retry::no, failure_};
  const std::size_t total = size();
  if (out.size() < total) return no_room();

  Pen pen(write_start(out.data()));
  const auto fields = head_.fields();
  for (std::size_t i = 0; i < fields.size();) {
    if (dropped_[i]) {
      ++i;
    } else if (replaced_[i]) {
      pen.write(head_.name(fields[i]));
      pen.write(kColon);
      pen.write(edit_of(i)->value);
      pen.write(kLineEnd);
      ++i;
    } else {
      // Neighbours that stay as they are go out in one copy.
      const std::size_t begin = fields[i].name_begin;
      while (i + 1 < fields.size() && !dropped_[i + 1] && !replaced_[i + 1]) ++i;
      pen.write(head_.bytes().substr(begin, line_end(i) - begin));
      ++i;
    }
  }
  for (std::size_t i = 0; i < edit_count_; ++i) {
    const Edit& edit = edits()[i];
    if (edit.field != kAppended || edit.name.empty()) continue;
    pen.write(edit.name);
    pen.write(kColon);
    pen.write(edit.value);
    pen.write(kLineEnd);
  }
  pen.write(kLineEnd);
  return total;
}

Status HeadEdits::write(Buffer& out) const {
  auto written = write(out.tail());
  if (!written) return written.error();
  out.commit(*written);
  return {};
}

// --- hop by hop ---

namespace {

bool frames(KnownField known) {
  return known == KnownField::host || known == KnownField::content_length ||
         known == KnownField::transfer_encoding;
}

void drop_hop_fields(const Head& head, HeadEdits& edits) {
  for (const Field& field : head.fields()) {
    const bool of_one_hop = traits_of(field.known).of_one_hop;
    if (of_one_hop || (head.connection_names_fields() && head.named_by_connection(head.name(field)))) {
      edits.drop(field);
    } else if (frames(field.known)) {
      edits.tidy(field);
    }
  }
}

/// `version`: the minor one that the head goes on with.
void tell_next_hop(const Head& head, HeadEdits& edits, NextHop next, int version) {
  switch (next) {
    case NextHop::persist:
      if (version == 0) edits.set(KnownField::connection, "keep-alive");
      return;
    case NextHop::persist_aloud: return edits.set(KnownField::connection, "keep-alive");
    case NextHop::close: return edits.set(KnownField::connection, "close");
    case NextHop::upgrade: {
      // Only one protocol is ever passed on, and its field is written anew from its value, so that a second
      // Upgrade line which nobody judged cannot slip through.
      edits.set(KnownField::connection, "upgrade");
      if (const Field* upgrade = head.find(KnownField::upgrade))
        edits.set(KnownField::upgrade, head.value(*upgrade));
      return;
    }
  }
}

}  // namespace

void hop_by_hop(const RequestHead& head, HeadEdits& edits, NextHop next) {
  drop_hop_fields(head, edits);
  const bool may_raise = head.has(KnownField::host);
  if (may_raise) edits.speak_1_1();
  tell_next_hop(head, edits, next, may_raise ? 1 : head.minor_version());
}

void hop_by_hop(const ResponseHead& head, HeadEdits& edits, NextHop next) {
  drop_hop_fields(head, edits);
  if (head.status() < 200 || head.status() == 204) edits.drop_all(KnownField::content_length);
  edits.speak_1_1();
  tell_next_hop(head, edits, next, 1);
}

}  // namespace rejoin::proto
