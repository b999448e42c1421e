// Metrics: everything that `/metrics` of the server shows.
//
// Thread-safe. The request path holds an EndpointMetrics& and pays relaxed atomic additions,
// batched per stream; looking one up takes a lock, so callers keep the reference, which lives as
// long as the Metrics.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include "base/clock.h"
#include "meter/request_end.h"

namespace penstock::meter {

// One endpoint's counters.
class EndpointMetrics {
 public:
  void RequestStarted() { running_->Increment(); }
  void RequestEnded(RequestEnd end, Duration duration);
  void TokensIn(std::uint64_t tokens, std::uint64_t cached);
  void TokensOut(std::uint64_t tokens) { output_tokens_->Increment(static_cast<double>(tokens)); }
  void StreamEvents(std::uint64_t events) { events_->Increment(static_cast<double>(events)); }
  // `duration` from the request's first byte to the answer's first token.
  void FirstToken(Duration duration) { ttft_->Observe(Seconds(duration)); }
  void TimePerOutputToken(Duration duration) { tpot_->Observe(Seconds(duration)); }
  void FailedOver() { failovers_->Increment(); }
  // Replicas of the endpoint by state, and restarts since the server's start.
  void SetReplicas(std::size_t ready, std::size_t other);
  void ReplicaRestarted() { restarts_->Increment(); }

 private:
  friend class Metrics;
  std::array<prometheus::Counter*, kRequestEnds> ended_{};
  prometheus::Gauge* running_ = nullptr;
  prometheus::Histogram* duration_ = nullptr;
  prometheus::Histogram* ttft_ = nullptr;
  prometheus::Histogram* tpot_ = nullptr;
  prometheus::Counter* input_tokens_ = nullptr;
  prometheus::Counter* cached_tokens_ = nullptr;
  prometheus::Counter* output_tokens_ = nullptr;
  prometheus::Counter* events_ = nullptr;
  prometheus::Counter* failovers_ = nullptr;
  prometheus::Counter* restarts_ = nullptr;
  prometheus::Gauge* replicas_ready_ = nullptr;
  prometheus::Gauge* replicas_other_ = nullptr;
};

class Metrics {
 public:
  explicit Metrics(std::string_view version);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  EndpointMetrics& ForEndpoint(const std::string& endpoint);

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
  std::string Expose();

 private:
  struct Families;
  EndpointMetrics MakeEndpoint(const std::string& endpoint);

  prometheus::Registry registry_;
  std::unique_ptr<Families> families_;
  std::mutex mutex_;  // Guards what follows.
  std::unordered_map<std::string, std::unique_ptr<EndpointMetrics>> endpoints_;
  std::vector<Source> sources_;
  std::vector<std::function<void(std::vector<Reading>&)>> collectors_;
};

}  // namespace penstock::meter
