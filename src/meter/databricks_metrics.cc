#include "meter/databricks_metrics.h"

#include <fmt/format.h>

#include <array>
#include <iterator>
#include <utility>

namespace penstock::meter {
namespace {

constexpr std::array<double, 14> kBoundsMs = {5,    10,   20,   50,    100,   200,   500,
                                              1000, 2000, 5000, 10000, 20000, 50000, 100000};

class Page {
 public:
  Page(std::string_view endpoint, Minute minute)
      : endpoint_(endpoint), at_ms_(TimeOf(minute + 1).time_since_epoch().count()) {}

  void Gauge(std::string_view name, std::string_view help, double value) {
    Head(name, help, "gauge");
    Line(name, "", "", value);
  }

  // A line for each GPU that tells.
  void Gauges(std::string_view name, std::string_view help, const std::vector<GpuUse>& gpus,
              double GpuUse::* percent) {
    bool any = false;
    for (std::size_t i = 0; i < gpus.size(); ++i) {
      if (gpus[i].*percent < 0) continue;
      if (!std::exchange(any, true)) Head(name, help, "gauge");
      Line(name, "", fmt::format(",gpu=\"gpu{}\"", i), gpus[i].*percent);
    }
  }

  void Histogram(std::string_view name, std::string_view help, const Distribution& values) {
    Head(name, help, "histogram");
    for (const double bound : kBoundsMs) {
      Line(name, "_bucket", fmt::format(",le=\"{}\"", bound),
           static_cast<double>(values.sketch.CountUpTo(bound * 1000)));
    }
    const auto count = static_cast<double>(values.sketch.count());
    Line(name, "_bucket", ",le=\"+Inf\"", count);
    Line(name, "_sum", "", static_cast<double>(values.stat.sum) / 1000);
    Line(name, "_count", "", count);
  }

  std::string Take() { return std::move(text_); }

 private:
  void Head(std::string_view name, std::string_view help, std::string_view type) {
    fmt::format_to(std::back_inserter(text_), "# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
  }
  void Line(std::string_view name, std::string_view suffix, std::string_view label, double value) {
    fmt::format_to(std::back_inserter(text_), "{}{}{{endpoint_name=\"{}\"{}}} {} {}\n", name,
                   suffix, endpoint_, label, value, at_ms_);
  }

  std::string_view endpoint_;
  std::int64_t at_ms_;
  std::string text_;
};

}  // namespace

std::string DatabricksMetrics(std::string_view endpoint, Minute minute,
                              const EndpointMinute& content, const Distribution& predictions,
                              const HostUse& host) {
  SeriesCell sum;
  double client_errors = 0;
  double server_errors = 0;
  for (const auto& [key, cell] : content.cells) {
    sum.Merge(cell);
    if (key.status >= 400 && key.status < 500) client_errors += static_cast<double>(cell.requests);
    if (key.status >= 500) server_errors += static_cast<double>(cell.requests);
  }
  Page page(endpoint, minute);
  if (host.cpu_percent >= 0) {
    page.Gauge("cpu_usage_percentage", "Average CPU utilisation of the machine, percent.",
               host.cpu_percent);
  }
  if (host.memory_percent >= 0) {
    page.Gauge("mem_usage_percentage", "Memory in use on the machine, percent.",
               host.memory_percent);
  }
  page.Gauges("gpu_usage_percentage", "A GPU's time with work, percent.", host.gpus,
              &GpuUse::busy_percent);
  page.Gauges("gpu_memory_usage_percentage", "A GPU's memory in use, percent.", host.gpus,
              &GpuUse::memory_percent);
  page.Gauge("provisioned_concurrent_requests_total", "Most requests at once in the last minute.",
             static_cast<double>(content.gauges.running.maximum));
  page.Gauge("request_count_total", "Requests in the last minute.",
             static_cast<double>(sum.requests));
  page.Gauge("request_4xx_count_total", "Requests with a 4xx status in the last minute.",
             client_errors);
  page.Gauge("request_5xx_count_total", "Requests with a 5xx status in the last minute.",
             server_errors);
  page.Histogram("request_latency_ms", "From a request's first byte to its answer's last.",
                 sum.duration_us);
  page.Histogram("model_prediction_latency_ms", "From the queue's end to the answer's last byte.",
                 predictions);
  page.Histogram("model_queue_time_ms", "Time in the queue.", sum.queue_us);
  page.Histogram("time_to_first_token_ms", "From a request's first byte to its first token.",
                 sum.ttft_us);
  return page.Take();
}

}  // namespace penstock::meter
