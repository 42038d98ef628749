// The balancer's numbers as JSON for the admin port. Pure; docs/openapi.json has the schemas.
#pragma once

#include "apps/balancer/admin_question.h"
#include "watch/json.h"

namespace rejoin::balancer {

watch::Json json_of(const ListenerNumbers& listener);
/// With its servers, or (`with_servers` false) how many there are.
watch::Json json_of(const PoolNumbers& pool, bool with_servers);
watch::Json json_of(const ServerNumbers& server, const std::string& pool);
watch::Json json_of(const TunnelRow& row);

/// "00a1b2c3d4e5f607": 16 hex digits.
std::string id_text(std::uint64_t id);
/// Nothing for what is no id.
std::optional<std::uint64_t> parse_id(std::string_view text);

}  // namespace rejoin::balancer
