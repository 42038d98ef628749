// The keys of what becomes of a gateway's links: how a silent one is found out, how all of them go to the
// next process.
#include "apps/config/key_table.h"

namespace rejoin::config {

void visit(KeyVisitor& v, Heartbeat& it) {
  v.duration({"ping", "A client is asked for a sign of life when it was silent for so long.", R"("10s")"},
             it.ping, {100ms, 24h});
  v.duration(
      {"dead", "A link that was silent for so long is lost; its session waits for the next one.", R"("30s")"},
      it.dead, {200ms, 24h});
}

void visit(KeyVisitor& v, Upgrade& it) {
  v.duration({"over", "Clients are asked to dial the new process within this time, evenly.", R"("30s")"},
             it.over, {0s, 24h * 365});
  v.duration(
      {"wait",
       "A client of rejoin.v1 that was asked has so long; then its link is closed, and its session goes "
       "without it.",
       R"("20s")"},
      it.wait, {100ms, 10min});
  v.duration(
      {"linger",
       "Clients that could not come back to their sessions (no rejoin.v1, no session cookie) keep the old "
       "process for so long, at most.",
       R"("1h")"},
      it.linger, {0s, 24h * 365});
}

}  // namespace rejoin::config
