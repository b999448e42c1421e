// sse_pair: both ends of a relay in one thread, so that every read of the relay holds exactly one
// write.
//
// The source end sends all streams their next write, one after the other as an engine steps, when
// the sink end has received all of the last ones: nothing piles up in between, however slow the
// relay, and the relay stays busy, however fast it is. (Were each stream sent its next write as
// soon as the last one is back, a relay faster than this thread would fall asleep between events,
// and be charged for that.) Prints {"port":N}
// (the source's, to be the relay's upstream), then runs one measurement for each line of input and
// answers it with one line of JSON:
//   kind=stream|request|hold|paced port=RELAY connections=1000 events_per_write=1 processes=PID,PID
//   key=K open_s=20 warmup_ms=1000 window_ms=3000 spin=1 rate=2000
// stream: endless streams; request: small requests, one after the other; hold: streams that stay
// silent; paced: small requests at even times, whatever comes back: how long each took.
// spin=1 never sleeps: real sources and clients are other machines, and waking a thread of this one
// is no part of a relay's work, though the kernel charges it to whoever sends.
#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <deque>
#include <optional>
#include <sstream>
#include <utility>

#include "poller.h"
#include "process_meter.h"
#include "sink.h"
#include "socket.h"
#include "source.h"
#include "words.h"

namespace {

using measure::Nanoseconds;

// Lines of standard input, as the poller finds them.
class Input final : public measure::Readiness {
 public:
  explicit Input(measure::Poller& poller) : input_(STDIN_FILENO) {
    poller.Watch(input_, EPOLLIN, this);
  }

  void OnReady(std::uint32_t /*events*/) override {
    std::array<char, 4096> buffer;
    const ssize_t size = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (size <= 0) {
      closed = true;
      input_.Close();
      return;
    }
    partial_.append(buffer.data(), static_cast<std::size_t>(size));
    for (std::size_t end = partial_.find('\n'); end != std::string::npos;
         end = partial_.find('\n')) {
      lines.push_back(partial_.substr(0, end));
      partial_.erase(0, end + 1);
    }
  }

  std::deque<std::string> lines;
  bool closed = false;

 private:
  measure::Socket input_;
  std::string partial_;
};

enum class Kind { kStream, kRequest, kHold, kPaced };

struct Settings {
  Kind kind = Kind::kStream;
  std::uint16_t port = 0;
  int connections = 1;
  int events_per_write = 1;
  bool usage = false;          // The streams' requests ask for usage.
  bool spin = true;            // Look for events without ever sleeping.
  long rate = 2000;            // Requests a second, where they are paced.
  std::vector<int> processes;  // Whose cost is measured.
  std::string key;
  Nanoseconds open_limit{}, warmup{}, window{};
};

Settings Parse(std::string_view line) {
  measure::Words words = measure::Words::FromLine(line);
  Settings settings;
  const std::string kind = words.TakeText("kind", "stream");
  if (kind == "request") settings.kind = Kind::kRequest;
  if (kind == "hold") settings.kind = Kind::kHold;
  if (kind == "paced") settings.kind = Kind::kPaced;
  settings.rate = words.TakeNumber("rate", settings.rate);
  settings.port = static_cast<std::uint16_t>(words.TakeNumber("port", 0));
  settings.connections = static_cast<int>(words.TakeNumber("connections", 1));
  settings.events_per_write = static_cast<int>(words.TakeNumber("events_per_write", 1));
  settings.usage = words.TakeNumber("usage", 0) != 0;
  settings.spin = words.TakeNumber("spin", 1) != 0;
  std::istringstream processes(words.TakeText("processes", ""));
  for (std::string process; std::getline(processes, process, ',');) {
    settings.processes.push_back(std::atoi(process.c_str()));
  }
  settings.key = words.TakeText("key", "");
  settings.open_limit = std::chrono::seconds(words.TakeNumber("open_s", 20));
  settings.warmup = std::chrono::milliseconds(words.TakeNumber("warmup_ms", 1000));
  settings.window = std::chrono::milliseconds(words.TakeNumber("window_ms", 3000));
  words.CheckAllTaken();
  return settings;
}

// What one request says. About 290 bytes with its head, as a short chat request has.
std::string Body(bool stream, bool usage, int number) {
  return fmt::format(
      R"({{"model":"bench","messages":[{{"role":"user","content":"Say in one line what a gate )"
      R"(does."}}],"max_tokens":100000,"stream":{},{}"user":"stream-{}"}})",
      stream, stream && usage ? R"("stream_options":{"include_usage":true},)" : "", number);
}

