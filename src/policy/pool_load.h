// PoolLoad: what was asked of a pool, as its gateway counted it: what the autoscaler looks at.
#pragma once

namespace penstock::policy {

// Cost in normalised tokens (see capacity.h). Totals count from the gateway's start and never go
// back while it runs; a smaller one means that it was started again.
struct PoolLoad {
  double offered_cost_total = 0;  // All that was asked for: admitted, queued, refused for capacity.
  double refused_cost_total = 0;  // Of it, what was refused for capacity.
  double served_cost_total = 0;   // What replicas did.
  double queued_cost = 0;         // What waits at this moment.
};

}  // namespace penstock::policy
