#include "bench/agents/agent_protocol.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>

#include "bench/record/json_fields.h"
#include "bench/record/record_json.h"

namespace penstock::bench {
namespace {

// Each Visit names every field once, for the writer and the reader alike; see json_fields.h.
template <typename Visitor, typename Options>
void VisitTarget(Visitor& visit, Options& options) {
  visit("url", options.url);
  visit("model", options.model);
  visit("api_key", options.api_key);
  visit("insecure", options.insecure);
  visit("streamed", options.streamed);
  visit("threads", options.threads);
  visit("api", options.target.api);
  visit("api_version", options.target.api_version);
  visit("headers", options.target.headers);
  visit("in_flight_max", options.target.in_flight_max);
  visit("tokens_max", options.target.tokens_max);
  visit("sources", options.target.sources);
}

template <typename Visitor, typename Options>
void VisitShape(Visitor& visit, Options& options) {
  auto& shape = options.shape;
  visit("seed", options.seed);
  visit("requests", options.requests);
  visit("concurrency", options.concurrency);
  visit("concurrency_max", options.concurrency_max);
  visit("arrivals", shape.arrivals);
  visit("burstiness", shape.burstiness);
  visit("rates", shape.rates);
  visit("ramp", shape.ramp);
  visit("steps", shape.steps);
  visit("trace", shape.trace_path);
  visit("trace_columns", shape.trace_columns);
  visit("trace_speed", shape.speed);
  visit("trace_from_s", shape.trace_from_s);
  visit("trace_span_s", shape.trace_span_s);
}

template <typename Visitor, typename Options>
void VisitContent(Visitor& visit, Options& options) {
  auto& content = options.content;
  visit("input_tokens", options.input_tokens);
  visit("output_tokens", options.output_tokens);
  visit("corpus", options.corpus_path);
  visit("workload", content.workload);
  visit("input", content.input);
  visit("output", content.output);
  visit("prefix", content.prefix);
  visit("turns", content.turns);
  visit("think_s", content.think_s);
  visit("data_set", content.data_set_path);
  visit("salted", content.salted);
}

// Durations travel as integers beside the options, which hold other types.
struct Times {
  std::int64_t timeout_ns = 0;
  std::int64_t stall_timeout_ns = 0;
  std::int64_t duration_ns = 0;
  std::int64_t warmup_ns = kNever;
  std::int64_t cooldown_ns = 0;
};

template <typename Visitor, typename T>
void VisitTimes(Visitor& visit, T& times) {
  visit("timeout_ns", times.timeout_ns);
  visit("stall_timeout_ns", times.stall_timeout_ns);
  visit("duration_ns", times.duration_ns);
  visit("warmup_ns", times.warmup_ns);
  visit("cooldown_ns", times.cooldown_ns);
}

template <typename Visitor, typename Order>
void VisitSession(Visitor& visit, Order& order) {
  visit("salt", order.salt);
  visit("start_ns", order.start_ns);
  visit("agent", order.agent);
  visit("agents", order.agents);
  VisitTarget(visit, order.options);
  VisitShape(visit, order.options);
  VisitContent(visit, order.options);
}

template <typename Visitor, typename Order>
void VisitLevel(Visitor& visit, Order& order) {
  visit("concurrency", order.concurrency);
  visit("warmup", order.warmup);
  visit("measured", order.measured);
  visit("number", order.number);
  visit("duration_ns", order.duration_ns);
  visit("warmup_ns", order.warmup_ns);
  visit("cooldown_ns", order.cooldown_ns);
  visit("drain_ns", order.drain_ns);
  visit("shape_level", order.draw.level);
  visit("rate_per_s", order.draw.rate_per_s);
  visit("requests", order.draw.requests);
  visit("round", order.draw.round);
  visit("scout", order.scout);
  visit("repeats", order.repeats);
  visit("start_ns", order.start_ns);
  visit("first_id", order.first_id);
}

// A lesson's points are four lists of equal length.
struct Lesson {
  bool ignore_end = true;
  bool completion_tokens = false;
  bool include_usage = true;
  std::vector<int> bodies{};
  std::vector<std::uint64_t> body_bytes{};
  std::vector<std::uint64_t> text_bytes{};
  std::vector<int> tokens{};
};

template <typename Visitor, typename L>
void VisitLesson(Visitor& visit, L& lesson) {
  visit("ignore_end", lesson.ignore_end);
  visit("completion_tokens", lesson.completion_tokens);
  visit("include_usage", lesson.include_usage);
  visit("bodies", lesson.bodies);
  visit("body_bytes", lesson.body_bytes);
  visit("text_bytes", lesson.text_bytes);
  visit("tokens", lesson.tokens);
}

std::unexpected<Error> Wrong(std::string_view what, std::string_view problem) {
  return Fail(Code::kInvalidArgument, fmt::format("{}: {}", what, problem), std::string(what));
}

// Parses an object and lets `read` take its fields.
template <typename Read>
Status ReadObject(std::string_view what, std::string_view text, Read read) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  const simdjson::padded_string padded(text);
  if (parser.parse(padded).get(root) != simdjson::SUCCESS || !root.is_object()) {
    return Wrong(what, "not a JSON object");
  }
  FieldReader reader(root);
  read(reader);
  if (!reader.problem().empty()) return Wrong(what, reader.problem());
  return {};
}

}  // namespace

