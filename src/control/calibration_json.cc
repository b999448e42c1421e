#include "control/calibration_json.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <optional>
#include <string>

#include "control/json_reader.h"

namespace penstock::control {
namespace {

using boost::json::array;
using boost::json::object;

object PercentilesJson(const policy::Percentiles& percentiles) {
  return {{"p50", percentiles.p50}, {"p90", percentiles.p90}, {"p99", percentiles.p99}};
}

array PointsJson(const std::vector<policy::CurvePoint>& points) {
  array json;
  for (const policy::CurvePoint& point : points) {
    json.push_back(object{{"concurrency", point.concurrency},
                          {"input_tokens", point.input_tokens},
                          {"output_tokens", point.output_tokens},
                          {"requests_per_s", point.requests_per_s},
                          {"output_tokens_per_s", point.output_tokens_per_s()},
                          {"total_tokens_per_s", point.total_tokens_per_s()},
                          {"ttft_ms", PercentilesJson(point.ttft_ms)},
                          {"tpot_ms", PercentilesJson(point.tpot_ms)},
                          {"latency_ms", PercentilesJson(point.latency_ms)},
                          {"requests", point.requests}});
    if (point.spread > 0) json.back().get_object()["spread"] = point.spread;
    if (!point.means) continue;
    json.back().get_object()["means_ms"] = object{{"ttft", point.means->ttft_ms},
                                                  {"tpot", point.means->tpot_ms},
                                                  {"latency", point.means->latency_ms}};
  }
  return json;
}

// Reads members of the document; the first that is missing or wrong is kept.
class Reader {
 public:
  Reader(const object& json, std::string path, std::optional<Error>& failure)
      : json_(json), path_(std::move(path)), failure_(failure) {}

  double Number(std::string_view key, double least = 0) {
    const auto* value = json_.if_contains(key);
    boost::json::error_code error;
    const double number = value == nullptr ? -1 : value->to_number<double>(error);
    if (value != nullptr && !error && std::isfinite(number) && number >= least) return number;
    Refuse(key);
    return least;
  }
  std::int64_t Integer(std::string_view key, std::int64_t least, std::int64_t most) {
    const auto* value = json_.if_contains(key);
    boost::json::error_code error;
    const std::int64_t number = value == nullptr ? -1 : value->to_number<std::int64_t>(error);
    if (value != nullptr && !error && number >= least && number <= most) return number;
    Refuse(key);
    return least;
  }
  std::string Text(std::string_view key) {
    const auto* value = json_.if_contains(key);
    if (value != nullptr && value->is_string()) return std::string(value->get_string());
    Refuse(key);
    return {};
  }
  Reader Inside(std::string_view key) {
    const auto* value = json_.if_contains(key);
    if (value != nullptr && value->is_object()) {
      return {value->get_object(), fmt::format("{}{}.", path_, key), failure_};
    }
    Refuse(key);
    static const object kEmpty;
    return {kEmpty, fmt::format("{}{}.", path_, key), failure_};
  }
  policy::Percentiles Percentiles(std::string_view key) {
    Reader inside = Inside(key);
    return {.p50 = inside.Number("p50"), .p90 = inside.Number("p90"), .p99 = inside.Number("p99")};
  }
  std::vector<policy::CurvePoint> Points(std::string_view key);
  void Refuse(std::string_view key) {
    if (failure_) return;
    failure_ = {
        Code::kCorrupt, fmt::format("the calibration's {}{} is missing or wrong", path_, key), {}};
  }

