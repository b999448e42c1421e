// Hops: the places that a request may be sent to, one after the other, until one serves it.
//
// The first is chosen by the endpoint's traffic split. Behind it come the other served entities
// (where the endpoint falls back), and at last the endpoint that it spills over to. Pure.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "gateway/failure.h"
#include "gateway/live_table.h"

namespace penstock::gateway {

struct Hop {
  enum class Kind : std::uint8_t { kFirst, kFallback, kSpillover };
  Kind kind = Kind::kFirst;
  std::shared_ptr<const LiveEndpoint> endpoint;
  std::size_t entity = 0;  // Of endpoint->route->served.
};

// `spillover` is the request's own wish, "" for none; the endpoint's wins. An endpoint that does
// not exist, or is the same, is no place to spill to. At least one hop where the endpoint has a
// served entity.
std::vector<Hop> PlanHops(const LiveTable& table,
                          const std::shared_ptr<const LiveEndpoint>& endpoint,
                          std::string_view spillover, Random& random);

// Whether `failure` is one that the next hop is there for. Fallbacks: 429 and 5xx. Spill-over:
// 429, 500, 503, and a prompt too long for the model. Nobody is asked again for what a user's own
// rate limit refused: that is checked once, before the first hop.
bool MayGoOn(Hop::Kind next, const Failure& failure);

// Whether an upstream's answer of this status might be such a failure.
bool IsWorthAsking(Hop::Kind next, int status);

}  // namespace penstock::gateway
