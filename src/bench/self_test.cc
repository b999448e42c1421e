// The self-test: a short load on the null server, and the comparison of what either saw.
#include "bench/self_test.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "bench/drive/load.h"
#include "bench/drive/options.h"
#include "bench/drive/prepare.h"
#include "bench/drive/progress_display.h"
#include "bench/workload/composer.h"

namespace penstock::bench {
namespace {

std::int64_t Quantile(std::vector<std::int64_t>& values, double share) {
  if (values.empty()) return 0;
  const auto place =
      static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1) + 0.5);
  std::ranges::nth_element(values, values.begin() + place);
  return values[static_cast<std::size_t>(place)];
}

// The first twelve characters of a request's prompt.
std::string SaltOf(const Composer& composer, std::uint64_t id) {
  return composer.First(composer.PlanOf(id)).messages.front().text.substr(0, 12);
}

}  // namespace

SelfTest CompareWithTruth(const std::vector<RequestRecord>& records, TimePoint start,
                          const std::unordered_map<std::string, NullTruth>& truth,
                          const std::function<std::string(std::uint64_t)>& salt_of) {
  SelfTest test;
  std::vector<std::int64_t> ttft;
  std::vector<std::int64_t> signed_ttft;
  std::vector<std::int64_t> stamps;
  std::int64_t events = 0;
  std::int64_t reads = 0;
  for (const RequestRecord& record : records) {
    if (record.phase != Phase::kMeasured || record.failed() || record.chunks == 0) continue;
    const auto found = truth.find(salt_of(record.id));
    if (found == truth.end() || std::ssize(found->second.written) != record.chunks) continue;
    const NullTruth& true_times = found->second;
    const std::int64_t error = record.first_token_ns - record.sent_ns -
                               (true_times.written.front() - true_times.arrived).count();
    ttft.push_back(std::abs(error));
    signed_ttft.push_back(error);
    std::int64_t at_ns = record.first_token_ns;
    for (std::size_t i = 0; i < true_times.written.size(); ++i) {
      if (i > 0) at_ns += record.gaps_ns[i - 1];
      stamps.push_back(std::abs(at_ns - (true_times.written[i] - start).count()));
    }
    events += record.chunks;
    reads += record.reads;
  }
  test.samples = std::ssize(ttft);
  test.ttft_error_p50_ns = Quantile(ttft, 0.5);
  test.ttft_error_p99_ns = Quantile(ttft, 0.99);
  test.ttft_bias_us = static_cast<double>(Quantile(signed_ttft, 0.5)) * 1e-3;
  test.stamp_error_p50_ns = Quantile(stamps, 0.5);
  test.stamp_error_p99_ns = Quantile(stamps, 0.99);
  test.stamp_error_p999_ns = Quantile(stamps, 0.999);
  if (reads > 0) test.events_per_read = static_cast<double>(events) / static_cast<double>(reads);
  return test;
}

Result<SelfTest> RunSelfTest(const SelfTestOptions& asked, const std::atomic<bool>& stop) {
  NullServer server({});
  if (auto started = server.Start(); !started) return Fail(started.error());
  BenchOptions options;
  options.url = server.url();
  options.model = "null";
  options.input_tokens = 100;
  options.output_tokens = asked.tokens;
  options.threads = asked.threads;
  // Both ends of each connection are this process's.
  options.concurrency = {std::min(asked.streams, kConcurrencyLimit)};
  auto prepared = Prepare(options);
  if (!prepared) return Fail(prepared.error());
  const DriverSettings settings = SettingsFor(options, *prepared);
  const Composer composer(prepared->corpus, ComposerFor(options, *prepared));
  ProgressDisplay display(STDERR_FILENO, false);
  Load load({.threads = asked.threads}, settings, composer, nullptr, display, stop);
  if (const auto fitted = load.FitPrompts(); !fitted) return Fail(fitted.error());
  server.TakeTruth();
  // The first round starts all streams at once, and waits for the server to take them: that is not
  // what is measured. The second one starts as they end, spread evenly.
  const auto run = load.RunLevel(
      {.concurrency = asked.streams, .warmup = asked.streams, .measured = asked.streams});
  if (!run) return Fail(run.error());
  if (stop.load(std::memory_order_relaxed)) return Fail(Code::kCancelled, "stopped");
  SelfTest test = CompareWithTruth(run->requests, settings.start, server.TakeTruth(),
                                   [&composer](std::uint64_t id) { return SaltOf(composer, id); });
  test.streams = asked.streams;
  double events = 0;
  for (const RequestRecord& record : run->requests) events += record.chunks;
  const LevelRecord& level = run->levels.front();
  const double seconds = static_cast<double>(level.ended_ns - level.started_ns) * 1e-9;
  if (seconds > 0) test.events_per_s = events / seconds;
  if (level.client_cpu_ns > 0) {
    test.events_per_s_per_core = events / (static_cast<double>(level.client_cpu_ns) * 1e-9);
  }
  return test;
}

std::string Describe(const SelfTest& test) {
  const auto us = [](std::int64_t ns) { return static_cast<double>(ns) * 1e-3; };
  return fmt::format(
      "self-test: {} streams, {:.0f} events/s, {:.2f} events per read\n"
      "  TTFT error   p50 {:.1f} µs, p99 {:.1f} µs, bias {:+.1f} µs\n"
      "  stamp error  p50 {:.1f} µs, p99 {:.1f} µs, p99.9 {:.1f} µs\n"
      "  processor    {:.0f} events/s per core at this load\n",
      test.streams, test.events_per_s, test.events_per_read, us(test.ttft_error_p50_ns),
      us(test.ttft_error_p99_ns), test.ttft_bias_us, us(test.stamp_error_p50_ns),
      us(test.stamp_error_p99_ns), us(test.stamp_error_p999_ns), test.events_per_s_per_core);
}

}  // namespace penstock::bench