std::string ToJson(const SessionOrder& order) {
  std::string text;
  FieldWriter writer(text);
  VisitSession(writer, order);
  const ShapeOptions& shape = order.options.shape;
  const Times times{.timeout_ns = order.options.timeout.count(),
                    .stall_timeout_ns = order.options.target.stall_timeout.count(),
                    .duration_ns = shape.duration.count(),
                    .warmup_ns = shape.warmup ? shape.warmup->count() : kNever,
                    .cooldown_ns = shape.cooldown.count()};
  VisitTimes(writer, times);
  writer.Close();
  return text;
}

Result<SessionOrder> ParseSessionOrder(std::string_view text) {
  SessionOrder order;
  Times times;
  const Status read = ReadObject("session", text, [&](FieldReader& reader) {
    reader.Require("url");
    reader.Require("start_ns");
    // What was empty was left out.
    order.options.content.salted = true;
    VisitSession(reader, order);
    VisitTimes(reader, times);
  });
  if (!read) return Fail(read.error());
  order.options.timeout = Duration(times.timeout_ns);
  order.options.target.stall_timeout = Duration(times.stall_timeout_ns);
  order.options.shape.duration = Duration(times.duration_ns);
  if (times.warmup_ns != kNever) order.options.shape.warmup = Duration(times.warmup_ns);
  order.options.shape.cooldown = Duration(times.cooldown_ns);
  order.options.progress = false;
  if (order.agents < 1 || order.agent >= order.agents) {
    return Wrong("session", "\"agent\" is not below \"agents\"");
  }
  return order;
}

std::string ToJson(const LevelOrder& order) {
  std::string text;
  FieldWriter writer(text);
  VisitLevel(writer, order);
  writer.Close();
  return text;
}

Result<LevelOrder> ParseLevelOrder(std::string_view text) {
  LevelOrder order;
  const Status read = ReadObject("level", text, [&order](FieldReader& reader) {
    reader.Require("start_ns");
    VisitLevel(reader, order);
  });
  if (!read) return Fail(read.error());
  return order;
}

std::string ToJson(const FitLesson& lesson) {
  Lesson flat{.ignore_end = lesson.enforcement.ignore_end,
              .completion_tokens = lesson.enforcement.completion_tokens,
              .include_usage = lesson.enforcement.include_usage};
  for (const FitPoint& point : lesson.points) {
    flat.bodies.push_back(point.body + 1);  // No number is negative; -1 is no body.
    flat.body_bytes.push_back(point.body_bytes);
    flat.text_bytes.push_back(point.text_bytes);
    flat.tokens.push_back(point.tokens);
  }
  std::string text;
  FieldWriter writer(text);
  VisitLesson(writer, flat);
  writer.Close();
  return text;
}

