// DatabricksMetrics: an endpoint's last whole minute as Databricks exports it.
//
// GET /api/2.0/serving-endpoints/{name}/metrics. All but the histograms are gauges over the last
// minute, in spite of names that end in _total; each line carries its time in milliseconds. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "meter/series_cell.h"

namespace penstock::meter {

struct GpuUse {
  double busy_percent = -1;  // < 0: not known, and left out. Likewise below.
  double memory_percent = -1;
};

// Of this machine.
struct HostUse {
  double cpu_percent = -1;
  double memory_percent = -1;
  std::vector<GpuUse> gpus{};
};

// `predictions`: microseconds that replicas took.
std::string DatabricksMetrics(std::string_view endpoint, Minute minute,
                              const EndpointMinute& content, const Distribution& predictions,
                              const HostUse& host);

}  // namespace penstock::meter
