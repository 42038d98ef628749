#include "route/source_ip.h"

namespace rejoin::route {

Pin SourceIp::find(const Arrival& arrival) {
  Pin pin;
  const auto number = leases_.find(arrival.client, arrival.now);
  if (!number) return pin;
  const auto server = pool_.index_of_number(*number);
  pin.reason = server ? Reason::found : Reason::unknown_server;
  pin.server = server.value_or(0);
  return pin;
}

}  // namespace rejoin::route
