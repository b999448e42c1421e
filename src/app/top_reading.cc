// The numbers behind `penstock top`.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <utility>

#include "app/top_view.h"

namespace penstock::app {

namespace {

// A sample: name{labels} value.
struct Sample {
  std::string_view name;
  std::map<std::string, std::string, std::less<>> labels;
  double value = 0;
};

double ReadNumber(std::string_view text) {
  if (text == "+Inf") return std::numeric_limits<double>::infinity();
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Takes `name="value",` off the front; false at the end or where it is none.
bool TakeLabel(std::string_view& text, Sample& sample) {
  const std::size_t equals = text.find("=\"");
  if (equals == std::string_view::npos) return false;
  const std::string name(text.substr(0, equals));
  text.remove_prefix(equals + 2);
  std::string value;
  while (!text.empty() && text.front() != '"') {
    char c = text.front();
    text.remove_prefix(1);
    if (c == '\\' && !text.empty()) {
      c = text.front() == 'n' ? '\n' : text.front();
      text.remove_prefix(1);
    }
    value += c;
  }
  text.remove_prefix(std::min<std::size_t>(text.size(), 1));
  if (text.starts_with(',')) text.remove_prefix(1);
  sample.labels[name] = value;
  return true;
}

bool ReadSample(std::string_view line, Sample& sample) {
  const std::size_t end = line.find_first_of("{ ");
  if (line.empty() || line.front() == '#' || end == std::string_view::npos) return false;
  sample = {.name = line.substr(0, end), .labels = {}};
  line.remove_prefix(end);
  if (line.front() == '{') {
    line.remove_prefix(1);
    while (!line.starts_with('}') && TakeLabel(line, sample)) continue;
    if (!line.starts_with('}')) return false;
    line.remove_prefix(1);
  }
  if (!line.starts_with(' ')) return false;
  sample.value = ReadNumber(line.substr(1));
  return true;
}

void Take(const Sample& sample, TopEndpoint& endpoint) {
  const auto label = [&sample](std::string_view name) {
    const auto found = sample.labels.find(name);
    return found == sample.labels.end() ? std::string() : found->second;
  };
  std::string_view name = sample.name;
  if (!name.starts_with("penstock_")) return;
  name.remove_prefix(9);
  if (name == "requests_total") endpoint.requests[label("end")] = sample.value;
  if (name == "requests_running") endpoint.running = sample.value;
  if (name == "queue_waiting") endpoint.queued += sample.value;  // Of each served entity.
  if (name == "cost_total") endpoint.cost = sample.value;
  if (name == "provisioned_cost_per_second") endpoint.provisioned = sample.value;
  if (name == "tokens_total") {
    const std::string kind = label("kind");
    if (kind == "input") endpoint.input_tokens = sample.value;
    if (kind == "cached") endpoint.cached_tokens = sample.value;
    if (kind == "output") endpoint.output_tokens = sample.value;
  }
  if (name == "replicas") {
    (label("state") == "ready" ? endpoint.replicas_ready : endpoint.replicas_other) = sample.value;
  }
  if (name == "time_to_first_token_seconds_bucket") {
    endpoint.ttft.up_to[ReadNumber(label("le"))] = sample.value;
  }
  if (name == "time_per_output_token_seconds_bucket") {
    endpoint.tpot.up_to[ReadNumber(label("le"))] = sample.value;
  }
}

// A counter that went back began anew.
double Grown(double older, double newer) { return newer >= older ? newer - older : newer; }

// The quantile of what came between two readings, in ms; -1 where nothing came. Straight within a
// bucket, as Prometheus' histogram_quantile has it.
double QuantileMs(const TopHistogram& older, const TopHistogram& newer, double q) {
  std::vector<std::pair<double, double>> grown;  // Bound, count up to it.
  for (const auto& [bound, count] : newer.up_to) {
    const auto before = older.up_to.find(bound);
    grown.emplace_back(bound, Grown(before == older.up_to.end() ? 0 : before->second, count));
  }
  if (grown.empty() || grown.back().second <= 0) return -1;
  const double rank = q * grown.back().second;
  double bound_before = 0;
  double count_before = 0;
  for (const auto& [bound, count] : grown) {
    if (count >= rank && count > count_before) {
      if (std::isinf(bound)) return bound_before * 1000;
      const double share = (rank - count_before) / (count - count_before);
      return (bound_before + (bound - bound_before) * share) * 1000;
    }
    bound_before = bound;
    count_before = count;
  }
  return -1;
}

const TopEndpoint& Find(const TopReading& reading, const std::string& name) {
  static const TopEndpoint kNone{};
  const auto found = reading.endpoints.find(name);
  return found == reading.endpoints.end() ? kNone : found->second;
}

double SumOf(const TopEndpoint& endpoint, std::initializer_list<const char*> ends) {
  double sum = 0;
  for (const char* const end : ends) {
    const auto found = endpoint.requests.find(end);
    if (found != endpoint.requests.end()) sum += found->second;
  }
  return sum;
}

}  // namespace

TopReading ReadMetrics(std::string_view text, double at_s) {
  TopReading reading{.at_s = at_s, .endpoints = {}};
  Sample sample;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (!ReadSample(line, sample)) continue;
    if (sample.name == "penstock_http_connections_open") reading.connections = sample.value;
    if (sample.name == "penstock_ledger_lost_records_total") reading.lost_records = sample.value;
    const auto endpoint = sample.labels.find("endpoint");
    if (endpoint != sample.labels.end()) Take(sample, reading.endpoints[endpoint->second]);
  }
  return reading;
}

std::vector<TopRow> RowsOf(const TopReading& older, const TopReading& newer,
                           const TopReading& long_ago) {
  std::vector<TopRow> rows;
  const double seconds = std::max(newer.at_s - older.at_s, 1e-3);
  for (const auto& [name, now] : newer.endpoints) {
    const TopEndpoint& then = Find(older, name);
    const auto rate = [seconds](double before, double after) {
      return Grown(before, after) / seconds;
    };
    const auto ends = [&](std::initializer_list<const char*> words) {
      return rate(SumOf(then, words), SumOf(now, words));
    };
    TopRow row{.endpoint = name,
               .requests_per_s =
                   ends({"completed", "client_error", "refused", "server_error", "disconnected"}),
               .refused_per_s = ends({"refused"}),
               .failed_per_s = ends({"server_error"}),
               .running = now.running,
               .queued = now.queued,
               .input_per_s = rate(then.input_tokens, now.input_tokens),
               .output_per_s = rate(then.output_tokens, now.output_tokens),
               .replicas_ready = now.replicas_ready,
               .replicas_all = now.replicas_ready + now.replicas_other};
    if (row.input_per_s > 0) {
      row.cached_share = rate(then.cached_tokens, now.cached_tokens) / row.input_per_s;
    }
    if (now.provisioned > 0) row.utilisation = rate(then.cost, now.cost) / now.provisioned;
    const TopEndpoint& past = Find(long_ago, name);
    row.ttft_p50_ms = QuantileMs(past.ttft, now.ttft, 0.5);
    row.ttft_p95_ms = QuantileMs(past.ttft, now.ttft, 0.95);
    row.tpot_p50_ms = QuantileMs(past.tpot, now.tpot, 0.5);
    rows.push_back(std::move(row));
  }
  return rows;
}

void Sort(std::vector<TopRow>& rows, TopOrder order) {
  const auto key = [order](const TopRow& row) {
    if (order == TopOrder::kRate) return -(row.input_per_s + row.output_per_s);
    if (order == TopOrder::kUtilisation) return -row.utilisation;
    if (order == TopOrder::kRefused) return -(row.refused_per_s + row.failed_per_s);
    return 0.0;
  };
  std::ranges::sort(rows, {}, [&key](const TopRow& row) {
    return std::pair(key(row), std::string_view(row.endpoint));
  });
}

}  // namespace penstock::app
