#include "meter/metrics.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "meter/exposition.h"

namespace penstock::meter {

namespace {

constexpr std::int64_t kMs = 1'000'000;

// Half-decade steps with 2 and 5, from what a cached token takes to what a patient client bears.
constexpr std::array kLatencyBounds = {
    Bound{5 * kMs, "0.005"},  Bound{10 * kMs, "0.01"},    Bound{20 * kMs, "0.02"},
    Bound{50 * kMs, "0.05"},  Bound{100 * kMs, "0.1"},    Bound{200 * kMs, "0.2"},
    Bound{500 * kMs, "0.5"},  Bound{1000 * kMs, "1"},     Bound{2000 * kMs, "2"},
    Bound{5000 * kMs, "5"},   Bound{10000 * kMs, "10"},   Bound{20000 * kMs, "20"},
    Bound{50000 * kMs, "50"}, Bound{100000 * kMs, "100"}, Bound{200000 * kMs, "200"}};
constexpr std::array kTokenBounds = {
    Bound{1 * kMs, "0.001"}, Bound{2 * kMs, "0.002"}, Bound{5 * kMs, "0.005"},
    Bound{10 * kMs, "0.01"}, Bound{20 * kMs, "0.02"}, Bound{50 * kMs, "0.05"},
    Bound{100 * kMs, "0.1"}, Bound{200 * kMs, "0.2"}, Bound{500 * kMs, "0.5"},
    Bound{1000 * kMs, "1"},  Bound{2000 * kMs, "2"}};

// The bounds that OpenTelemetry's conventions for generative AI name.
constexpr std::array kGenAiDuration = {
    Bound{10 * kMs, "0.01"},     Bound{20 * kMs, "0.02"},     Bound{40 * kMs, "0.04"},
    Bound{80 * kMs, "0.08"},     Bound{160 * kMs, "0.16"},    Bound{320 * kMs, "0.32"},
    Bound{640 * kMs, "0.64"},    Bound{1280 * kMs, "1.28"},   Bound{2560 * kMs, "2.56"},
    Bound{5120 * kMs, "5.12"},   Bound{10240 * kMs, "10.24"}, Bound{20480 * kMs, "20.48"},
    Bound{40960 * kMs, "40.96"}, Bound{81920 * kMs, "81.92"}};
constexpr std::array kGenAiTtft = {
    Bound{1 * kMs, "0.001"},  Bound{5 * kMs, "0.005"},  Bound{10 * kMs, "0.01"},
    Bound{20 * kMs, "0.02"},  Bound{40 * kMs, "0.04"},  Bound{60 * kMs, "0.06"},
    Bound{80 * kMs, "0.08"},  Bound{100 * kMs, "0.1"},  Bound{250 * kMs, "0.25"},
    Bound{500 * kMs, "0.5"},  Bound{750 * kMs, "0.75"}, Bound{1000 * kMs, "1"},
    Bound{2500 * kMs, "2.5"}, Bound{5000 * kMs, "5"},   Bound{7500 * kMs, "7.5"},
    Bound{10000 * kMs, "10"}};
constexpr std::array kGenAiTpot = {
    Bound{10 * kMs, "0.01"},  Bound{25 * kMs, "0.025"}, Bound{50 * kMs, "0.05"},
    Bound{75 * kMs, "0.075"}, Bound{100 * kMs, "0.1"},  Bound{150 * kMs, "0.15"},
    Bound{200 * kMs, "0.2"},  Bound{300 * kMs, "0.3"},  Bound{400 * kMs, "0.4"},
    Bound{500 * kMs, "0.5"},  Bound{750 * kMs, "0.75"}, Bound{1000 * kMs, "1"},
    Bound{2500 * kMs, "2.5"}};

// The conventions' words for what was asked.
constexpr std::array<std::string_view, 4> kGenAiOperations = {"unknown", "chat", "text_completion",
                                                              "embeddings"};

}  // namespace

EndpointMetrics::ByOperation::ByOperation()
    : duration(kGenAiDuration), ttft(kGenAiTtft), tpot(kGenAiTpot) {}

EndpointMetrics::EndpointMetrics(const std::string& endpoint)
    : name_(endpoint),
      label_(fmt::format("endpoint=\"{}\"", EscapeLabel(endpoint))),
      duration_(kLatencyBounds),
      ttft_(kLatencyBounds),
      tpot_(kTokenBounds) {
  for (std::size_t i = 0; i < by_operation_.size(); ++i) {
    by_operation_[i].labels = fmt::format(
        "gen_ai_operation_name=\"{}\",gen_ai_provider_name=\"penstock\",gen_ai_request_model=\"{}"
        "\"",
        kGenAiOperations[i], EscapeLabel(endpoint));
  }
}

void EndpointMetrics::RequestEnded(RequestEnd end, Duration duration, Operation operation) {
  running_.fetch_sub(1, std::memory_order_relaxed);
  ended_[static_cast<std::size_t>(end)].Add();
  duration_.Observe(duration);
  ByOperation& own = by_operation_[static_cast<std::size_t>(operation)];
  own.duration.Observe(duration);
  own.used.store(true, std::memory_order_relaxed);
}

void EndpointMetrics::FirstToken(Duration duration, Operation operation) {
  ttft_.Observe(duration);
  by_operation_[static_cast<std::size_t>(operation)].ttft.Observe(duration);
}

void EndpointMetrics::TimePerOutputToken(Duration duration, Operation operation) {
  tpot_.Observe(duration);
  by_operation_[static_cast<std::size_t>(operation)].tpot.Observe(duration);
}

void EndpointMetrics::SetReplicas(std::size_t ready, std::size_t other) {
  replicas_ready_.Set(static_cast<double>(ready));
  replicas_other_.Set(static_cast<double>(other));
}

std::uint64_t EndpointMetrics::running() const {
  const std::int64_t value = running_.load(std::memory_order_relaxed);
  return static_cast<std::uint64_t>(std::max<std::int64_t>(value, 0));
}

EndpointMetrics& Metrics::ForEndpoint(const std::string& endpoint) {
  const std::scoped_lock lock(mutex_);
  std::unique_ptr<EndpointMetrics>& slot = endpoints_[endpoint];
  if (!slot) slot = std::make_unique<EndpointMetrics>(endpoint);
  return *slot;
}

std::vector<const EndpointMetrics*> Metrics::Endpoints() const {
  const std::scoped_lock lock(mutex_);
  std::vector<const EndpointMetrics*> endpoints;
  endpoints.reserve(endpoints_.size());
  for (const auto& [name, metrics] : endpoints_) {
    const bool shown = metrics->shown_.load(std::memory_order_relaxed) || metrics->running() > 0;
    if (shown) endpoints.push_back(metrics.get());
  }
  return endpoints;
}

void Metrics::ShowOnly(const std::set<std::string>& endpoints) {
  const std::scoped_lock lock(mutex_);
  for (const auto& [name, metrics] : endpoints_) {
    metrics->shown_.store(endpoints.contains(name), std::memory_order_relaxed);
  }
}

std::vector<EndpointState> Metrics::States() const {
  const auto count = [](const Gauge& gauge) {
    return static_cast<std::uint64_t>(std::max(gauge.value(), 0.0));
  };
  std::vector<Reading> readings;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& collect : collectors_) collect(readings);
  }
  std::map<std::string_view, double> waiting;
  for (const Reading& reading : readings) {
    if (reading.name != kQueueWaiting) continue;
    for (const auto& [label, value] : reading.labels) {
      if (label == "endpoint") waiting[value] += reading.value;
    }
  }
  std::vector<EndpointState> states;
  for (const EndpointMetrics* const metrics : Endpoints()) {
    states.push_back({.endpoint = metrics->name_,
                      .running = metrics->running(),
                      .queued = static_cast<std::uint64_t>(waiting[metrics->name_]),
                      .replicas_ready = count(metrics->replicas_ready_),
                      .replicas_other = count(metrics->replicas_other_),
                      .provisioned_cost_per_s = metrics->provisioned_.value()});
  }
  return states;
}

bool Metrics::Has(const std::string& endpoint) const {
  const std::scoped_lock lock(mutex_);
  return endpoints_.contains(endpoint);
}

void Metrics::AddCollector(std::function<void(std::vector<Reading>&)> collect) {
  const std::scoped_lock lock(mutex_);
  collectors_.push_back(std::move(collect));
}

void Metrics::AddSource(Source source) {
  const std::scoped_lock lock(mutex_);
  sources_.push_back(std::move(source));
}

}  // namespace penstock::meter
