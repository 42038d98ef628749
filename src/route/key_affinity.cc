#include "route/key_affinity.h"

namespace rejoin::route {

Pin KeyAffinity::find(const Arrival& arrival) {
  Pin pin;
  const auto key = hash_of_key(rule_.key, arrival.head);
  const auto home = key ? table_.home(*key, arrival.now) : std::nullopt;
  if (!home) return pin;
  pin.reason = Reason::found;
  pin.key = *key;
  pin.server = *home;
  return pin;
}

std::optional<ServerIndex> KeyAffinity::server_for(const Pin& pin, const Wanted& wanted) {
  if (rule_.strict) return table_.home(pin.key, wanted.now);
  takers_.refresh(wanted.now);
  const auto first_of = [&](bool backups) {
    return table_.first(pin.key, wanted.now, takers_, wanted.may_wait, [&](ServerIndex index) {
      if (pool_.server(index).backup != backups || wanted.tried.contains(index)) return false;
      return wanted.may_wait ? pool_.would_take_new(index, wanted.now) : pool_.takes_new(index, wanted.now);
    });
  };
  auto server = first_of(false);
  if (!server && pool_.has_backups()) server = first_of(true);
  return server;
}

}  // namespace rejoin::route
