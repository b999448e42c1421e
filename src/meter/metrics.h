// Metrics: everything that `/metrics` of the server shows.
//
// Thread-safe. The request path holds an EndpointMetrics& and pays relaxed atomic additions,
// batched per stream; looking one up takes a lock, so callers keep the reference, which lives as
// long as the Metrics.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "meter/instruments.h"
#include "meter/request_end.h"
#include "meter/usage_record.h"

namespace penstock::meter {

// What an endpoint shows at one moment.
struct EndpointState {
  std::string endpoint;
  std::uint64_t running = 0;
  std::uint64_t queued = 0;
  std::uint64_t replicas_ready = 0;
  std::uint64_t replicas_other = 0;
  double provisioned_cost_per_s = 0;
};

// One endpoint's counters.
class EndpointMetrics {
 public:
  explicit EndpointMetrics(const std::string& endpoint);

  void RequestStarted() { running_.fetch_add(1, std::memory_order_relaxed); }
  void RequestEnded(RequestEnd end, Duration duration, Operation operation = Operation::kUnknown);
  void TokensIn(std::uint64_t tokens, std::uint64_t cached) {
    input_tokens_.Add(tokens);
    cached_tokens_.Add(cached);
  }
  void TokensOut(std::uint64_t tokens) { output_tokens_.Add(tokens); }
  // What a request drew, in thousandths of a normalised token.
  void CostDrawn(std::uint64_t cost_milli) { cost_milli_.Add(cost_milli); }
  void StreamEvents(std::uint64_t events) { events_.Add(events); }
  // `duration` from the request's first byte to the answer's first token.
  void FirstToken(Duration duration, Operation operation = Operation::kUnknown);
  void TimePerOutputToken(Duration duration, Operation operation = Operation::kUnknown);
  void StreamOverran() { overruns_.Add(); }
  void FailedOver() { failovers_.Add(); }
  // Replicas of the endpoint by state, and restarts since the server's start.
  void SetReplicas(std::size_t ready, std::size_t other);
  // The cost per second that the endpoint was provisioned for.
  void SetProvisioned(double cost_per_s) { provisioned_.Set(cost_per_s); }
  void ReplicaRestarted() { restarts_.Add(); }

  std::uint64_t running() const;

 private:
  friend class Metrics;

  // What OpenTelemetry's conventions tell by operation.
  struct ByOperation {
    ByOperation();
    std::string labels;
    Histogram duration;
    Histogram ttft;
    Histogram tpot;
    std::atomic<bool> used{false};
  };

  std::string name_;
  std::atomic<bool> shown_{true};
  std::string label_;  // endpoint="…"
  std::array<Counter, kRequestEnds> ended_;
  std::atomic<std::int64_t> running_{0};
  Histogram duration_;
  Histogram ttft_;
  Histogram tpot_;
  Counter input_tokens_;
  Counter cached_tokens_;
  Counter output_tokens_;
  Counter cost_milli_;
  Counter events_;
  Counter overruns_;
  Counter failovers_;
  Counter restarts_;
  Gauge replicas_ready_;
  Gauge replicas_other_;
  Gauge provisioned_;
  std::array<ByOperation, 4> by_operation_;
};

// Requests that wait, by endpoint and served entity: from a collector.
inline constexpr std::string_view kQueueWaiting = "penstock_queue_waiting";

class Metrics {
 public:
  explicit Metrics(std::string_view version) : version_(version) {}
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  EndpointMetrics& ForEndpoint(const std::string& endpoint);
  // Others are left out of Expose() and States() from now on, once nothing of theirs runs any more.
  // Their counters stay, so that an endpoint made again under its name goes on counting.
  void ShowOnly(const std::set<std::string>& endpoints);
  // Of all endpoints that are shown. Who waits is what collectors say in kQueueWaiting.
  std::vector<EndpointState> States() const;
  // Whether it was asked for before.
  bool Has(const std::string& endpoint) const;

  // Adds `name`, whose value `read` gives at each exposition; from any thread, so `read` must be
  // thread-safe. A monotonic value is a counter (its name ends in _total), any other a gauge.
  struct Source {
    std::string name;
    std::string help;
    std::vector<std::pair<std::string, std::string>> labels;
    std::function<double()> read;
  };
  void AddSource(Source source);

  // The same for what comes and goes: `collect` appends the samples of each exposition.
  struct Reading {
    std::string name;
    std::string help;
    std::vector<std::pair<std::string, std::string>> labels = {};
    double value = 0;
  };
  void AddCollector(std::function<void(std::vector<Reading>&)> collect);

  // Prometheus' text format, version 0.0.4.
  std::string Expose() const;

 private:
  class Page;
  std::vector<const EndpointMetrics*> Endpoints() const;  // Those that are shown.
  void ExposeSources(std::string& out) const;

  std::string version_;
  mutable std::mutex mutex_;  // Guards what follows.
  std::map<std::string, std::unique_ptr<EndpointMetrics>> endpoints_;
  std::vector<Source> sources_;
  std::vector<std::function<void(std::vector<Reading>&)>> collectors_;
  mutable std::size_t last_bytes_ = 0;  // Of the last exposition.
};

}  // namespace penstock::meter
