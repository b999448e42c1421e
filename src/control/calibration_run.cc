#include "control/calibration_run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/file.h"
#include "bench/progress.h"
#include "bench/run.h"
#include "fleet/process.h"
#include "http/client.h"
#include "io/epoll/epoll_loop.h"
#include "io/task_scope.h"

namespace penstock::control {
namespace {

constexpr int kQuickShare = 8;    // A quick request is so much shorter.
constexpr int kProbeInput = 512;  // Long enough to fill steps.
constexpr int kProbeOutput = 64;
constexpr int kProbeRequests = 3;
constexpr int kRequestsPerWorker = 2;  // Of a level; the least of a level is below.
constexpr int kRequestsMin = 4;
constexpr Duration kHealthPause = std::chrono::milliseconds(200);
constexpr Duration kHealthWait = std::chrono::seconds(5);
constexpr Duration kEndWait = std::chrono::seconds(10);
constexpr std::size_t kLastWordsMax = 400;
constexpr std::size_t kHealthAnswerMax = 64 * 1024;

policy::Percentiles PercentilesOf(const bench::Distribution& of) {
  return {.p50 = of.p50, .p90 = of.p90, .p99 = of.p99};
}

// With so few requests, Little's law tells a closed loop's rate better than a window does.
policy::CurvePoint PointOf(const bench::LevelSummary& level) {
  const double latency_s = level.latency_ms.mean * 1e-3;
  return {.concurrency = level.concurrency,
          .input_tokens = level.input_tokens_mean,
          .output_tokens = std::max(1.0, level.output_tokens_mean),
          .requests_per_s = latency_s > 0 ? level.concurrency / latency_s : 0,
          .ttft_ms = PercentilesOf(level.ttft_ms),
          .tpot_ms = PercentilesOf(level.tpot_ms),
          .latency_ms = PercentilesOf(level.latency_ms),
          .requests = level.succeeded};
}

io::Task<void> AskHealth(io::Loop& loop, const CalibrationPlan& plan, bool& healthy) {
  auto address = io::Address::Parse(plan.address);
  if (!address) co_return;
  http::Client client(loop);
  const http::Origin origin{.address = std::move(*address), .connect = {}, .host = "localhost"};
  const Deadline deadline = Deadline::After(loop.Now(), kHealthWait);
  auto response = co_await client.Send(origin, {.target = plan.health_target}, deadline);
  if (!response) co_return;
  const auto body = co_await (*response)->ReadAll(kHealthAnswerMax, deadline);
  healthy = body.has_value() && (*response)->status() == 200;
}

// The engine under measurement; ended with this object.
class Engine {
 public:
  static Result<Engine> Start(const CalibrationPlan& plan) {
    if (plan.address.starts_with("unix:")) {
      unlink(plan.address.c_str() + 5);  // Of an engine that was killed.
    }
    Descriptor log(open(plan.log_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!log) return Fail(SystemError("create", plan.log_path, errno));
    auto process = fleet::Process::Start({.command = plan.engine_command, .output = log.get()});
    if (!process) return Fail(process.error());
    return Engine(std::move(*process), plan.log_path);
  }
  Engine(Engine&&) noexcept = default;
  ~Engine() {
    if (process_.pid() == 0) return;
    process_.Terminate();
    pollfd ended{.fd = process_.exit_descriptor(), .events = POLLIN, .revents = 0};
    const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(kEndWait).count();
    if (poll(&ended, 1, static_cast<int>(wait)) == 0) process_.Kill();
  }

  // Waits a little; how the engine ended, if it did.
  Status Wait(Duration pause) {
    pollfd ended{.fd = process_.exit_descriptor(), .events = POLLIN, .revents = 0};
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(pause).count();
    (void)poll(&ended, 1, static_cast<int>(ms));
    const auto exit = process_.TryWait();
    if (!exit) return {};
    return Fail(Code::kUpstream,
                fmt::format("the engine {}; its last words: {}", exit->ToString(), LastWords()));
  }

 private:
  Engine(fleet::Process process, std::string log_path)
      : process_(std::move(process)), log_path_(std::move(log_path)) {}

  std::string LastWords() const {
    constexpr std::size_t kLogMax = std::size_t{8} << 20;
    std::string text = ReadSmallFile(log_path_, kLogMax).value_or("");
    while (!text.empty() && text.back() == '\n') text.pop_back();
    if (text.size() > kLastWordsMax) text.erase(0, text.size() - kLastWordsMax);
    return text.empty() ? "none" : text;
  }

  fleet::Process process_;
  std::string log_path_;
};

class Run {
 public:
  Run(const CalibrationPlan& plan, JobHandle& job) : plan_(plan), job_(job) {}

