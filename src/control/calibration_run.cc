#include "control/calibration_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "bench/drive/progress.h"
#include "bench/run.h"
#include "control/calibration_engine.h"
#include "plan/calibration_pool.h"

namespace penstock::control {
namespace {

constexpr int kQuickShare = 8;    // A quick request is so much shorter.
constexpr int kProbeInput = 512;  // Long enough to fill steps.
constexpr int kProbeOutput = 64;
constexpr int kProbeRequests = 3;
constexpr int kShortProbeRequests = 6;
constexpr int kSeveral = 4;            // At a time, where the engine runs as many.
constexpr int kRequestsPerWorker = 2;  // Of a level; the least of a level is below.
constexpr int kRequestsMin = 4;
// A small model's loads take a second or two, in which a virtual machine may be slow or fast: they
// are measured again, one after another, as often as fits into this time, and their medians taken.
constexpr int kRoundsMax = 3;
constexpr Duration kRoundsTime = std::chrono::seconds(12);
// Requests with pauses between, for what it costs to have slept; and several at a time that differ
// in length, as people's do: those of one length fall into step, so that prompts are read together
// and batches hardly change. Neither where they take so long that hardly anything would fit into
// the time.
constexpr double kAloneSecondsMax = 1;
constexpr int kPausedRequests = 10;
constexpr double kPausedLoad = 0.4;  // Of what fits one after another.
constexpr int kMixedPerWorker = 12;
constexpr double kMixedSpread = 0.75;

policy::Percentiles PercentilesOf(const bench::Distribution& of) {
  return {.p50 = of.p50, .p90 = of.p90, .p99 = of.p99};
}

// With so few requests, Little's law tells a closed loop's rate better than a window does. An open
// loop has its own, and one request at a time.
policy::CurvePoint PointOf(const bench::LevelSummary& level, const bench::BenchOptions& options) {
  const double latency_s = level.latency_ms.mean * 1e-3;
  policy::CurvePoint point{.concurrency = level.concurrency,
                           .input_tokens = level.input_tokens_mean,
                           .output_tokens = std::max(1.0, level.output_tokens_mean),
                           .requests_per_s = latency_s > 0 ? level.concurrency / latency_s : 0,
                           .ttft_ms = PercentilesOf(level.ttft_ms),
                           .tpot_ms = PercentilesOf(level.tpot_ms),
                           .latency_ms = PercentilesOf(level.latency_ms),
                           .requests = level.succeeded};
  if (options.shape.open()) {
    point.concurrency = 1;
    point.requests_per_s = options.shape.rates.front();
  }
  if (!options.content.input.empty()) point.spread = kMixedSpread;
  if (options.shape.open() || point.spread > 0) {
    point.means = {.ttft_ms = level.ttft_ms.mean,
                   .tpot_ms = level.tpot_ms.mean,
                   .latency_ms = level.latency_ms.mean};
  }
  return point;
}

class Run {
 public:
  Run(const CalibrationPlan& plan, JobHandle& job) : plan_(plan), job_(job) {}

  Result<policy::Calibration> Do() {
    const TimePoint begun = Clock::now();
    job_.Report("starting the engine", 0, 0);
    auto engine = CalibrationEngine::Start(plan_);
    if (!engine) return Fail(engine.error());
    if (auto healthy = engine->AwaitHealth(plan_, job_.stop()); !healthy) {
      return Fail(healthy.error());
    }
    const TimePoint measuring = Clock::now();
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
    const std::string ended = ended_;
    if (auto told = MeasureForSteps(); !told) return Fail(told.error());
    const auto rounds = MeasureAgain(measuring);
    if (!rounds) return Fail(rounds.error());
    auto made = policy::FitCalibration(points_, plan_.settings);
    if (!made) return made;
    made->probes.insert(made->probes.end(), for_steps_.begin(), for_steps_.end());
    std::int64_t requests = 0;
    for (const auto* list : {&made->curve, &made->probes}) {
      for (const policy::CurvePoint& point : *list) requests += point.requests;
    }
    made->how = fmt::format(
        "{} requests of {} + {} tokens and of probes in {:.0f} s, each load {}; the curve "
        "ended: {}",
        requests, input_, output_, Seconds(Clock::now() - begun),
        *rounds == 1 ? "once" : fmt::format("{} times", *rounds), ended);
    return made;
  }

