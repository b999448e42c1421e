#include "gateway/hops.h"

#include <algorithm>
#include <utility>

namespace penstock::gateway {
namespace {

// By the traffic split; where all percentages are 0, the first.
std::size_t ChooseEntity(const LiveEndpoint& endpoint, Random& random) {
  const auto& served = endpoint.route->served;
  if (served.size() < 2) return 0;
  std::uint64_t sum = 0;
  for (const auto& one : served)
    sum += static_cast<std::uint64_t>(std::max(0, one.traffic_percentage));
  if (sum == 0) return 0;
  std::uint64_t point = random.Below(sum);
  for (std::size_t i = 0; i < served.size(); ++i) {
    const auto share = static_cast<std::uint64_t>(std::max(0, served[i].traffic_percentage));
    if (point < share) return i;
    point -= share;
  }
  return 0;
}

}  // namespace

std::vector<Hop> PlanHops(const LiveTable& table,
                          const std::shared_ptr<const LiveEndpoint>& endpoint,
                          std::string_view spillover, Random& random) {
  std::vector<Hop> hops;
  const policy::EndpointPolicy& policy = endpoint->route->policy;
  const std::size_t count = endpoint->entities.size();
  const std::size_t first = ChooseEntity(*endpoint, random);
  if (count > 0) hops.push_back({.kind = Hop::Kind::kFirst, .endpoint = endpoint, .entity = first});
  if (policy.fallback) {
    for (std::size_t i = 1; i < count; ++i) {
      hops.push_back(
          {.kind = Hop::Kind::kFallback, .endpoint = endpoint, .entity = (first + i) % count});
    }
  }
  const std::string_view name = policy.spillover.empty() ? spillover : policy.spillover;
  if (name.empty() || name == endpoint->route->name) return hops;
  if (auto other = table.Find(name); other != nullptr && !other->entities.empty()) {
    const std::size_t entity = ChooseEntity(*other, random);
    hops.push_back({.kind = Hop::Kind::kSpillover, .endpoint = std::move(other), .entity = entity});
  }
  return hops;
}

bool IsWorthAsking(Hop::Kind next, int status) {
  if (next == Hop::Kind::kSpillover) {
    return status == 429 || status == 500 || status == 503 || status == 400;
  }
  return status == 429 || status >= 500;
}

bool MayGoOn(Hop::Kind next, const Failure& failure) {
  if (!IsWorthAsking(next, failure.status)) return false;
  return failure.status != 400 || IsContextOverflow(failure);
}

}  // namespace penstock::gateway
