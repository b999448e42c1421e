// Scaler: an autoscaler for each pool, fed from the gateway's load, with a log of its decisions.
//
// On the control thread; pure but for what the LoadSource reads.
#pragma once

#include <boost/json.hpp>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <string>

#include "base/clock.h"
#include "control/load_source.h"
#include "control/moment.h"
#include "control/pool_plan.h"
#include "control/reconciler.h"
#include "policy/autoscale.h"

namespace penstock::control {

inline constexpr std::size_t kDecisionsKept = 50;  // Of one pool: those that changed something.

struct Scaled {
  const PoolWant* pool;  // Borrowed from the plan.
  policy::AutoscaleDecision decision;
};

class Scaler {
 public:
  explicit Scaler(policy::AutoscaleSettings settings = {}) : settings_(settings) {}

  // Observes each pool of the plan, decides, and tells the reconciler. Call about once a second.
  // Answers what changed.
  std::vector<Scaled> Tick(const std::map<std::string, PoolWant>& plan, const LoadSource& load,
                           Reconciler& reconciler, Moment moment);

  // The last decision of the pool, and the last ones that changed something, newest first; null
  // for an unknown pool.
  boost::json::value ExplainJson(const std::string& pool) const;

 private:
  struct Entry {
    policy::Autoscaler autoscaler;
    policy::AutoscaleDecision last;
    WallTime last_at{};
    std::deque<std::pair<WallTime, policy::AutoscaleDecision>> changes;  // Newest first.
  };

  policy::AutoscaleSettings settings_;
  std::map<std::string, Entry> entries_;
};

}  // namespace penstock::control