 private:
  bool stopped() const { return job_.stop().load(); }

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
      if (level.succeeded > 0) points.push_back(PointOf(level, options));
    }
    ended_ = std::string(bench::Describe(outcome->stop_reason));
    if (!points.empty()) return {};
    return Fail(Code::kUpstream, fmt::format("{}: no request succeeded", what));
  }

  Status Probe() {
    const int several = std::min(kSeveral, plan_.concurrency_max);
    struct Shape {
      int input;
      int output;
      int concurrency;
    };
    const int output = plan_.settings.embeds ? 1 : kProbeOutput;
    std::vector<Shape> shapes = {{kProbeInput, 1, 1}, {64, output, 1}, {64, output, several}};
    // The one step that decodes has a batch unlike that before it.
    if (!plan_.settings.embeds) shapes.push_back({64, 2, 1});
    for (const Shape& shape : shapes) {
      bench::BenchOptions options = OptionsFor(Fitting(shape.input), shape.output);
      options.concurrency = {shape.concurrency};
      options.requests = std::max(shape.output > 2 ? kProbeRequests : kShortProbeRequests,
                                  shape.concurrency * kRequestsPerWorker);
      options.warmup = 1;
      const std::string what = fmt::format("probe {} + {}", shape.input, shape.output);
      if (auto measured = Measure(options, what, points_.probes); !measured) return measured;
    }
    return {};
  }

  // The curve's requests one at a time, after pauses: an engine that has slept is slower. Then
  // several that differ.
  Status MeasureForSteps() {
    const policy::CurvePoint& alone = points_.curve.front();
    const double alone_s = alone.latency_ms.p50 * 1e-3;
    if (plan_.settings.embeds || alone.concurrency != 1 || alone_s > kAloneSecondsMax) return {};
    bench::BenchOptions paused = OptionsFor(input_, output_);
    paused.shape.arrivals = "constant";
    paused.shape.rates = {kPausedLoad / alone_s};
    paused.requests = kPausedRequests;
    paused.warmup = 1;
    if (auto measured = Measure(paused, "the same with pauses", for_steps_); !measured) {
      return measured;
    }
    const auto around = [](int tokens) {
      return fmt::format("uniform:{:.0f}-{:.0f}", std::max(1.0, tokens * (1 - kMixedSpread)),
                         tokens * (1 + kMixedSpread));
    };
    const double longest = (input_ + output_) * (1 + kMixedSpread);
    if (plan_.context_tokens > 0 && longest > static_cast<double>(plan_.context_tokens)) return {};
    bench::BenchOptions mixed = OptionsFor(input_, output_);
    mixed.content.input = around(input_);
    mixed.content.output = around(output_);
    mixed.concurrency = {std::min(kSeveral, plan_.concurrency_max)};
    mixed.requests = kMixedPerWorker * mixed.concurrency.front();
    mixed.seed = 1 + for_steps_.size();  // Other lengths in each round.
    return Measure(mixed, "the same of differing lengths", for_steps_);
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

  // The same loads again while there is time for a whole round. How often each was measured.
  Result<int> MeasureAgain(TimePoint measuring) {
    const Duration round = Clock::now() - measuring;
    bench::BenchOptions levels = OptionsFor(input_, output_);
    for (const policy::CurvePoint& point : points_.curve) {
      levels.concurrency.push_back(point.concurrency);
    }
    levels.requests = RequestsFor(plan_.concurrency_max / 2);
    int rounds = 1;
    for (; rounds < kRoundsMax && Clock::now() - measuring + round <= kRoundsTime; ++rounds) {
      if (auto probed = Probe(); !probed) return Fail(probed.error());
      const std::string what = fmt::format("curve {} + {} again", input_, output_);
      if (auto measured = Measure(levels, what, points_.curve); !measured) {
        return Fail(measured.error());
      }
      if (auto told = MeasureForSteps(); !told) return Fail(told.error());
    }
    points_.curve = plan::PoolPoints(points_.curve);
    points_.probes = plan::PoolPoints(points_.probes);
    for_steps_ = plan::PoolPoints(for_steps_);
    return rounds;
  }

  const CalibrationPlan& plan_;
  JobHandle& job_;
  policy::CalibrationPoints points_;
  std::vector<policy::CurvePoint> for_steps_;  // What MeasureForSteps() found.
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
