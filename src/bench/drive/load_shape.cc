#include "bench/drive/load_shape.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "trace/files.h"

namespace penstock::bench {
namespace {

std::optional<double> NumberOf(std::string_view text) {
  double number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

Result<Stage> ParseRamp(std::string_view text) {
  const auto colon = text.find(':');
  const auto from = NumberOf(text.substr(0, colon));
  const auto to = colon == std::string_view::npos ? std::nullopt : NumberOf(text.substr(colon + 1));
  if (!from || !to) {
    return Fail(Code::kInvalidArgument,
                fmt::format("ramp is '{}', it must be FROM:TO in requests/s, as 1:20", text),
                "ramp");
  }
  return Stage{.from_per_s = *from, .to_per_s = *to};
}

Status CheckOneShape(const ShapeOptions& options) {
  const int shapes =
      static_cast<int>(!options.rates.empty()) + static_cast<int>(!options.ramp.empty()) +
      static_cast<int>(!options.steps.empty()) + static_cast<int>(!options.trace_path.empty());
  if (shapes == 1) return {};
  return Fail(Code::kInvalidArgument, "rate, ramp, steps and trace are four shapes: give one",
              "rate");
}

double MeanRate(const Schedule& schedule) {
  return static_cast<double>(schedule.dues.size()) /
         (static_cast<double>(std::max<std::int64_t>(schedule.span_ns, 1)) * 1e-9);
}

Result<OpenShape> MakeReplay(const ShapeOptions& options, int requests, std::uint64_t seed) {
  const auto columns = trace::ColumnNames::Parse(options.trace_columns);
  if (!columns) return Fail(columns.error());
  if (!(options.speed > 0 && options.speed <= 1e6)) {
    return Fail(
        Code::kInvalidArgument,
        fmt::format("trace-speed is {}, it must be above 0 and at most 1000000", options.speed),
        "trace-speed");
  }
  trace::DrawOptions draw{.seed = seed, .from_s = std::llround(options.trace_from_s)};
  if (options.trace_span_s > 0) draw.span_s = std::llround(std::ceil(options.trace_span_s));
  auto trace = trace::ReadTrace(options.trace_path, {.columns = *columns, .draw = draw});
  if (!trace) return Fail(trace.error());
  // Clients were drawn for that span already.
  const bool drawn = trace->format == "servegen";
  trace::Apply({.from_ns = drawn ? 0 : std::llround(options.trace_from_s * 1e9),
                .span_ns = drawn ? 0 : std::llround(options.trace_span_s * 1e9)},
               *trace);
  trace::SpeedUp(options.speed, *trace);
  trace::Apply({.span_ns = options.duration.count(),
                .arrivals_max = static_cast<std::size_t>(std::max(requests, 0))},
               *trace);
  auto schedule = MakeSchedule(*trace);
  if (!schedule) return Fail(schedule.error());
  OpenShape shape{.mode = "replay", .trace = trace->name};
  const double rate_per_s = MeanRate(*schedule);
  shape.levels.push_back({.schedule = std::move(*schedule), .rate_per_s = rate_per_s});
  return shape;
}

}  // namespace

Duration DefaultWarmup(Duration span) {
  return std::min<Duration>(span / 10, std::chrono::seconds(30));
}

Result<OpenShape> MakeOpenShape(const ShapeOptions& options, int requests, std::uint64_t seed) {
  if (auto one = CheckOneShape(options); !one) return Fail(one.error());
  if (!options.trace_path.empty()) return MakeReplay(options, requests, seed);
  const auto spacing = SpacingNamed(options.arrivals);
  if (!spacing) {
    return Fail(
        Code::kInvalidArgument,
        fmt::format("arrivals is '{}', it must be constant, poisson or gamma", options.arrivals),
        "arrivals");
  }
  Duration duration = options.duration;
  if (duration.count() == 0 && requests == 0) duration = kOpenDuration;

  OpenShape shape{.mode = options.arrivals, .rates = options.rates};
  std::vector<std::vector<Stage>> levels;
  for (const double rate : options.rates) {
    // Without a duration the requests end it: long enough for them, whatever their spacing.
    const double needed_s = rate > 0 ? requests / rate * 3 + 1 : 1;
    const std::int64_t span_ns =
        duration.count() > 0 ? duration.count() : std::llround(std::min(needed_s, 4e9) * 1e9);
    levels.push_back({{.from_per_s = rate, .to_per_s = rate, .span_ns = span_ns}});
  }
  if (!options.ramp.empty()) {
    auto ramp = ParseRamp(options.ramp);
    if (!ramp) return Fail(ramp.error());
    ramp->span_ns = (duration.count() > 0 ? duration : kOpenDuration).count();
    shape.mode = "ramp";
    shape.rates = {ramp->from_per_s, ramp->to_per_s};
    levels.push_back({*ramp});
  }
  if (!options.steps.empty()) {
    shape.mode = "step";
    shape.rates = options.steps;
    const Duration whole = duration.count() > 0 ? duration : kOpenDuration;
    std::vector<Stage>& stages = levels.emplace_back();
    for (const double rate : options.steps) {
      stages.push_back({.from_per_s = rate,
                        .to_per_s = rate,
                        .span_ns = whole.count() / std::ssize(options.steps)});
    }
  }
  for (std::size_t i = 0; i < levels.size(); ++i) {
    auto schedule = MakeSchedule({.spacing = *spacing,
                                  .burstiness = options.burstiness,
                                  .stages = levels[i],
                                  .requests_max = requests,
                                  .seed = seed + i});
    if (!schedule) return Fail(schedule.error());
    const double rate_per_s = options.rates.empty() ? MeanRate(*schedule) : options.rates[i];
    shape.levels.push_back({.schedule = std::move(*schedule), .rate_per_s = rate_per_s});
  }
  return shape;
}

}  // namespace penstock::bench
