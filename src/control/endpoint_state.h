// EndpointState: what an endpoint's pools mean for the endpoint: its deployments, whether it is
// ready, and what becomes of a configuration on its way. Pure.
#pragma once

#include <functional>
#include <string>

#include "base/clock.h"
#include "control/endpoint.h"
#include "control/reconciler.h"

namespace penstock::control {

// A pool as it stands, and what it should have.
struct PoolView {
  PoolStatus status;
  int first = 1;  // See PoolWant.
};
using PoolLookup = std::function<PoolView(const ServedEntity& entity)>;

struct UpdateLimits {
  // A configuration that is on its way has failed after so many starts of one replica in a row, or
  // after so long.
  int start_attempts_max = 5;
  Duration update_max = std::chrono::minutes(10);
};

EndpointStatus StatusOf(const Endpoint& endpoint, const PoolLookup& pools);

// What is to become of the configuration on its way, `waited` after it was asked for.
enum class UpdateStep { kNone, kApply, kFail };
struct UpdateDecision {
  UpdateStep step = UpdateStep::kNone;
  std::string message;  // Of kFail.
};
UpdateDecision DecideUpdate(const Endpoint& endpoint, const PoolLookup& pools, Duration waited,
                            const UpdateLimits& limits);

}  // namespace penstock::control
