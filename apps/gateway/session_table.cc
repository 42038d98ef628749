#include "apps/gateway/session_table.h"

#include "apps/gateway/record.h"
#include "apps/gateway/worker.h"
#include "base/limits.h"

namespace rejoin::gateway {
namespace {

session::SessionRules session_rules(const config::Gateway& from) {
  session::SessionRules rules;
  rules.grace = from.session.grace;
  rules.ping = from.heartbeat.ping;
  rules.dead = from.heartbeat.dead;
  rules.pause_max = from.session.pause;
  rules.spread = from.session.spread;
  rules.window.bytes = static_cast<std::uint32_t>(from.session.window_bytes);
  rules.window.messages = static_cast<std::uint32_t>(from.session.window_messages);
  rules.overflow = from.session.overflow == config::Overflow::expire ? session::Overflow::expire
                                                                     : session::Overflow::pause;
  return rules;
}

}  // namespace

SessionTable::SessionTable(Worker& worker, io::World& world, const config::Gateway& rules,
                           const route::KeyRing& ring, unsigned number)
    : worker_(worker),
      world_(world),
      config_(rules),
      rules_(session_rules(rules)),
      seal_(ring, world.random),
      number_(number),
      sessions_max_(static_cast<std::size_t>(rules.session.sessions_max / rules.workers + 1)),
      window_bytes_max_(rules.session.memory_max / static_cast<unsigned>(rules.workers)),
      memory_(world.clock),
      bad_openings_(limits::kBadOpeningsInARowMax, Duration(limits::kBadOpeningEveryMs),
                    limits::kBadOpenersMax, world.random) {}

SessionTable::~SessionTable() = default;

LiveSession* SessionTable::find(const route::SessionId& id) const { return by_id_.find(id); }

LiveSession& SessionTable::make(route::TicketKind kind, const Address& client, Lasting lasting) {
  proto::SessionSecret secret;
  world_.random.fill(secret);
  const route::SessionId id = route::SessionId::make(world_.random, number_);
  ++counts_.opened;
  LiveSession& made =
      records_.make(worker_, session::Session(id, kind, secret, rules_, world_.clock.now()), client, lasting);
  by_id_.insert(made);
  sessions_.push_back(made);
  return made;
}

LiveSession& SessionTable::adopt(session::Session state, const Address& client) {
  LiveSession& made = records_.make(worker_, std::move(state), client, Lasting::outlives_links);
  by_id_.insert(made);
  sessions_.push_back(made);
  return made;
}

Result<LiveSession*> SessionTable::arrive(Bytes bytes, io::Socket& socket) {
  Result<SessionParcel> parcel = SessionParcel::read(bytes, rules_, world_.clock.now());
  if (!parcel) return std::move(parcel.error());
  if (find(parcel->restored->id()) != nullptr)
    return Error{ErrorKind::unsupported, Side::ours, Retry::no, "it is here already"};
  LiveSession& made = adopt(std::move(*parcel->restored), parcel->client);
  if (!made.arrive(*parcel, socket)) {
    destroy(made);
    return Error{ErrorKind::unsupported, Side::ours, Retry::no,
                 "its game server's connection is of another kind than [gateway] upstream"};
  }
  return &made;
}

void SessionTable::ended(LiveSession& session, proto::LinkCode code, Bytes reason, EndCause cause) {
  by_id_.erase(session);
  ending_.push_back(session);
  session::SessionEnd end;
  end.secret = session.state().secret();
  end.code = proto::number(code);
  // Of one that nobody came back for there is nothing to tell: its client logs in (spec/resume.md, "Life and
  // end").
  const bool told_later =
      session.lasting() == Lasting::outlives_links && code != proto::LinkCode::login_needed;
  if (told_later) store_->end(session.state().id(), end, rules_.grace);
  const TimePoint now = world_.clock.now();
  if (ends_.size() == kEndedShownMax) ends_.pop_front();
  ends_.push_back({session.state().id(), end.code, std::string(reason.empty() ? to_string(code) : reason),
                   now - session.state().born(), now});
  record_session(worker_, session, end.code, ends_.back().reason, cause);
  if (world_.log.wants(LogLevel::debug)) {
    worker_.tell(session.client(),
                 "session " + session.state().id().text() + " ended: " + std::string(proto::to_string(code)));
  }
}

void SessionTable::destroy(LiveSession& session) {
  by_id_.erase(session);
  records_.destroy(session);
}

void SessionTable::cancel_all() {
  ending_.for_each([](LiveSession& session) { session.cancel(); });
  sessions_.for_each([](LiveSession& session) { session.cancel(); });
}

std::uint32_t SessionTable::seal_ticket(const session::Session& session, std::string& out) {
  const UnixSeconds now = world_.clock.unix_now();
  route::Ticket ticket;
  ticket.session = session.id();
  ticket.kind = session.kind();
  ticket.expiry = now + limits::kTicketLifeSeconds;
  ticket.owner = config_.name;
  route::seal_ticket(seal_, ticket, out);
  return static_cast<std::uint32_t>(now + limits::kTicketLifeSeconds / 2);
}

route::OpenedTicket SessionTable::open_ticket(Bytes text) {
  return route::open_ticket(seal_, text, world_.clock.unix_now());
}

}  // namespace rejoin::gateway
