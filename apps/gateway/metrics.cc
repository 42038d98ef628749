#include "apps/gateway/metrics.h"

#include <string_view>

#include "watch/metrics_table.h"
#include "watch/metrics_text.h"
#include "watch/process_info.h"

namespace rejoin::gateway {
namespace {

using watch::MetricKind;
using watch::MetricRow;
using watch::MetricsText;

constexpr MetricRow<Counts> kCounts[] = {
    {&Counts::accepted, "accepted_total", "Connections accepted."},
    {&Counts::requests, "requests_total", "HTTP requests heard whole, /healthz included."},
    {&Counts::links, "links_total", "Links opened."},
    {&Counts::compressed_links, "links_compressed_total", "Of these: permessage-deflate was agreed on."},
    {&Counts::messages, "messages_in_total",
     "Messages from clients, frames of the resume protocol included."},
    {&Counts::refused_heads, "requests_refused_total", "HTTP requests answered with an error."},
    {&Counts::refused_origins, "origins_refused_total", "Of these: from a page that may not."},
    {&Counts::timed_out, "handshakes_timed_out_total",
     "Clients that did not send their head, or opening frame, in time."},
    {&Counts::refused_frames, "links_refused_total", "Links ended because of what their client sent.",
     "reason", "transport"},
    {&Counts::bad_frames, "links_refused_total", "", "reason", "bad_frame"},
    {&Counts::over_limit, "links_refused_total", "", "reason", "over_limit"},
    {&Counts::pauses, "link_pauses_total", "Times that a link was not read because its client did not read."},
    {&Counts::handed_over, "links_handed_over_total", "Links whose session was another worker's."},
    {&Counts::tls_handshakes, "tls_handshakes_total", "Handshakes of TLS with clients that succeeded."},
    {&Counts::tls_resumed, "tls_resumed_total", "Of these: with a TLS session of before."},
    {&Counts::tls_failed, "tls_failed_total", "Handshakes of TLS with clients that failed."},
};
static_assert(numbers_shown(kCounts) == watch::numbers_of<Counts>, "a number of Counts is not shown");

constexpr MetricRow<SessionCounts> kSessionCounts[] = {
    {&SessionCounts::opened, "sessions_opened_total", "Sessions begun."},
    {&SessionCounts::resumed, "sessions_resumed_total", "Links that took a session which was there."},
    {&SessionCounts::replayed, "messages_replayed_total", "Messages sent again after a resume."},
    {&SessionCounts::replaced, "links_replaced_total", "Links that lost their session to a newer one."},
    {&SessionCounts::detached, "sessions_detached_total",
     "Links lost by their session, whatever the reason."},
    {&SessionCounts::silent, "links_silent_total", "Of these: nothing was heard for too long."},
    {&SessionCounts::expired, "sessions_ended_total", "Sessions that ended for a reason counted here.",
     "reason", "expired"},
    {&SessionCounts::overflowed, "sessions_ended_total", "", "reason", "overflow"},
    {&SessionCounts::closed_by_client, "sessions_ended_total", "", "reason", "closed_by_client"},
    {&SessionCounts::ended_by_operator, "sessions_ended_total", "", "reason", "operator"},
    {&SessionCounts::stalled, "game_server_stalls_total",
     "Times that a game server was not read for want of room in a window."},
    {&SessionCounts::pings, "pings_total", "Signs of life asked for."},
    {&SessionCounts::messages_out, "messages_out_total", "Messages of game servers."},
    {&SessionCounts::too_fast, "links_too_fast_total", "Links that sent more than the rate allows."},
    {&SessionCounts::bad_ticket, "openings_refused_total", "Openings that were refused.", "reason",
     "bad_ticket"},
    {&SessionCounts::unknown_session, "openings_refused_total", "", "reason", "unknown_session"},
    {&SessionCounts::bad_proof, "openings_refused_total", "", "reason", "bad_proof"},
    {&SessionCounts::epoch_used, "openings_refused_total", "", "reason", "epoch_used"},
    {&SessionCounts::over_budget, "openings_refused_total", "", "reason", "over_budget"},
    {&SessionCounts::draining, "openings_refused_total", "", "reason", "draining"},
    {&SessionCounts::stranger, "openings_of_strangers_total", "Openings with tickets of other gateways."},
    {&SessionCounts::relayed, "openings_relayed_total", "Of these: passed on to their owner."},
};
static_assert(numbers_shown(kSessionCounts) == watch::numbers_of<SessionCounts>,
              "a number of SessionCounts is not shown");

constexpr MetricRow<MoveCounts> kMoveCounts[] = {
    {&MoveCounts::out, "sessions_moved_out_total", "Sessions that went to the next process of this gateway."},
    {&MoveCounts::in, "sessions_moved_in_total", "Sessions that came from the process before."},
    {&MoveCounts::failed, "session_moves_failed_total", "Sessions that could not go, or could not go on."},
    {&MoveCounts::told, "links_asked_to_move_total", "Links whose clients were asked to dial beside."},
    {&MoveCounts::connections, "connections_passed_on_total",
     "Connections that the next process got in the middle of their handshake."},
};
static_assert(numbers_shown(kMoveCounts) == watch::numbers_of<MoveCounts>,
              "a number of MoveCounts is not shown");

// What a gate counts; the rest of EdgeCounts is the balancer's.
constexpr MetricRow<serve::EdgeCounts> kEdgeCounts[] = {
    {&serve::EdgeCounts::denied, "edge_refusals_total",
     "Connections turned away before their first request, by reason.", "reason", "denied"},
    {&serve::EdgeCounts::full, "edge_refusals_total", "", "reason", "full"},
    {&serve::EdgeCounts::client_full, "edge_refusals_total", "", "reason", "client_full"},
    {&serve::EdgeCounts::client_too_fast, "edge_refusals_total", "", "reason", "client_too_fast"},
    {&serve::EdgeCounts::proxy_untrusted, "edge_refusals_total", "", "reason", "proxy_untrusted"},
    {&serve::EdgeCounts::bad_proxy, "edge_refusals_total", "", "reason", "bad_proxy"},
    {&serve::EdgeCounts::late, "edge_refusals_total", "", "reason", "late"},
};

const std::string kPrefix = "rejoin_gateway_";

void write_gauge(MetricsText& out, std::string_view name, std::string_view help, std::uint64_t value) {
  out.family(kPrefix + std::string(name), MetricKind::gauge, help);
  out.sample(value);
}

}  // namespace

Totals& Totals::operator+=(const Totals& more) {
  watch::add_numbers(now, more.now);
  watch::add_numbers(counts, more.counts);
  watch::add_numbers(sessions, more.sessions);
  watch::add_numbers(moves, more.moves);
  watch::add_numbers(games, more.games);
  watch::add_numbers(edge, more.edge);
  access_records += more.access_records;
  access_lost += more.access_lost;
  return *this;
}

Totals totals_of(Worker& worker) {
  Totals out;
  out.now.links = worker.links();
  out.now.attached = worker.sessions().with_link();
  out.now.detached = worker.sessions().size() - worker.sessions().with_link();
  out.now.window_bytes = worker.sessions().window_bytes();
  if (proto::CompressionShare* const compression = worker.compression()) {
    out.now.compression_bytes = compression->memory_bytes() + compression->takeover_memory_bytes();
  }
  out.now.game_connections = worker.games().connections();
  out.now.draining = worker.admits() ? 0 : 1;
  out.counts = worker.counts();
  out.now.arriving = worker.arrivals() != nullptr && worker.arrivals()->coming() ? 1 : 0;
  out.sessions = worker.sessions().counts();
  out.moves = worker.moves();
  out.games = worker.games().counts();
  out.edge = worker.edge();
  if (const watch::AccessLog* const log = worker.access_log()) {
    out.access_records = log->counts().records;
    out.access_lost = log->counts().lost;
  }
  return out;
}

std::string metrics_text(const Totals& totals, const std::vector<pid_t>& own_tables) {
  MetricsText out;
  out.family(kPrefix + "sessions", MetricKind::gauge, "Sessions that live: with a link, or waiting for one.");
  out.sample({{"phase", "attached"}}, totals.now.attached);
  out.sample({{"phase", "detached"}}, totals.now.detached);
  write_gauge(out, "links", "Links that are open.", totals.now.links);
  write_gauge(out, "window_bytes", "Memory of all replay windows.", totals.now.window_bytes);
  write_gauge(out, "compression_bytes", "Memory that compression has, or comes to have when it is used.",
              totals.now.compression_bytes);
  write_gauge(out, "game_connections", "Connections to game servers.", totals.now.game_connections);
  write_gauge(out, "draining", "Workers that take no new sessions.", totals.now.draining);
  write_rows(out, kPrefix, kCounts, totals.counts);
  write_rows(out, kPrefix, kSessionCounts, totals.sessions);
  write_gauge(out, "arriving", "Workers to which sessions of the process before this one still come.",
              totals.now.arriving);
  write_rows(out, kPrefix, kMoveCounts, totals.moves);
  out.family(kPrefix + "game_connections_opened_total", MetricKind::counter,
             "Connections to game servers that came to be.");
  out.sample(totals.games.opened);
  out.family(kPrefix + "game_connects_failed_total", MetricKind::counter,
             "Game servers that could not be reached, each attempt.");
  out.sample(totals.games.failed);
  out.family(kPrefix + "game_connections_ended_total", MetricKind::counter,
             "Connections to game servers by how they ended.");
  for (std::size_t i = 0; i < upstream::kGameEnds; ++i) {
    out.sample({{"how", to_string(static_cast<upstream::GameEnd>(i))}}, totals.games.ended[i]);
  }
  write_rows(out, kPrefix, kEdgeCounts, totals.edge);
  out.family(kPrefix + "access_records_total", MetricKind::counter, "Lines of the access log.");
  out.sample(totals.access_records);
  out.family(kPrefix + "access_records_lost_total", MetricKind::counter,
             "Lines lost since the access log's file took nothing.");
  out.sample(totals.access_lost);
  watch::write_process(out, own_tables);
  return out.take();
}

}  // namespace rejoin::gateway
