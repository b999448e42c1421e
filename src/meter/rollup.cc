#include "meter/rollup.h"

#include <algorithm>

namespace penstock::meter {

std::string_view SeriesEndpoint(const UsageRecord& record) {
  const bool exists = !record.endpoint_id.empty() || !record.served_entity.empty();
  return exists ? record.endpoint : std::string_view();
}

EndpointMinute& Rollup::Find(std::string_view endpoint, Minute minute) {
  auto found = endpoints_.find(endpoint);
  if (found == endpoints_.end()) found = endpoints_.emplace(endpoint, Minutes()).first;
  // The newest minute is asked for, as a rule.
  Minutes& minutes = found->second;
  if (!minutes.empty() && minutes.rbegin()->first == minute) return minutes.rbegin()->second;
  return minutes[minute];
}

void Rollup::Add(const UsageRecord& record) {
  EndpointMinute& minute = Find(SeriesEndpoint(record), MinuteOf(record.ended_at));
  // A handful of cells, and no text is made where the cell is there.
  const auto same = [&record](const EndpointMinute::Entry& entry) {
    const SeriesKey& key = entry.key;
    return key.status == record.status && key.operation == record.operation &&
           key.stream == record.stream && key.spilled == record.is_spillover() &&
           key.model_version == record.model_version && key.model == record.model;
  };
  const auto found = std::ranges::find_if(minute.cells, same);
  if (found != minute.cells.end()) {
    found->cell.Add(record);
    return;
  }
  minute
      .CellOf({.model = std::string(record.model),
               .model_version = record.model_version,
               .operation = record.operation,
               .stream = record.stream,
               .spilled = record.is_spillover(),
               .status = record.status})
      .Add(record);
}

void Rollup::Add(const GaugeRecord& record) {
  Find(record.endpoint, MinuteOf(record.at))
      .gauges.Merge({.replicas_ready = record.replicas_ready,
                     .replicas_total = record.replicas_total,
                     .queued = record.queued,
                     .running = record.running,
                     .utilisation_milli = record.utilisation_milli,
                     .provisioned_milli = record.provisioned_milli});
}

void Rollup::Merge(std::string_view endpoint, Minute minute, const EndpointMinute& other) {
  Find(endpoint, minute).Merge(other);
}

}  // namespace penstock::meter
