#include "bench/judge/rates.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace penstock::bench {
namespace {

// The share of [from, to] that lies within the window; a moment is within (window.from, window.to].
double Overlap(std::int64_t from, std::int64_t to, const Window& window) {
  if (from >= to) return to > window.from_ns && to <= window.to_ns ? 1 : 0;
  const std::int64_t common = std::min(to, window.to_ns) - std::max(from, window.from_ns);
  return static_cast<double>(std::max<std::int64_t>(common, 0)) / static_cast<double>(to - from);
}

// Output tokens that fell into the window. Of a stream, chunk by chunk, those after the first with
// an even share each; of a reply in one piece, evenly over its whole time.
double OutputWithin(const RequestRecord& record, const Window& window) {
  const double all = record.OutputTokens();
  if (record.chunks <= 0) return all * Overlap(record.sent_ns, record.end_ns, window);
  const double first = std::clamp<double>(record.first_chunk_tokens, 0, all);
  double inside = 0;
  std::int64_t at = record.first_token_ns;
  if (record.chunks == 1) return all * Overlap(at, at, window);
  inside += first * Overlap(at, at, window);
  const double each = (all - first) / static_cast<double>(record.chunks - 1);
  for (const std::int64_t gap : record.gaps_ns) {
    at += gap;
    inside += each * Overlap(at, at, window);
  }
  return inside;
}

// An open loop has no number of workers to be busy: its measured part, from the first arrival to
// the last.
Window MeasuredWindow(const Requests& requests) {
  Window window{.from_ns = INT64_MAX, .to_ns = INT64_MIN};
  for (const RequestRecord* record : requests) {
    if (record->phase != Phase::kMeasured) continue;
    window.from_ns = std::min(window.from_ns, record->scheduled_ns);
    window.to_ns = std::max(window.to_ns, record->scheduled_ns);
  }
  return window.to_ns > window.from_ns ? window : Window{};
}

}  // namespace

Rates RatesWithin(const Requests& requests, const Window& window) {
  Rates rates{.seconds = window.seconds()};
  if (rates.seconds <= 0) return {};
  double output = 0;
  double input = 0;
  double finished = 0;
  for (const RequestRecord* record : requests) {
    if (record->failed() || record->sent_ns == kNever) continue;
    const std::int64_t prefilled =
        record->first_token_ns != kNever ? record->first_token_ns : record->end_ns;
    output += OutputWithin(*record, window);
    input += std::max(record->input_tokens, 0) * Overlap(record->sent_ns, prefilled, window);
    finished += Overlap(record->sent_ns, record->end_ns, window);
  }
  rates.output_tokens_per_s = output / rates.seconds;
  rates.total_tokens_per_s = (output + input) / rates.seconds;
  rates.requests_per_s = finished / rates.seconds;
  return rates;
}

Window SteadyWindow(const Requests& requests, int concurrency) {
  if (concurrency == 0) return MeasuredWindow(requests);
  // An end sorts before a send of the same moment: the worker that ended one sends the next.
  std::vector<std::pair<std::int64_t, int>> changes;
  std::int64_t first_measured = INT64_MAX;
  for (const RequestRecord* record : requests) {
    if (record->sent_ns == kNever) continue;
    changes.emplace_back(record->sent_ns, +1);
    changes.emplace_back(record->end_ns, -1);
    if (record->phase == Phase::kMeasured)
      first_measured = std::min(first_measured, record->sent_ns);
  }
  std::ranges::sort(changes);
  std::optional<std::int64_t> from;
  std::int64_t to = 0;
  int under_way = 0;
  for (const auto& [at, change] : changes) {
    if (change < 0 && under_way == concurrency) to = at;
    under_way += change;
    if (!from && under_way == concurrency) from = at;
  }
  if (!from) return {};
  const Window window{.from_ns = std::max(*from, first_measured), .to_ns = to};
  return window.to_ns > window.from_ns ? window : Window{};
}

Window WholeWindow(const Requests& requests) {
  Window whole;
  bool any = false;
  for (const RequestRecord* record : requests) {
    if (record->sent_ns == kNever) continue;
    whole.from_ns = any ? std::min(whole.from_ns, record->sent_ns - 1) : record->sent_ns - 1;
    whole.to_ns = any ? std::max(whole.to_ns, record->end_ns) : record->end_ns;
    any = true;
  }
  return whole;
}

Rates Joined(const std::vector<Rates>& parts) {
  Rates all;
  for (const Rates& part : parts) {
    all.seconds += part.seconds;
    all.output_tokens_per_s += part.output_tokens_per_s * part.seconds;
    all.total_tokens_per_s += part.total_tokens_per_s * part.seconds;
    all.requests_per_s += part.requests_per_s * part.seconds;
  }
  if (all.seconds <= 0) return {};
  all.output_tokens_per_s /= all.seconds;
  all.total_tokens_per_s /= all.seconds;
  all.requests_per_s /= all.seconds;
  return all;
}

}  // namespace penstock::bench