  Result<policy::Calibration> Do() {
    const TimePoint begun = Clock::now();
    job_.Report("starting the engine", 0, 0);
    auto engine = Engine::Start(plan_);
    if (!engine) return Fail(engine.error());
    if (auto healthy = AwaitHealth(*engine); !healthy) return Fail(healthy.error());
    if (auto probed = Probe(); !probed) return Fail(probed.error());
    ChooseLength(plan_.length);
    Status measured = MeasureCurve();
    // Short requests may fit where the reference workload was refused: in a context that is smaller
    // than it seemed, or with a tokenizer of so many tokens a word that the first try was too long.
    const bool refused = !measured && measured.error().code != Code::kCancelled;
    if (refused && plan_.length == CurveLength::kAuto) {
      points_.curve.clear();
      ChooseLength(CurveLength::kQuick);
      measured = MeasureCurve();
    }
    if (!measured) return Fail(measured.error());
    auto made = policy::FitCalibration(points_, plan_.settings);
    if (!made) return made;
    std::int64_t requests = 0;
    for (const auto* list : {&points_.curve, &points_.probes}) {
      for (const policy::CurvePoint& point : *list) requests += point.requests;
    }
    made->how = fmt::format(
        "{} requests of {} + {} tokens and of probes in {:.0f} s; the curve "
        "ended: {}",
        requests, input_, output_, Seconds(Clock::now() - begun), ended_);
    return made;
  }

 private:
  bool stopped() const { return job_.stop().load(); }

  Status AwaitHealth(Engine& engine) {
    const Deadline deadline = Deadline::After(Clock::now(), plan_.start_max);
    io::EpollLoop loop;
    while (!stopped()) {
      bool healthy = false;
      io::RunBlocking(loop, AskHealth(loop, plan_, healthy));
      if (healthy) return {};
      if (auto running = engine.Wait(kHealthPause); !running) return running;
      if (deadline.Passed(Clock::now())) {
        return Fail(Code::kDeadline, fmt::format("the engine was not healthy after {:.0f} s",
                                                 Seconds(plan_.start_max)));
      }
    }
    return Fail(Code::kCancelled, "the calibration was stopped");
  }

  bench::BenchOptions OptionsFor(int input, int output) const {
    const char* path = plan_.settings.embeds ? ":/v1/embeddings" : ":/v1/completions";
    return {.url = plan_.address + path,
            .model = "calibration",
            .input_tokens = input,
            .output_tokens = output,
            .progress = false,
            .command = "penstock model calibrate"};
  }

  // One load; its points go to `points`.
  Status Measure(bench::BenchOptions options, const std::string& what,
                 std::vector<policy::CurvePoint>& points) {
    options.on_progress = [this, &what](const bench::ProgressState& state) {
      job_.Report(fmt::format("{}: {}", what, state.stage), state.done, state.total);
    };
    job_.Report(what, 0, 0);
    const auto outcome = bench::RunBench(options, job_.stop());
    if (!outcome) return Fail(outcome.error());
    if (stopped()) return Fail(Code::kCancelled, "the calibration was stopped");
    for (const bench::LevelSummary& level : outcome->summary.levels) {
      if (level.succeeded > 0) points.push_back(PointOf(level));
    }
    ended_ = std::string(bench::Describe(outcome->stop_reason));
    if (!points.empty()) return {};
    return Fail(Code::kUpstream, fmt::format("{}: no request succeeded", what));
  }

