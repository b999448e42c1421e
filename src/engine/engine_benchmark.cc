// How fast an engine is without HTTP: output tokens per second at a number of streams, greedy.
//
//   engine_benchmark MODEL [STREAMS] [PROMPT_TOKENS] [OUTPUT_TOKENS] [SECONDS] [TEMPERATURE]
//   [KEY=VALUE...]
#include <fmt/core.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "engine/engine.h"

namespace penstock::engine {
namespace {

struct Setting {
  int streams = 8;
  int prompt_tokens = 256;
  int output_tokens = 64;
  double seconds = 5;
  double temperature = 0;
};

// Keeps `streams` requests running and counts what comes back.
class Load {
 public:
  explicit Load(Setting setting) : setting_(setting) {}

  void OnEvents(const std::vector<Event>& events) {
    const TimePoint now = Clock::now();
    const std::lock_guard lock(mutex_);
    for (const Event& event : events) {
      tokens_ += event.tokens;
      TimePoint& last = last_event_[event.id];
      if (last != TimePoint{}) gaps_.push_back(Milliseconds(now - last));
      last = now;
      if (event.end == Event::End::kNone) continue;
      last_event_.erase(event.id);
      --running_;
      prompt_tokens_ += event.usage.prompt_tokens;
      if (event.end == Event::End::kFailed) fmt::print(stderr, "{}\n", event.error.message);
    }
    changed_.notify_one();
  }

  void Run(Engine& engine) {
    const TimePoint begin = Clock::now();
    const TimePoint end =
        begin + std::chrono::milliseconds(static_cast<int>(setting_.seconds * 1000));
    std::unique_lock lock(mutex_);
    while (Clock::now() < end) {
      while (running_ < setting_.streams) {
        ++running_;
        lock.unlock();
        SubmitOne(engine);
        lock.lock();
      }
      changed_.wait_until(lock, end);
    }
    const double seconds = Seconds(Clock::now() - begin);
    Report(engine, seconds);
  }

 private:
  void SubmitOne(Engine& engine) {
    GenerationRequest request;
    const auto vocabulary = static_cast<std::uint64_t>(engine.model().tokenizer().size());
    for (int i = 0; i < setting_.prompt_tokens; ++i) {
      request.prompt.push_back(static_cast<TokenId>(random_.Below(vocabulary)));
    }
    request.output_tokens_max = setting_.output_tokens;
    request.ignore_end_of_generation = true;
    request.sampling.temperature = setting_.temperature;
    if (auto id = engine.Submit(std::move(request)); !id) {
      fmt::print(stderr, "{}\n", id.error().message);
      std::exit(1);
    }
  }

  void Report(Engine& engine, double seconds) {
    const EngineMetrics metrics = engine.Metrics();
    std::ranges::sort(gaps_);
    const auto at = [this](double share) {
      return gaps_.empty()
                 ? 0
                 : gaps_[static_cast<std::size_t>(share * static_cast<double>(gaps_.size() - 1))];
    };
    fmt::print(
        "{:2} streams {}/{}: {:8.1f} output tokens/s, {:8.1f} prompt tokens/s, step {:.2f} ms, gap "
        "p50 "
        "{:.2f} p99 {:.2f} max {:.2f} ms\n",
        setting_.streams, setting_.prompt_tokens, setting_.output_tokens,
        static_cast<double>(tokens_) / seconds, static_cast<double>(prompt_tokens_) / seconds,
        Milliseconds(metrics.step_time) / static_cast<double>(metrics.steps), at(0.5), at(0.99),
        at(1));
    fmt::print("our own code: {:.2f} % of the steps' time; last step's budget {}\n",
               100 * (1 - Seconds(metrics.computing_time) / Seconds(metrics.step_time)),
               metrics.step_budget);
  }

  Setting setting_;
  Random random_{1};
  std::mutex mutex_;
  std::condition_variable changed_;
  int running_ = 0;
  std::int64_t tokens_ = 0;
  std::int64_t prompt_tokens_ = 0;
  std::unordered_map<RequestId, TimePoint> last_event_;
  std::vector<double> gaps_;
};

int Main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr,
               "usage: {} MODEL [STREAMS] [PROMPT] [OUTPUT] [SECONDS] [TEMPERATURE] [KEY=N]\n",
               argv[0]);
    return 2;
  }
  Setting setting;
  EngineOptions options{.model_path = argv[1]};
  double* const numbers[] = {&setting.seconds, &setting.temperature};
  int* const integers[] = {&setting.streams, &setting.prompt_tokens, &setting.output_tokens};
  int position = 0;
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    const auto option = [&](const char* key) {
      return word.starts_with(key) ? std::atoi(word.c_str() + std::strlen(key)) : -1;
    };
    if (const int n = option("threads="); n >= 0) {
      options.threads = n;
    } else if (const int step = option("step="); step >= 0) {
      options.step_tokens_max = step;
    } else if (const int flash = option("flash="); flash >= 0) {
      options.flash_attention = flash != 0 ? FlashAttention::kOn : FlashAttention::kOff;
    } else if (const int target = option("target="); target >= 0) {
      options.step_target = std::chrono::milliseconds(target);
    } else if (const int prefix = option("prefix="); prefix >= 0) {
      options.prefix_cache_mebibytes = prefix;
    } else if (position < 3) {
      *integers[position++] = std::atoi(word.c_str());
    } else if (position < 5) {
      *numbers[position++ - 3] = std::atof(word.c_str());
    }
  }
  options.parallel = setting.streams;
  Load load(setting);
  auto engine =
      Engine::Start(options, [&load](std::vector<Event> events) { load.OnEvents(events); });
  if (!engine) {
    fmt::print(stderr, "{}\n", engine.error().message);
    return 2;
  }
  load.Run(**engine);
  return 0;
}

}  // namespace
}  // namespace penstock::engine

int main(int argc, char** argv) { return penstock::engine::Main(argc, argv); }