// One measurement: its stages follow each other in Run().
class Measurement {
 public:
  Measurement(measure::Poller& poller, measure::Source& source, Settings settings)
      : poller_(poller),
        source_(source),
        settings_(std::move(settings)),
        awaited_(static_cast<std::size_t>(settings_.connections), 1),
        asked_(static_cast<std::size_t>(settings_.connections), false),
        sink_(poller, MakeSinkOptions()) {}

  void Run() {
    const long resident_before = measure::Measure(settings_.processes).resident_bytes;
    const bool opened = Until(settings_.open_limit, [this] { return sink_.all_started(); });
    Until(settings_.warmup, [] { return false; });

    const Nanoseconds begin = measure::Now();
    const auto cost_before = measure::Measure(settings_.processes);
    const measure::SinkTotals before = sink_.totals();
    Until(settings_.window, [] { return false; });
    const auto cost_after = measure::Measure(settings_.processes);
    const measure::SinkTotals after = sink_.totals();
    const Nanoseconds window = measure::Now() - begin;

    finishing_ = true;
    source_.FinishAll();
    const bool finished = Until(std::chrono::seconds(10), [this] { return sink_.all_finished(); });
    fmt::print(
        "{{\"opened\":{},\"finished\":{},\"window_ns\":{},\"processor_ns\":{},\"events\":{},"
        "\"reads\":{},\"responses\":{},\"failures\":{},\"resident_before\":{},"
        "\"resident_after\":{},\"events_total\":{},\"responses_total\":{},\"failure\":\"{}\"}}\n",
        opened, finished, window.count(), (cost_after.processor - cost_before.processor).count(),
        after.events - before.events, after.reads - before.reads,
        after.responses - before.responses, sink_.totals().failures, resident_before,
        cost_after.resident_bytes, sink_.totals().events, sink_.totals().responses,
        Printable(sink_.first_failure()));
    std::fflush(stdout);
  }

 private:
  measure::SinkOptions MakeSinkOptions() {
    measure::SinkOptions options{.port = settings_.port, .connections = settings_.connections};
    options.key = settings_.key;
    options.next_body = [this](int number) { return NextBody(number); };
    if (settings_.kind == Kind::kStream) {
      options.on_events = [this](int number, int events) { OnEvents(number, events); };
    }
    return options;
  }

  std::optional<std::string> NextBody(int number) {
    const bool stream = settings_.kind != Kind::kRequest;
    const auto slot = static_cast<std::size_t>(number);
    if (finishing_ || (stream && asked_[slot])) return std::nullopt;
    asked_[slot] = true;
    return Body(stream, settings_.usage, number);
  }

  void OnEvents(int number, int events) {
    int& awaited = awaited_[static_cast<std::size_t>(number)];
    awaited -= events;
    if (awaited > 0 || finishing_) return;
    awaited = settings_.events_per_write;
    back_.push_back(number);
    if (back_.size() < awaited_.size()) return;
    for (const int stream : std::exchange(back_, {})) source_.Grant(stream, awaited);
  }

  // Serves both ends until `done` or for `limit`. Returns whether it was done.
  template <typename Done>
  bool Until(Nanoseconds limit, Done done) {
    const Nanoseconds end = measure::Now() + limit;
    for (Nanoseconds now = measure::Now(); now < end; now = measure::Now()) {
      if (done()) return true;
      sink_.OpenMore();
      const Nanoseconds wait_max = settings_.spin ? Nanoseconds(0) : std::chrono::milliseconds(20);
      poller_.Poll(std::min<Nanoseconds>(end - now, wait_max));
    }
    return done();
  }

  // The text without what would need an escape in JSON, cut to a line's length.
  static std::string Printable(std::string text) {
    std::erase_if(text, [](char c) { return c == '"' || c == '\\' || c < ' '; });
    return text.substr(0, 200);
  }

