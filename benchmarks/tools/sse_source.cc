// sse_source: a fake model server with a known pace that logs what it truly sent when.
//
//   sse_source port=0 gap_us=50000 first_token_ms=200 first_token_max_ms=700 tokens=100 truth=FILE
// gap_us=0 sends flat out; rounds=1 lets all streams send together every gap, as an engine steps.
// Prints {"port":N} when it listens; SIGTERM ends it and completes the log.
// keep_times=1 logs when each write left, too. Several sources may share a port that is named.
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>
#include <utility>

#include "poller.h"
#include "socket.h"
#include "source.h"
#include "words.h"

namespace {

volatile std::sig_atomic_t stop = 0;
volatile std::sig_atomic_t tell = 0;

}  // namespace

int main(int count, char** arguments) {
  using measure::SourceOptions;
  measure::Words words = measure::Words::FromArguments(count, arguments);
  SourceOptions options{.port = static_cast<std::uint16_t>(words.TakeNumber("port", 0))};
  options.gap = std::chrono::microseconds(words.TakeNumber("gap_us", 50'000));
  options.pace =
      options.gap.count() > 0 ? SourceOptions::Pace::kGap : SourceOptions::Pace::kFlatOut;
  if (words.TakeNumber("rounds", 0) != 0 && options.gap.count() > 0) {
    options.pace = SourceOptions::Pace::kRounds;
  }
  options.first_token_min = std::chrono::milliseconds(words.TakeNumber("first_token_ms", 0));
  options.first_token_max = std::chrono::milliseconds(words.TakeNumber("first_token_max_ms", 0));
  options.first_token_max = std::max(options.first_token_max, options.first_token_min);
  options.tokens = words.TakeNumber("tokens", options.tokens);
  options.events_per_write = static_cast<int>(words.TakeNumber("events_per_write", 1));
  options.keep_times = words.TakeNumber("keep_times", 0) != 0;
  const std::string truth = words.TakeText("truth", "");
  words.CheckAllTaken();

  std::unique_ptr<std::FILE, int (*)(std::FILE*)> log(nullptr, std::fclose);
  if (!truth.empty()) {
    log.reset(std::fopen(truth.c_str(), "w"));
    if (log == nullptr) measure::Die(truth);
  }
  options.truth = log.get();

  std::signal(SIGTERM, [](int) { stop = 1; });
  std::signal(SIGINT, [](int) { stop = 1; });
  std::signal(SIGUSR1, [](int) { tell = 1; });
  measure::RaiseDescriptorLimit();
  measure::Poller poller;
  measure::Source source(poller, options);
  fmt::print("{{\"port\":{}}}\n", source.port());
  std::fflush(stdout);
  while (stop == 0) {
    poller.Poll(source.SendDue());
    if (std::exchange(tell, 0) == 0) continue;
    fmt::print("{{\"tokens_sent\":{},\"now_ns\":{}}}\n", source.tokens_sent(),
               measure::Now().count());
    std::fflush(stdout);
  }
  return 0;
}
