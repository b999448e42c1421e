// TopView: what `penstock top` shows, from two readings of /metrics. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::app {

// A histogram as /metrics tells it: counts up to each bound.
struct TopHistogram {
  std::map<double, double> up_to;  // By bound in seconds; +Inf included.
};

struct TopEndpoint {
  std::map<std::string, double> requests;  // By how they ended.
  double running = 0;
  double queued = 0;
  double input_tokens = 0;
  double cached_tokens = 0;
  double output_tokens = 0;
  double cost = 0;
  double provisioned = 0;
  double replicas_ready = 0;
  double replicas_other = 0;
  TopHistogram ttft;
  TopHistogram tpot;
};

struct TopReading {
  double at_s = 0;  // Of a clock that only goes forward.
  std::map<std::string, TopEndpoint> endpoints;
  double connections = 0;
  double lost_records = 0;
};

// Reads the text of /metrics; what it does not know it leaves out.
TopReading ReadMetrics(std::string_view text, double at_s);

// What happened between two readings of an endpoint, per second where it is a rate. Negative
// values: none, or not to be told.
struct TopRow {
  std::string endpoint;
  double requests_per_s = 0;
  double refused_per_s = 0;  // 429.
  double failed_per_s = 0;   // 5xx, and cut by a replica.
  double running = 0;
  double queued = 0;
  double input_per_s = 0;
  double cached_share = -1;  // Of input, 0 to 1.
  double output_per_s = 0;
  double utilisation = -1;  // Of what was provisioned; 1 is all.
  double ttft_p50_ms = -1;
  double ttft_p95_ms = -1;
  double tpot_p50_ms = -1;
  double replicas_ready = 0;
  double replicas_all = 0;
};

// `older` and `newer` of one server. A counter that went back counts from 0: the server was started
// again. Latencies are between `long_ago`, which may be further back, and `newer`.
std::vector<TopRow> RowsOf(const TopReading& older, const TopReading& newer,
                           const TopReading& long_ago);

enum class TopOrder : std::uint8_t { kName, kRate, kUtilisation, kRefused };
void Sort(std::vector<TopRow>& rows, TopOrder order);

struct TopFrame {
  std::string server;
  std::string time;  // "15:04:05"
  std::size_t width = 100;
  std::size_t height = 24;
  bool colours = false;
  std::string problem;  // Shown instead of nothing: the server does not answer.
};

// The whole screen, lines ended by "\n", no longer than the frame.
std::string RenderScreen(const TopFrame& frame, const TopReading& reading,
                         const std::vector<TopRow>& rows);
// For where there is no terminal: one line per endpoint, "time endpoint name=value …".
std::string RenderLines(const TopFrame& frame, const std::vector<TopRow>& rows);

}  // namespace penstock::app
