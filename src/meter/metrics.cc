#include "meter/metrics.h"

#include <map>
#include <sstream>
#include <utility>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace penstock::meter {

namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;
using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Registry;

// Half-decade steps with 2 and 5, from what a cached token takes to what a patient client bears.
const Histogram::BucketBoundaries kLatencyBuckets = {0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1,
                                                     2,     5,    10,   20,   50,  100, 200};
const Histogram::BucketBoundaries kTokenBuckets = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05,
                                                   0.1,   0.2,   0.5,   1,    2};

Family<Counter>& CounterFamily(Registry& registry, const char* name, const char* help) {
  return BuildCounter().Name(name).Help(help).Register(registry);
}
Family<Gauge>& GaugeFamily(Registry& registry, const char* name, const char* help) {
  return BuildGauge().Name(name).Help(help).Register(registry);
}
Family<Histogram>& HistogramFamily(Registry& registry, const char* name, const char* help) {
  return BuildHistogram().Name(name).Help(help).Register(registry);
}

}  // namespace

struct Metrics::Families {
  explicit Families(Registry& r)
      : requests(CounterFamily(r, "penstock_requests_total", "Requests by how they ended.")),
        running(GaugeFamily(r, "penstock_requests_running", "Requests between arrival and end.")),
        duration(HistogramFamily(r, "penstock_request_duration_seconds",
                                 "From a request's first byte to its answer's last.")),
        ttft(HistogramFamily(r, "penstock_time_to_first_token_seconds",
                             "From a request's first byte to its answer's first token (TTFT).")),
        tpot(HistogramFamily(r, "penstock_time_per_output_token_seconds",
                             "Time per output token after the first (TPOT), one a request.")),
        tokens(CounterFamily(r, "penstock_tokens_total",
                             "Tokens: input (cached ones included), cached, output.")),
        events(CounterFamily(r, "penstock_stream_events_total", "Events relayed to clients.")),
        failovers(CounterFamily(r, "penstock_failovers_total",
                                "Requests sent again to another replica, nothing having been sent "
                                "to the client.")),
        restarts(CounterFamily(r, "penstock_replica_restarts_total",
                               "Replicas started again after they died or failed to start.")),
        replicas(GaugeFamily(r, "penstock_replicas", "Replicas by state.")) {}

  Family<Counter>& requests;
  Family<Gauge>& running;
  Family<Histogram>& duration;
  Family<Histogram>& ttft;
  Family<Histogram>& tpot;
  Family<Counter>& tokens;
  Family<Counter>& events;
  Family<Counter>& failovers;
  Family<Counter>& restarts;
  Family<Gauge>& replicas;
};

void EndpointMetrics::RequestEnded(RequestEnd end, Duration duration) {
  running_->Decrement();
  ended_[static_cast<std::size_t>(end)]->Increment();
  duration_->Observe(Seconds(duration));
}

void EndpointMetrics::TokensIn(std::uint64_t tokens, std::uint64_t cached) {
  input_tokens_->Increment(static_cast<double>(tokens));
  if (cached != 0) cached_tokens_->Increment(static_cast<double>(cached));
}

void EndpointMetrics::SetReplicas(std::size_t ready, std::size_t other) {
  replicas_ready_->Set(static_cast<double>(ready));
  replicas_other_->Set(static_cast<double>(other));
}

Metrics::Metrics(std::string_view version) : families_(std::make_unique<Families>(registry_)) {
  GaugeFamily(registry_, "penstock_build_info", "Always 1; the labels tell the build.")
      .Add({{"version", std::string(version)}})
      .Set(1);
}

Metrics::~Metrics() = default;

EndpointMetrics& Metrics::ForEndpoint(const std::string& endpoint) {
  const std::scoped_lock lock(mutex_);
  std::unique_ptr<EndpointMetrics>& slot = endpoints_[endpoint];
  if (!slot) slot = std::make_unique<EndpointMetrics>(MakeEndpoint(endpoint));
  return *slot;
}

EndpointMetrics Metrics::MakeEndpoint(const std::string& endpoint) {
  Families& f = *families_;
  EndpointMetrics made;
  for (std::size_t i = 0; i < kRequestEnds; ++i) {
    made.ended_[i] = &f.requests.Add(
        {{"endpoint", endpoint}, {"end", std::string(ToWord(static_cast<RequestEnd>(i)))}});
  }
  made.running_ = &f.running.Add({{"endpoint", endpoint}});
  made.duration_ = &f.duration.Add({{"endpoint", endpoint}}, kLatencyBuckets);
  made.ttft_ = &f.ttft.Add({{"endpoint", endpoint}}, kLatencyBuckets);
  made.tpot_ = &f.tpot.Add({{"endpoint", endpoint}}, kTokenBuckets);
  made.input_tokens_ = &f.tokens.Add({{"endpoint", endpoint}, {"kind", "input"}});
  made.cached_tokens_ = &f.tokens.Add({{"endpoint", endpoint}, {"kind", "cached"}});
  made.output_tokens_ = &f.tokens.Add({{"endpoint", endpoint}, {"kind", "output"}});
  made.events_ = &f.events.Add({{"endpoint", endpoint}});
  made.failovers_ = &f.failovers.Add({{"endpoint", endpoint}});
  made.restarts_ = &f.restarts.Add({{"endpoint", endpoint}});
  made.replicas_ready_ = &f.replicas.Add({{"endpoint", endpoint}, {"state", "ready"}});
  made.replicas_other_ = &f.replicas.Add({{"endpoint", endpoint}, {"state", "not_ready"}});
  return made;
}

void Metrics::AddSource(Source source) {
  const std::scoped_lock lock(mutex_);
  sources_.push_back(std::move(source));
}

void Metrics::AddCollector(std::function<void(std::vector<Reading>&)> collect) {
  const std::scoped_lock lock(mutex_);
  collectors_.push_back(std::move(collect));
}

std::string Metrics::Expose() {
  std::vector<prometheus::MetricFamily> families = registry_.Collect();
  std::vector<Reading> readings;
  {
    const std::scoped_lock lock(mutex_);
    for (const Source& source : sources_) {
      readings.push_back({source.name, source.help, source.labels, source.read()});
    }
    for (const auto& collect : collectors_) collect(readings);
  }
  std::map<std::string, prometheus::MetricFamily> read;
  for (Reading& reading : readings) {
    prometheus::MetricFamily& family = read[reading.name];
    const bool counter = reading.name.ends_with("_total");
    family.name = reading.name;
    family.help = std::move(reading.help);
    family.type = counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
    prometheus::ClientMetric& metric = family.metric.emplace_back();
    for (auto& [label, value] : reading.labels) metric.label.push_back({label, std::move(value)});
    (counter ? metric.counter.value : metric.gauge.value) = reading.value;
  }
  for (auto& [name, family] : read) families.push_back(std::move(family));
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, families);
  return std::move(text).str();
}

}  // namespace penstock::meter
