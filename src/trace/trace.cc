#include "trace/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace penstock::trace {

void Normalise(Trace& trace) {
  if (trace.arrivals.empty()) return;
  if (!std::ranges::is_sorted(trace.arrivals, {}, &Arrival::at_ns)) {
    std::vector<std::pair<std::int64_t, std::size_t>> order;  // (time, row).
    for (std::size_t row = 0; row < trace.arrivals.size(); ++row) {
      order.emplace_back(trace.arrivals[row].at_ns, row);
    }
    std::ranges::sort(order);
    std::vector<Arrival> sorted;
    sorted.reserve(order.size());
    for (const auto& [at_ns, row] : order) sorted.push_back(std::move(trace.arrivals[row]));
    trace.arrivals = std::move(sorted);
  }
  const std::int64_t first_ns = trace.arrivals.front().at_ns;
  for (Arrival& arrival : trace.arrivals) arrival.at_ns -= first_ns;
}

void Apply(const Cut& cut, Trace& trace) {
  std::erase_if(trace.arrivals, [&cut](const Arrival& arrival) {
    return arrival.at_ns < cut.from_ns ||
           (cut.span_ns > 0 && arrival.at_ns - cut.from_ns >= cut.span_ns);
  });
  if (cut.arrivals_max > 0 && trace.arrivals.size() > cut.arrivals_max) {
    trace.arrivals.resize(cut.arrivals_max);
  }
  for (Arrival& arrival : trace.arrivals) arrival.at_ns -= cut.from_ns;
}

void SpeedUp(double factor, Trace& trace) {
  for (Arrival& arrival : trace.arrivals) {
    arrival.at_ns = std::llround(static_cast<double>(arrival.at_ns) / factor);
  }
}

std::unexpected<Error> FailAt(std::size_t row, std::string_view column, std::string_view what) {
  return Fail(Code::kCorrupt, fmt::format("row {}, column {}: {}", row, column, what),
              std::string(column));
}

}  // namespace penstock::trace
