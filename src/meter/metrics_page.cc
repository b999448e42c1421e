// The text that `/metrics` gives: every family, its type and its help.
#include <map>

#include <fmt/format.h>

#include "meter/exposition.h"
#include "meter/metrics.h"

namespace penstock::meter {

// Opens families and gives each endpoint's samples.
class Metrics::Page {
 public:
  Page(std::string& out, std::vector<const EndpointMetrics*> endpoints)
      : out_(out), endpoints_(std::move(endpoints)) {}

  void Requests();
  void Tokens();
  void Replicas();
  void GenAi();

 private:
  using M = const EndpointMetrics&;
  using Own = const EndpointMetrics::ByOperation&;

  template <typename Sample>
  void Family(std::string_view name, std::string_view type, std::string_view help, Sample sample) {
    if (endpoints_.empty()) return;
    out_.Family(name, type, help);
    for (const EndpointMetrics* const metrics : endpoints_) sample(*metrics);
  }
  template <typename Choose>
  void ByOperation(std::string_view name, std::string_view help, Choose histogram) {
    Family(name, "histogram", help, [&](M m) {
      for (Own own : m.by_operation_) {
        if (own.used.load(std::memory_order_relaxed)) out_.Sample(own.labels, histogram(own));
      }
    });
  }
  // A sample with one more label behind the endpoint's.
  template <typename Value>
  void More(M m, std::string_view label, std::string_view word, Value value) {
    labels_.assign(m.label_).append(",").append(label).append("=\"").append(word).append("\"");
    out_.Sample(labels_, value);
  }

  Exposition out_;
  std::vector<const EndpointMetrics*> endpoints_;
  std::string labels_;
};

void Metrics::Page::Requests() {
  Family("penstock_requests_total", "counter", "Requests by how they ended.", [this](M m) {
    for (std::size_t i = 0; i < kRequestEnds; ++i) {
      labels_.assign("end=\"").append(ToWord(static_cast<RequestEnd>(i))).append("\",");
      out_.Sample(labels_.append(m.label_), m.ended_[i].value());
    }
  });
  Family("penstock_requests_running", "gauge", "Requests between arrival and end.",
         [this](M m) { out_.Sample(m.label_, m.running()); });
  Family("penstock_request_duration_seconds", "histogram",
         "From a request's first byte to its answer's last.",
         [this](M m) { out_.Sample(m.label_, m.duration_); });
  Family("penstock_time_to_first_token_seconds", "histogram",
         "From a request's first byte to its answer's first token (TTFT).",
         [this](M m) { out_.Sample(m.label_, m.ttft_); });
  Family("penstock_time_per_output_token_seconds", "histogram",
         "Time per output token after the first (TPOT), one a request.",
         [this](M m) { out_.Sample(m.label_, m.tpot_); });
}

void Metrics::Page::Tokens() {
  Family("penstock_tokens_total", "counter",
         "Tokens: input (cached ones included), cached, output.", [this](M m) {
           More(m, "kind", "input", m.input_tokens_.value());
           More(m, "kind", "cached", m.cached_tokens_.value());
           More(m, "kind", "output", m.output_tokens_.value());
         });
  Family("penstock_cost_total", "counter",
         "Normalised tokens drawn: what counts against the provisioned throughput.",
         [this](M m) { out_.Sample(m.label_, static_cast<double>(m.cost_milli_.value()) / 1000); });
  Family("penstock_stream_events_total", "counter", "Events relayed to clients.",
         [this](M m) { out_.Sample(m.label_, m.events_.value()); });
  Family("penstock_stream_overruns_total", "counter",
         "Streams that were ended because they went far beyond their request's token limit.",
         [this](M m) { out_.Sample(m.label_, m.overruns_.value()); });
}

void Metrics::Page::Replicas() {
  Family("penstock_failovers_total", "counter",
         "Requests sent again to another replica, nothing having been sent to the client.",
         [this](M m) { out_.Sample(m.label_, m.failovers_.value()); });
  Family("penstock_replica_restarts_total", "counter",
         "Replicas started again after they died or failed to start.",
         [this](M m) { out_.Sample(m.label_, m.restarts_.value()); });
  Family("penstock_replicas", "gauge", "Replicas by state.", [this](M m) {
    More(m, "state", "ready", m.replicas_ready_.value());
    More(m, "state", "not_ready", m.replicas_other_.value());
  });
  Family("penstock_provisioned_cost_per_second", "gauge",
         "Normalised tokens per second that the endpoint is sold.",
         [this](M m) { out_.Sample(m.label_, m.provisioned_.value()); });
}

void Metrics::Page::GenAi() {
  ByOperation("gen_ai_server_request_duration_seconds",
              "OpenTelemetry's gen_ai.server.request.duration.",
              [](Own own) -> const Histogram& { return own.duration; });
  ByOperation("gen_ai_server_time_to_first_token_seconds",
              "OpenTelemetry's gen_ai.server.time_to_first_token.",
              [](Own own) -> const Histogram& { return own.ttft; });
  ByOperation("gen_ai_server_time_per_output_token_seconds",
              "OpenTelemetry's gen_ai.server.time_per_output_token.",
              [](Own own) -> const Histogram& { return own.tpot; });
}

void Metrics::ExposeSources(std::string& out) const {
  std::vector<Reading> readings;
  {
    const std::scoped_lock lock(mutex_);
    for (const Source& source : sources_) {
      readings.push_back({source.name, source.help, source.labels, source.read()});
    }
    for (const auto& collect : collectors_) collect(readings);
  }
  // Samples of one name must stand together.
  std::map<std::string_view, std::vector<const Reading*>> families;
  for (const Reading& reading : readings) families[reading.name].push_back(&reading);
  Exposition exposition(out);
  for (const auto& [name, members] : families) {
    exposition.Family(name, name.ends_with("_total") ? "counter" : "gauge", members[0]->help);
    for (const Reading* const reading : members) {
      std::string labels;
      for (const auto& [label, value] : reading->labels) {
        if (!labels.empty()) labels += ',';
        labels += fmt::format("{}=\"{}\"", label, EscapeLabel(value));
      }
      exposition.Sample(labels, reading->value);
    }
  }
}

std::string Metrics::Expose() const {
  std::string out;
  {
    const std::scoped_lock lock(mutex_);
    out.reserve(last_bytes_ + last_bytes_ / 8 + 4096);
  }
  Exposition(out).Family("penstock_build_info", "gauge", "Always 1; the labels tell the build.");
  out += fmt::format("penstock_build_info{{version=\"{}\"}} 1\n", EscapeLabel(version_));
  Page page(out, Endpoints());
  page.Requests();
  page.Tokens();
  page.Replicas();
  page.GenAi();
  ExposeSources(out);
  const std::scoped_lock lock(mutex_);
  last_bytes_ = out.size();
  return out;
}

}  // namespace penstock::meter
