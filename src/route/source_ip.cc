#include "route/source_ip.h"

namespace rejoin::route {

Pin SourceIp::find(const Arrival& arrival) {
  Pin pin;
  if (const auto server = leases_.find(arrival.client, arrival.now)) {
    pin.server = *server;
    pin.reason = Reason::found;
  }
  return pin;
}

}  // namespace rejoin::route
