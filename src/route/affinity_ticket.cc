#include "route/affinity_ticket.h"

#include "proto/resume_opening.h"
#include "proto/ws_handshake.h"
#include "route/ticket.h"

namespace rejoin::route {
namespace {

Reason reason_of(TicketState state) {
  switch (state) {
    case TicketState::ok: return Reason::found;
    case TicketState::malformed: return Reason::malformed;
    case TicketState::unknown_key: return Reason::unknown_key;
    case TicketState::forged: return Reason::forged;
    case TicketState::expired: return Reason::expired;
  }
  return Reason::malformed;
}

}  // namespace

/// One arrival's tickets, tried one by one until one is found.
class AffinityTicket::Search {
 public:
  Search(AffinityTicket& of, UnixSeconds now) : of_(of), now_(now) {}

  /// The pin so far. Not found: the reason is that of the first that was tried.
  const Pin& pin() const { return pin_; }
  bool over() const { return pin_.found() || opened_ == limits::kPinCookiesMax; }

  void try_ticket(std::string_view text) {
    if (over()) return;
    ++opened_;
    const OpenedTicket opened = open_ticket(of_.seal_, text, now_);
    Pin pin;
    pin.reason = reason_of(opened.state);
    if (pin.found()) {
      const auto owner = of_.pool_.index_of(opened.ticket.owner);
      pin.reason = owner ? Reason::found : Reason::unknown_server;
      pin.server = owner.value_or(0);
    }
    if (pin.found() || pin_.reason == Reason::none) pin_ = pin;
  }

  /// Nothing of a RESUME but its ticket is a balancer's business.
  void try_resume(Bytes frame) {
    if (over()) return;
    if (const auto resume = proto::parse_resume(frame)) {
      try_ticket(resume->ticket);
    } else if (pin_.reason == Reason::none) {
      pin_.reason = Reason::malformed;
    }
  }

  void try_head(const proto::RequestHead& head) {
    proto::OfferedProtocols offered(head);
    while (const auto item = offered.next()) {
      if (!item->starts_with(proto::kResumeItemPrefix)) continue;
      const auto frame = proto::resume_in_item(*item);
      try_resume(frame ? Bytes(*frame) : Bytes());
    }
    if (const proto::Field* field = head.find(proto::kTicketHeader)) try_ticket(head.value(*field));
    try_cookies(head, proto::kTicketCookie);
    if (of_.rule_.cookie != proto::kTicketCookie) try_cookies(head, of_.rule_.cookie);
  }

 private:
  void try_cookies(const proto::RequestHead& head, std::string_view name) {
    if (over()) return;
    for (const proto::Field& field : head.all(proto::KnownField::cookie)) {
      proto::CookieReader cookies(head.value(field));
      while (const auto cookie = cookies.next()) {
        if (cookie->name == name) try_ticket(cookie->value);
      }
    }
  }

  AffinityTicket& of_;
  UnixSeconds now_;
  Pin pin_;
  int opened_ = 0;
};

Pin AffinityTicket::find(const Arrival& arrival) {
  Search search(*this, arrival.unix_now);
  if (arrival.head != nullptr) {
    search.try_head(*arrival.head);
  } else if (const proto::Opening opening = proto::opening_of(arrival.opening);
             opening.state == proto::Opening::State::resume) {
    search.try_resume(opening.frame);
  }
  return search.pin();
}

}  // namespace rejoin::route