Result<FitLesson> ParseFitLesson(std::string_view text) {
  Lesson flat;
  const Status read =
      ReadObject("lesson", text, [&flat](FieldReader& reader) { VisitLesson(reader, flat); });
  if (!read) return Fail(read.error());
  const std::size_t count = flat.bodies.size();
  if (flat.body_bytes.size() != count || flat.text_bytes.size() != count ||
      flat.tokens.size() != count) {
    return Wrong("lesson", "its lists differ in length");
  }
  FitLesson lesson{.enforcement = {.ignore_end = flat.ignore_end,
                                   .completion_tokens = flat.completion_tokens,
                                   .include_usage = flat.include_usage}};
  for (std::size_t i = 0; i < count; ++i) {
    lesson.points.push_back({.body = flat.bodies[i] - 1,
                             .body_bytes = flat.body_bytes[i],
                             .text_bytes = flat.text_bytes[i],
                             .tokens = flat.tokens[i]});
  }
  return lesson;
}

std::string ClockJson(std::int64_t now_ns) { return fmt::format("{{\"now_ns\":{}}}", now_ns); }

Result<std::int64_t> ParseClock(std::string_view text) {
  std::int64_t now_ns = 0;
  const Status read = ReadObject("clock", text, [&now_ns](FieldReader& reader) {
    reader.Require("now_ns");
    reader("now_ns", now_ns);
  });
  if (!read) return Fail(read.error());
  return now_ns;
}

std::string EndJson(bool cut) { return fmt::format("{{\"cut\":{}}}", cut); }

Result<bool> ParseEnd(std::string_view text) {
  bool cut = false;
  const Status read = ReadObject("end", text, [&cut](FieldReader& reader) {
    reader.Require("cut");
    reader("cut", cut);
  });
  if (!read) return Fail(read.error());
  return cut;
}

namespace {

constexpr std::string_view kFailure = "{\"kind\":\"failure\",\"message\":";

}  // namespace

std::string FailureLine(const Error& error) {
  std::string line(kFailure);
  AppendJsonString(error.message, line);
  return line + "}\n";
}

Result<RunRecords> TakeLines(std::string& text) {
  const auto end = text.rfind('\n');
  if (end == std::string::npos) return RunRecords{};
  std::string lines;
  AppendLine(RunHeader{.started_at = "now"}, lines);
  lines.append(text, 0, end + 1);
  text.erase(0, end + 1);
  const auto failed = lines.find(kFailure);
  if (failed != std::string::npos && lines[failed - 1] == '\n') {
    simdjson::dom::parser parser;
    std::string_view message = "no reason told";
    const auto told = lines.substr(failed, lines.find('\n', failed) - failed);
    simdjson::dom::element root;
    if (parser.parse(told).get(root) == simdjson::SUCCESS) {
      static_cast<void>(root["message"].get(message));
    }
    return Fail(Code::kUpstream, std::string(message));
  }
  auto run = ParseRecords(lines);
  if (!run) return Fail(Code::kUpstream, run.error().message);
  return run;
}

LevelRecord MergedLevel(const std::vector<LevelRecord>& parts) {
  LevelRecord merged = parts.front();
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const LevelRecord& part = parts[i];
    merged.started_ns = std::min(merged.started_ns, part.started_ns);
    merged.ended_ns = std::max(merged.ended_ns, part.ended_ns);
    merged.concurrency += part.concurrency;
    merged.rate_per_s += part.rate_per_s;
    merged.client_cpu_ns += part.client_cpu_ns;
    merged.threads += part.threads;
    merged.scheduled += part.scheduled;
    merged.unsent += part.unsent;
    merged.in_flight_max += part.in_flight_max;
    merged.cut = merged.cut || part.cut;
    merged.loop_lag_p99_ns = std::max(merged.loop_lag_p99_ns, part.loop_lag_p99_ns);
    merged.loop_lag_max_ns = std::max(merged.loop_lag_max_ns, part.loop_lag_max_ns);
  }
  return merged;
}

ClockOffset EstimateOffset(const std::vector<ClockSample>& samples) {
  const auto trip = [](const ClockSample& sample) { return sample.answered_ns - sample.asked_ns; };
  const ClockSample& best = *std::ranges::min_element(samples, {}, trip);
  return {.ahead_ns = best.agent_ns - (best.asked_ns + trip(best) / 2),
          .error_max_ns = (trip(best) + 1) / 2};
}

}  // namespace penstock::bench
