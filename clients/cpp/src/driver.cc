#include "clients/cpp/src/driver.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/limits.h"
#include "proto/resume_frame.h"

namespace rejoin::client {

using session::ClientSession;
using session::DialFailure;
using session::Heard;
using session::LinkNumber;
using session::Opening;

// While one is on the stack, settle() waits: links may be on the stack, too.
struct Driver::Inside {
  explicit Inside(Driver& of) : driver(of) { ++driver.inside_; }
  ~Inside() { --driver.inside_; }
  Driver& driver;
};

Result<std::unique_ptr<Driver>> Driver::make(io::World& world, io::Network* secure, Resolver& resolver,
                                             DriverOptions options, DriverEvents& events) {
  const proto::Url& url = options.url;
  if (url.scheme == proto::Scheme::http || url.scheme == proto::Scheme::https) {
    return Error{ErrorKind::bad_input, Side::ours, Retry::no,
                 url.text() + ": a gateway is dialled by ws, wss, tcp or tls"};
  }
  if (url.secure() && secure == nullptr) {
    return Error{ErrorKind::unsupported, Side::ours, Retry::no, url.text() + ": there is no TLS here"};
  }
  Result<ClientSession> session = ClientSession::make(options.identity, options.application);
  if (!session) return session.error();
  if (!options.saved.empty()) {
    const Status restored = session->restore(options.saved);
    if (!restored) return restored.error();
  }
  return std::unique_ptr<Driver>(
      new Driver(world, secure, resolver, std::move(options), events, std::move(*session)));
}

Driver::Driver(io::World& world, io::Network* secure, Resolver& resolver, DriverOptions options,
               DriverEvents& events, ClientSession session)
    : world_(world),
      secure_(secure),
      resolver_(resolver),
      options_(std::move(options)),
      events_(events),
      session_(std::move(session)),
      redial_(options_.url, options_.advertised, world.clock.now()),
      timer_([](void* self) { static_cast<Driver*>(self)->on_time(); }, this) {
  if (session_.phase() == ClientSession::Phase::kept) redial_.told(session_.terms());
}

Driver::~Driver() { assert(inside_ == 0); }

void Driver::start() {
  if (phase_ != Phase::fresh) return;
  phase_ = Phase::running;
  search_anew();
  if (options_.give_up > 0us) give_up_at_ = now() + options_.give_up;
  redial_.path_changed(now());
  State state;
  state.url = options_.url.text();
  {
    Inside inside(*this);
    events_.on_state(state);
  }
  on_time();
}

// --- what time brings ---

void Driver::on_time() {
  {
    Inside inside(*this);
    watch();
  }
  settle();
}

void Driver::watch() {
  const TimePoint at = now();
  if (ack_at_ <= at) {
    ack_at_ = kNever;
    session_.ack_now();
  }
  if (close_at_ <= at) end(close_code_, close_reason_, Keep::no);  // nobody answers: gone is gone
  if (give_up_at_ <= at) end(0, "no link in time: " + why_lost_, Keep::yes);
  if (dial_.number != 0 && dial_.began + limits::kDialS <= at)
    dial_failed(give_dial_up(), "no answer in time");
  if (restart_at_ <= at) {
    restart_at_ = kNever;
    if (dial_.number != 0) give_dial_up();
    redial_.path_changed(at);
  }
  watch_link(at);
  if (dial_.number == 0 && wants_dial() && redial_.due() <= at) dial();
}

void Driver::watch_link(TimePoint at) {
  switch (liveness_.act(at)) {
    case session::Liveness::Act::nothing: return;
    case session::Liveness::Act::ping: liveness_.pinged(session_.ping(), at); return;
    case session::Liveness::Act::dial:
      beside_ = true;
      search_anew();
      if (dial_.number == 0) redial_.path_changed(at);
      return;
    case session::Liveness::Act::dead: break;
  }
  why_lost_ = "the gateway is silent";
  const LinkNumber live = session_.live();
  if (Link* dead = link(live)) dead->part(number(proto::LinkCode::silent), why_lost_);
  (void)session_.lost(live);
}

TimePoint Driver::deadline() const {
  TimePoint at = std::min({ack_at_, close_at_, give_up_at_, restart_at_});
  if (phase_ != Phase::running) return kNever;
  if (session_.live() != 0) at = std::min(at, liveness_.due());
  if (dial_.number != 0) return std::min(at, dial_.began + Duration(limits::kDialS));
  return wants_dial() ? std::min(at, redial_.due()) : at;
}

// --- dialling ---

bool Driver::wants_dial() const {
  if (phase_ != Phase::running) return false;
  return session_.live() == 0 || beside_ || moving_ || session_.owes_resume();
}

/// The time that a link is looked for, and the dials that it takes, are counted from here.
void Driver::search_anew() {
  since_ = now();
  dials_ = 0;
}

io::Network* Driver::network_for(const proto::Url& url) { return url.secure() ? secure_ : &world_.network; }

void Driver::dial() {
  dial_ = {++last_number_, now(), redial_.target(), 0, false};
  const proto::Url url = dial_.url;
  redial_.dial_began();
  ++dials_;
  ++stats_.dials;
  if (network_for(url) == nullptr) return dial_failed(DialFailure::unreachable, "no TLS here");
  const LinkNumber number = dial_.number;
  if (url.host_kind != proto::HostKind::name) {
    Result<Address> address = Address::parse_ip(url.host, url.port);
    if (!address) return dial_addresses(number, std::move(address.error()));
    return dial_addresses(number, std::vector<Address>{*address});
  }
  resolver_.resolve(
      url.host, url.port,
      [this, number, alive = std::weak_ptr<int>(alive_)](Result<std::vector<Address>> addresses) {
        if (alive.expired()) return;
        {
          Inside inside(*this);
          dial_addresses(number, std::move(addresses));
        }
        settle();
      });
}

void Driver::dial_addresses(LinkNumber number, Result<std::vector<Address>> addresses) {
  if (dial_.number != number || phase_ != Phase::running) return;  // given up meanwhile
  if (!addresses) return dial_failed(DialFailure::unreachable, to_string(addresses.error()));
  const proto::Url& url = dial_.url;
  auto made = std::make_unique<Link>(world_, *network_for(url), options_.link, jar_, number, url,
                                     static_cast<LinkEvents&>(*this));
  const Status began = made->connect(std::move(*addresses));
  if (!began) return dial_failed(DialFailure::unreachable, to_string(began.error()));
  links_.push_back(std::move(made));
}

void Driver::dial_failed(DialFailure how, std::string_view why) {
  dial_ = {};
  ++stats_.failed_dials;
  why_lost_ = std::string(why);
  redial_.dial_failed(how, now(), world_.random);
}

/// The dial is over without an answer; how far it had come.
DialFailure Driver::give_dial_up() {
  const LinkNumber number = std::exchange(dial_, {}).number;
  (void)session_.lost(number);
  Link* given_up = link(number);
  if (given_up == nullptr) return DialFailure::unreachable;
  const DialFailure how = given_up->stage();
  given_up->drop();
  return how;
}

Opening Driver::open(LinkNumber number) {
  Opening opening = session_.open(number);
  if (opening.kind == Opening::Kind::resume) save();
  return opening;
}

void Driver::link_connected(Link& link) {
  Inside inside(*this);
  if (link.number() != dial_.number || phase_ != Phase::running) return link.drop();
  const Opening opening = open(link.number());
  dial_.asked = true;
  const bool tcp = link.url().scheme == proto::Scheme::tcp || link.url().scheme == proto::Scheme::tls;
  std::optional<std::string> item;
  if (!tcp && opening.kind == Opening::Kind::resume && redial_.may_use_item()) {
    item = proto::resume_item(opening.frame);
    if (item) redial_.item_used();
  }
  dial_.round_trips = tcp || item ? 1 : 2;
  if (opening.kind == Opening::Kind::resume) set_frame_max(link);
  const Status began = link.begin(opening.frame, item, session_.ticket());
  // A header that cannot be sent, now and for ever.
  if (!began) end(0, began.error().detail, Keep::yes);
}

// --- what links say ---

void Driver::link_frame(Link& link, Bytes frame) {
  Inside inside(*this);
  if (link.number() == session_.live()) liveness_.heard(now());
  act(link, session_.heard(link.number(), frame));
}

void Driver::link_over(Link& link, const LinkEnd& how) {
  Inside inside(*this);
  Heard heard = session_.lost(link.number(), how.close_code);
  if (link.number() == dial_.number) {
    // "Not now" (a gateway that is away, a limit) is no word against what we asked with.
    const bool not_now = how.http_status >= 500 || how.http_status == 429;
    dial_failed(not_now ? DialFailure::later : how.stage, how.why);
    if (how.retry_after > 0us) redial_.sent_away(how.retry_after, {}, now(), world_.random);
  } else if (link.number() == session_.live() || session_.live() == 0) {
    why_lost_ = how.why;
  }
  act(link, std::move(heard));
}

void Driver::act(Link& link, Heard heard) {
  switch (heard.kind) {
    case Heard::Kind::nothing: break;
    case Heard::Kind::message:
      events_.on_message(heard.bytes, heard.text);
      session_.accepted(heard.bytes.size());
      break;
    case Heard::Kind::pong:
      liveness_.pong(heard.number, now());
      beside_ = beside_ && liveness_.in_doubt();
      break;
    case Heard::Kind::opened: opened(link, {}); break;
    case Heard::Kind::resumed: {
      State state;
      state.kind = State::Kind::resumed;
      state.whole = heard.whole;
      state.to_come = heard.to_come;
      state.sent_again = heard.sent_again;
      opened(link, std::move(state));
      break;
    }
    case Heard::Kind::renewed: save(); break;
    case Heard::Kind::move:
      moving_ = true;
      search_anew();
      redial_.move(heard.wait, heard.address, now(), world_.random);
      break;
    case Heard::Kind::sent_away: sent_away(link, heard); break;
    case Heard::Kind::lost: lost(link, heard); break;
    case Heard::Kind::ended: {
      const bool by_a_copy = heard.code == number(proto::LinkCode::replaced);
      end(heard.code, std::move(heard.reason), by_a_copy ? Keep::yes : Keep::no);
      break;
    }
    case Heard::Kind::bad_frame:
      link.part(heard.code, heard.reason);
      if (link.number() == dial_.number) dial_failed(DialFailure::later, heard.reason);
      why_lost_ = heard.reason;
      break;
  }
  if (heard.room && phase_ == Phase::running) events_.on_room();
}

void Driver::set_frame_max(Link& link) {
  const std::uint64_t most = proto::FrameHead::kBytes + std::uint64_t{session_.terms().window.bytes};
  link.set_frame_max(std::max(most, Link::kFrameBytesFirst));
}

/// WELCOME or RESUMED came: the link is live.
void Driver::opened(Link& link, State state) {
  if (state.kind != State::Kind::resumed) {
    state.kind = State::Kind::open;
    redial_.told(session_.terms());
    ++stats_.logins;
  }
  set_frame_max(link);
  state.url = link.url().text();
  state.local = link.local();
  state.peer = link.peer();
  state.epoch = session_.epoch();
  state.dials = dials_;
  state.round_trips = dial_.round_trips;
  state.took = now() - since_;
  dial_ = {};
  beside_ = moving_ = false;
  had_live_ = true;
  give_up_at_ = restart_at_ = kNever;
  if (session_.phase() == ClientSession::Phase::closing) close_at_ = now() + limits::kCloseReplyS;
  redial_.dial_opened();
  liveness_.opened(now(), session_.terms().ping, session_.terms().dead);
  if (state.kind == State::Kind::open || options_.save == session::Snapshot::whole) save();
  events_.on_state(state);
}

void Driver::sent_away(Link& link, Heard& heard) {
  why_lost_ = heard.reason;
  const bool another_dial = dial_.number != 0 && dial_.number != link.number();
  if (heard.reopen && !another_dial) return reopen(link);
  if (link.number() == dial_.number) {
    dial_ = {};
    ++stats_.failed_dials;
  }
  (void)session_.lost(link.number());
  redial_.sent_away(heard.wait, heard.address, now(), world_.random);
  if (!link.over()) link.part(number(proto::LinkCode::normal), {});
}

/// The link takes one more opening frame: that saves a dial.
void Driver::reopen(Link& link) {
  const int before = link.number() == dial_.number ? dial_.round_trips : 0;
  dial_ = {link.number(), now(), link.url(), before + 1, true};
  if (had_live_) search_anew();
  link.put(open(link.number()).frame);
}

void Driver::lost(Link& link, Heard& heard) {
  if (!options_.login_again) {
    end(heard.code, std::move(heard.reason), Keep::no);
    return;
  }
  events_.on_save({});
  had_live_ = beside_ = moving_ = false;
  liveness_.closed();
  State state;
  state.kind = State::Kind::lost;
  state.code = heard.code;
  state.reason = heard.reason;
  events_.on_state(state);
  if (phase_ != Phase::running || session_.phase() == ClientSession::Phase::ended) return;  // it had enough
  search_anew();
  if (options_.give_up > 0us) give_up_at_ = now() + options_.give_up;
  // What was under way for the old session opens nothing.
  if (dial_.number != link.number() && dial_.asked) dial_ = {};
  sent_away(link, heard);
}

void Driver::end(std::uint16_t code, std::string reason, Keep keep) {
  if (phase_ == Phase::ended) return;
  phase_ = Phase::ended;
  if (session_.phase() != ClientSession::Phase::ended) session_.abandon();
  ack_at_ = close_at_ = give_up_at_ = restart_at_ = kNever;
  liveness_.closed();
  redial_.stop();
  dial_ = {};
  if (keep == Keep::no) events_.on_save({});
  State state;
  state.kind = State::Kind::ended;
  state.code = code;
  state.reason = std::move(reason);
  events_.on_state(state);
}

// --- the end of a turn ---

void Driver::settle() {
  if (inside_ != 0 || phase_ == Phase::fresh) return;
  {
    Inside inside(*this);
    note_loss();
    pump();
    sweep();
    if (dial_.number == 0 && wants_dial() && redial_.due() == kNever) redial_.dial_on(now(), world_.random);
  }
  arm();
}

void Driver::note_loss() {
  const bool had = std::exchange(had_live_, session_.live() != 0);
  if (!had || had_live_ || phase_ != Phase::running) return;
  liveness_.closed();
  if (!beside_ && !moving_) search_anew();
  beside_ = moving_ = false;
  const bool closing = session_.phase() == ClientSession::Phase::closing;
  if (closing) close_at_ = now() + limits::kSayCloseS;
  if (options_.give_up > 0us) give_up_at_ = now() + options_.give_up;
  if (dial_.number == 0 && redial_.due() == kNever) {
    redial_.link_lost(now(), world_.random);
    if (closing) redial_.path_changed(now());
  }
  State state;
  state.kind = State::Kind::reconnecting;
  state.reason = why_lost_;
  events_.on_state(state);
}

void Driver::pump() {
  for (const auto& each : links_) {
    while (each->has_room() && session_.next_frame(each->number(), frame_)) {
      const auto type = static_cast<proto::FrameType>(frame_[0]);
      if (type == proto::FrameType::data || type == proto::FrameType::close) liveness_.sent(now());
      each->put(frame_);
    }
    each->flush();
  }
  if (session_.live() == 0 || session_.ack_due() == session::AckDebt::Due::nothing) {
    ack_at_ = kNever;
  } else if (ack_at_ == kNever) {
    ack_at_ = now() + limits::kAckDelayMs;
  }
}

/// Links that the session does not know any more: the older ones unread, at the end with what is to be said.
void Driver::sweep() {
  for (const auto& each : links_) {
    if (each->over() || each->parting() || session_.knows(each->number())) continue;
    if (each->number() == dial_.number && !dial_.asked) continue;  // it is still being opened
    if (phase_ == Phase::ended) {
      each->part(number(proto::LinkCode::normal), {});
    } else {
      each->drop();
    }
  }
  std::erase_if(links_, [](const auto& each) { return each->over(); });
}

void Driver::arm() { world_.timers.arm(timer_, deadline()); }

Link* Driver::link(LinkNumber number) {
  for (const auto& each : links_) {
    if (each->number() == number) return each.get();
  }
  return nullptr;
}

void Driver::save() { events_.on_save(session_.snapshot(options_.save)); }

// --- what the application wants ---

Driver::Sent Driver::send(Bytes message, bool text) { return session_.send(message, text); }

void Driver::want_room(std::size_t bytes) { session_.want_room(bytes); }

void Driver::close(std::uint16_t code, Bytes reason) {
  if (phase_ == Phase::ended || session_.phase() == ClientSession::Phase::closing) return;
  {
    Inside inside(*this);
    close_code_ = code;
    close_reason_ = std::string(reason);
    session_.close(code, reason);
    if (session_.phase() == ClientSession::Phase::ended) {
      end(code, close_reason_, Keep::no);
    } else {
      const bool live = session_.live() != 0;
      close_at_ = now() + (live ? Duration(limits::kCloseReplyS) : Duration(limits::kSayCloseS));
      if (!live && dial_.number == 0) redial_.path_changed(now());
    }
  }
  settle();
}

void Driver::network_changed(Change change) {
  if (phase_ != Phase::running) return;
  {
    Inside inside(*this);
    const TimePoint at = now();
    if (session_.live() != 0) {
      liveness_.doubt(at);
      watch_link(at);
      if (change == Change::path_gone && !std::exchange(beside_, true)) search_anew();
    }
    if (wants_dial()) {
      if (dial_.number == 0) {
        redial_.path_changed(at);
      } else {
        // It left by the path that was; but who calls us all the time shall not keep every dial from ending.
        restart_at_ = std::max(at, dial_.began + Duration(limits::kDialHeldMs));
      }
    }
  }
  on_time();
}

Stats Driver::stats() const {
  Stats out = stats_;
  const ClientSession::Counts& counts = session_.counts();
  out.resumes = counts.resumes;
  out.received = counts.received;
  out.duplicates = counts.duplicates;
  out.sent = counts.sent;
  out.sent_again = counts.sent_again;
  out.bad_frames = counts.bad_frames;
  return out;
}

}  // namespace rejoin::client