  measure::Poller& poller_;
  measure::Source& source_;
  const Settings settings_;
  std::vector<int> awaited_;  // Events of each stream's last write that have not come back.
  std::vector<int> back_;     // Streams whose last write has.
  std::vector<bool> asked_;
  bool finishing_ = false;
  measure::Sink sink_;
};

// Requests at even times over kept connections. The time of one counts from when it was due.
class PacedMeasurement {
 public:
  PacedMeasurement(measure::Poller& poller, const Settings& settings)
      : poller_(poller),
        settings_(settings),
        due_at_(static_cast<std::size_t>(settings.connections)),
        sink_(poller, MakeSinkOptions()) {}

  void Run() {
    const Nanoseconds began = measure::Now();
    const Nanoseconds interval = std::chrono::nanoseconds(1'000'000'000 / settings_.rate);
    const Nanoseconds measured_from = began + settings_.warmup;
    const Nanoseconds end = measured_from + settings_.window;
    long unsent = 0;
    for (Nanoseconds due = began; due < end;) {
      sink_.OpenMore();
      poller_.Poll(Nanoseconds(0));
      for (; due <= measure::Now() && due < end; due += interval) {
        due_ = due;
        keeps_ = due >= measured_from;
        if (!sink_.Resume() && keeps_) ++unsent;
      }
    }
    due_.reset();
    // What is still on its way belongs to the figures, too.
    for (const Nanoseconds last = measure::Now() + std::chrono::seconds(2);
         answered_ < sent_ && measure::Now() < last;) {
      poller_.Poll(Nanoseconds(0));
    }
    std::ranges::sort(took_);
    const auto quantile = [this](double part) {
      return took_.empty()
                 ? 0
                 : took_[static_cast<std::size_t>(part * static_cast<double>(took_.size() - 1))]
                       .count();
    };
    fmt::print(
        "{{\"responses\":{},\"unsent\":{},\"unanswered\":{},\"failures\":{},\"p50_ns\":{},"
        "\"p90_ns\":{},\"p99_ns\":{}}}\n",
        took_.size(), unsent, sent_ - answered_, sink_.totals().failures, quantile(0.5),
        quantile(0.9), quantile(0.99));
    std::fflush(stdout);
  }

 private:
  measure::SinkOptions MakeSinkOptions() {
    measure::SinkOptions options{.port = settings_.port, .connections = settings_.connections};
    options.key = settings_.key;
    options.idles = true;
    options.next_body = [this](int number) -> std::optional<std::string> {
      if (!due_) return std::nullopt;  // It has just opened, or been answered.
      due_at_[static_cast<std::size_t>(number)] = {*std::exchange(due_, std::nullopt), keeps_};
      ++sent_;
      return Body(false, false, number);
    };
    options.on_response = [this](int number, const std::string& /*body*/) {
      const auto [due, keeps] = due_at_[static_cast<std::size_t>(number)];
      ++answered_;
      if (keeps) took_.push_back(measure::Now() - due);
    };
    return options;
  }

  measure::Poller& poller_;
  const Settings settings_;
  std::optional<Nanoseconds> due_;  // Of the request that goes next.
  bool keeps_ = false;              // It is measured.
  std::vector<std::pair<Nanoseconds, bool>> due_at_;
  std::vector<Nanoseconds> took_;
  long sent_ = 0;
  long answered_ = 0;
  measure::Sink sink_;
};

}  // namespace

int main(int count, char** arguments) {
  measure::Words words = measure::Words::FromArguments(count, arguments);
  const auto port = static_cast<std::uint16_t>(words.TakeNumber("port", 0));
  words.CheckAllTaken();
  measure::RaiseDescriptorLimit();
  measure::Poller poller;
  measure::Source source(poller, {.port = port});
  Input input(poller);
  fmt::print("{{\"port\":{}}}\n", source.port());
  std::fflush(stdout);
  while (!input.closed) {
    poller.Poll(std::chrono::milliseconds(100));
    if (input.lines.empty()) continue;
    if (const Settings settings = Parse(input.lines.front()); settings.kind == Kind::kPaced) {
      PacedMeasurement(poller, settings).Run();
    } else {
      Measurement(poller, source, settings).Run();
    }
    input.lines.pop_front();
  }
  return 0;
}
