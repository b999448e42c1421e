// Pool metrics: what pools and lanes count, as samples for /metrics.
#pragma once

#include <vector>

#include "base/clock.h"
#include "gateway/live_table.h"
#include "meter/metrics.h"

namespace penstock::gateway {

// Any thread.
void CollectPools(PoolSet& pools, TimePoint now, std::vector<meter::Metrics::Reading>& readings);

}  // namespace penstock::gateway