  Status Probe() {
    const int several = std::min(4, plan_.concurrency_max);
    struct Shape {
      int input;
      int output;
      int concurrency;
    };
    const int output = plan_.settings.embeds ? 1 : kProbeOutput;
    for (const Shape& shape :
         {Shape{kProbeInput, 1, 1}, Shape{64, output, 1}, Shape{64, output, several}}) {
      bench::BenchOptions options = OptionsFor(Fitting(shape.input), shape.output);
      options.concurrency = {shape.concurrency};
      options.requests = std::max(kProbeRequests, shape.concurrency * kRequestsPerWorker);
      options.warmup = 1;
      const std::string what = fmt::format("probe {} + {}", shape.input, shape.output);
      if (auto measured = Measure(options, what, points_.probes); !measured) return measured;
    }
    return {};
  }

  // Prompts of at most half of a small model's context.
  int Fitting(int input) const {
    if (plan_.context_tokens <= 0) return input;
    return static_cast<int>(std::clamp<std::int64_t>(plan_.context_tokens / 2, 64, input));
  }

  // Texts to embed have no output, and models of the kind read 512 tokens.
  void ChooseEmbedLength(CurveLength length) {
    constexpr int kEmbedInput = 448;  // Leaves room for what the model adds.
    const std::int64_t fits = plan_.context_tokens > 0 ? plan_.context_tokens * 7 / 8 : kEmbedInput;
    const int share = length == CurveLength::kQuick ? 4 : 1;
    input_ = static_cast<int>(std::min<std::int64_t>(kEmbedInput, fits)) / share;
    output_ = 1;
  }

  void ChooseLength(CurveLength length) {
    if (plan_.settings.embeds) {
      ChooseEmbedLength(length);
      return;
    }
    const policy::StepTimes step = policy::FitStepTimes(points_.probes);
    double expected_s = 0;
    for (int concurrency = 1; concurrency <= plan_.concurrency_max; concurrency *= 2) {
      const double rate = policy::Predict(step, {}, concurrency).requests_per_s;
      // Warm-up, measured requests, and the few that fit the prompts.
      if (rate > 0) expected_s += (concurrency + RequestsFor(concurrency) + 1) / rate;
    }
    const std::int64_t whole = policy::kReferenceInputTokens + policy::kReferenceOutputTokens;
    const bool fits = plan_.context_tokens <= 0 || plan_.context_tokens >= whole;
    const bool affordable = expected_s <= Seconds(plan_.budget);
    const bool reference =
        fits && (length == CurveLength::kReference || (length == CurveLength::kAuto && affordable));
    const int share = reference ? 1 : kQuickShare;
    input_ = Fitting(policy::kReferenceInputTokens / share);
    output_ = policy::kReferenceOutputTokens / share;
    if (reference) input_ = policy::kReferenceInputTokens;
  }

  static int RequestsFor(int concurrency) {
    return std::max(kRequestsMin, concurrency * kRequestsPerWorker);
  }

  // Every level has as many requests as the last but one needs: the plan decides where it ends.
  Status MeasureCurve() {
    bench::BenchOptions options = OptionsFor(input_, output_);
    options.concurrency_max = plan_.concurrency_max;
    options.requests = RequestsFor(plan_.concurrency_max / 2);
    options.latency_max_ms = plan_.settings.latency_p90_max_ms;
    options.report_path = plan_.report_path;
    return Measure(options, fmt::format("curve {} + {}", input_, output_), points_.curve);
  }

  const CalibrationPlan& plan_;
  JobHandle& job_;
  policy::CalibrationPoints points_;
  int input_ = policy::kReferenceInputTokens;
  int output_ = policy::kReferenceOutputTokens;
  std::string ended_;
};

}  // namespace

Result<CurveLength> ParseCurveLength(std::string_view word, const std::string& field) {
  if (word.empty() || word == "auto") return CurveLength::kAuto;
  if (word == "reference") return CurveLength::kReference;
  if (word == "quick") return CurveLength::kQuick;
  return Fail(
      Code::kInvalidArgument,
      fmt::format("{} must be auto, reference or quick, got \"{}\"", field, word.substr(0, 60)),
      field);
}

Result<policy::Calibration> RunCalibration(const CalibrationPlan& plan, JobHandle& job) {
  return Run(plan, job).Do();
}

}  // namespace penstock::control