 private:
  const object& json_;
  std::string path_;
  std::optional<Error>& failure_;
};

constexpr int kConcurrencyMax = 1'000'000;

std::vector<policy::CurvePoint> Reader::Points(std::string_view key) {
  const auto* value = json_.if_contains(key);
  if (value == nullptr || !value->is_array()) {
    Refuse(key);
    return {};
  }
  std::vector<policy::CurvePoint> points;
  for (const auto& element : value->get_array()) {
    if (!element.is_object()) {
      Refuse(key);
      return {};
    }
    Reader reader(element.get_object(), fmt::format("{}{}[{}].", path_, key, points.size()),
                  failure_);
    points.push_back(
        {.concurrency = static_cast<int>(reader.Integer("concurrency", 1, kConcurrencyMax)),
         .input_tokens = reader.Number("input_tokens"),
         .output_tokens = reader.Number("output_tokens"),
         .requests_per_s = reader.Number("requests_per_s"),
         .ttft_ms = reader.Percentiles("ttft_ms"),
         .tpot_ms = reader.Percentiles("tpot_ms"),
         .latency_ms = reader.Percentiles("latency_ms"),
         .requests = reader.Integer("requests", 0, INT64_MAX)});
    if (element.get_object().contains("spread")) {
      points.back().spread = reader.Number("spread");
      if (points.back().spread >= 1) reader.Refuse("spread");
    }
    if (!element.get_object().contains("means_ms")) continue;
    Reader means = reader.Inside("means_ms");
    points.back().means = {.ttft_ms = means.Number("ttft"),
                           .tpot_ms = means.Number("tpot"),
                           .latency_ms = means.Number("latency")};
  }
  return points;
}

std::optional<policy::CalibrationMode> ParseMode(std::string_view word) {
  for (const auto mode : {policy::CalibrationMode::kReference, policy::CalibrationMode::kQuick,
                          policy::CalibrationMode::kGiven}) {
    if (word == policy::ToString(mode)) return mode;
  }
  return std::nullopt;
}

}  // namespace

object CalibrationJson(const policy::Calibration& calibration) {
  const policy::StrategyConcurrency& concurrency = calibration.concurrency;
  const policy::StepTimes& step = calibration.step;
  return {{"model_hash", calibration.model_hash},
          {"hardware_hash", calibration.hardware_hash},
          {"hardware", calibration.hardware},
          {"cost_per_s", calibration.cost_per_s},
          {"output_weight", calibration.weights.output},
          {"cached_weight", calibration.weights.cached},
          {"throughput_chunk_size", calibration.chunk_tokens_per_s},
          {"chunks_per_replica", calibration.chunks_per_replica},
          {"concurrency", object{{"latency", concurrency.latency},
                                 {"balanced", concurrency.balanced},
                                 {"throughput", concurrency.throughput}}},
          {"step_times", object{{"fixed_s", step.fixed_s},
                                {"per_prefill_token_s", step.per_prefill_token_s},
                                {"per_decode_sequence_s", step.per_decode_sequence_s},
                                {"per_context_token_s", step.per_context_token_s}}},
          {"mode", policy::ToString(calibration.mode)},
          {"measured_at", calibration.measured_at.time_since_epoch().count()},
          {"how", calibration.how},
          {"curve", PointsJson(calibration.curve)},
          {"probes", PointsJson(calibration.probes)}};
}

Result<policy::Calibration> ParseCalibration(std::string_view document) {
  const auto json = ParseJsonObject(document);
  if (!json) return Fail(Code::kCorrupt, json.error().message);
  std::optional<Error> failure;
  Reader reader(*json, "", failure);
  Reader concurrency = reader.Inside("concurrency");
  Reader step = reader.Inside("step_times");
  const auto in_flight = [&concurrency](std::string_view key) {
    return static_cast<int>(concurrency.Integer(key, 1, kConcurrencyMax));
  };
  policy::Calibration calibration{
      .model_hash = reader.Text("model_hash"),
      .hardware_hash = reader.Text("hardware_hash"),
      .hardware = reader.Text("hardware"),
      .cost_per_s = reader.Number("cost_per_s", 1e-9),
      .weights = {.output = reader.Number("output_weight"),
                  .cached = reader.Number("cached_weight")},
      .chunk_tokens_per_s = reader.Integer("throughput_chunk_size", 1, policy::kThroughputMax),
      .chunks_per_replica =
          static_cast<int>(reader.Integer("chunks_per_replica", 1, policy::kChunksPerReplicaMax)),
      .concurrency = {.latency = in_flight("latency"),
                      .balanced = in_flight("balanced"),
                      .throughput = in_flight("throughput")},
      .curve = reader.Points("curve"),
      .probes = reader.Points("probes"),
      .step = {.fixed_s = step.Number("fixed_s"),
               .per_prefill_token_s = step.Number("per_prefill_token_s"),
               .per_decode_sequence_s = step.Number("per_decode_sequence_s"),
               .per_context_token_s = step.Number("per_context_token_s")},
      .measured_at =
          WallTime(std::chrono::milliseconds(reader.Integer("measured_at", 0, INT64_MAX))),
      .how = reader.Text("how")};
  const auto mode = ParseMode(reader.Text("mode"));
  if (!mode) reader.Refuse("mode");
  if (failure) return Fail(std::move(*failure));
  calibration.mode = *mode;
  return calibration;
}

}  // namespace penstock::control
