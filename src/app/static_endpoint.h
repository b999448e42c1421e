// Static endpoints: names that lead to servers which somebody else runs: vLLM, llama-server, any
// that speaks OpenAI's API.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "policy/routing_table.h"

namespace penstock::app {

// Parses "NAME=http://HOST:PORT[,http://...]" (host numeric or resolvable now, which blocks).
// Replica ids count upward from `first_replica`, apart from those of the fleet.
Result<policy::EndpointRoute> ParseStaticEndpoint(std::string_view text,
                                                  std::uint64_t first_replica, WallTime now);

// All of them, with distinct replica ids. Errors: kInvalidArgument naming the flag's value.
Result<std::vector<policy::EndpointRoute>> ParseStaticEndpoints(
    const std::vector<std::string>& texts, WallTime now);

}  // namespace penstock::app
