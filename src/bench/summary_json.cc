#include "bench/summary_json.h"

#include <fmt/format.h>

#include <cmath>
#include <concepts>
#include <string_view>
#include <utility>

#include "bench/record_json.h"

namespace penstock::bench {
namespace {

// Writes nested JSON in order, putting the commas.
class Writer {
 public:
  void Open(char bracket) {
    Separate();
    out_ += bracket;
    first_ = true;
  }
  void Close(char bracket) {
    out_ += bracket;
    first_ = false;
  }
  void Key(std::string_view name) {
    Separate();
    AppendJsonString(name, out_);
    out_ += ':';
    first_ = true;  // No comma between a name and its value.
  }
  void Text(std::string_view text) {
    Separate();
    AppendJsonString(text, out_);
  }
  void Raw(std::string_view text) {
    Separate();
    out_ += text;
  }
  void Number(double value) { Raw(fmt::format("{}", std::round(value * 1000) / 1000)); }
  void Integer(std::integral auto value) { Raw(fmt::format("{}", value)); }

  void Field(std::string_view name, const Distribution& of) {
    Key(name);
    Open('{');
    Key("count");
    Integer(of.count);
    for (const auto& [key, value] : {std::pair{"mean", of.mean},
                                     {"min", of.minimum},
                                     {"p50", of.p50},
                                     {"p90", of.p90},
                                     {"p95", of.p95},
                                     {"p99", of.p99},
                                     {"max", of.maximum}}) {
      Field(key, value);
    }
    Close('}');
  }
  void Field(std::string_view name, double value) { Key(name), Number(value); }
  void Field(std::string_view name, std::integral auto value) { Key(name), Integer(value); }
  void Field(std::string_view name, std::string_view value) { Key(name), Text(value); }
  void Flag(std::string_view name, bool value) { Key(name), Raw(value ? "true" : "false"); }

  std::string Take() { return std::move(out_); }

 private:
  void Separate() {
    if (!first_) out_ += ',';
    first_ = false;
  }

  std::string out_;
  bool first_ = true;
};

void WriteRates(std::string_view name, const Rates& rates, Writer& writer) {
  writer.Key(name);
  writer.Open('{');
  writer.Field("seconds", rates.seconds);
  writer.Field("output_tokens_per_s", rates.output_tokens_per_s);
  writer.Field("total_tokens_per_s", rates.total_tokens_per_s);
  writer.Field("requests_per_s", rates.requests_per_s);
  writer.Close('}');
}

void WriteWarnings(const std::vector<Warning>& warnings, Writer& writer) {
  writer.Key("warnings");
  writer.Open('[');
  for (const Warning& warning : warnings) {
    writer.Open('{');
    writer.Field("severity", Name(warning.severity));
    writer.Field("name", std::string_view(warning.name));
    writer.Field("message", std::string_view(warning.message));
    writer.Close('}');
  }
  writer.Close(']');
}

void WriteErrors(const LevelSummary& level, Writer& writer) {
  writer.Key("errors");
  writer.Open('{');
  for (int kind = 1; kind < kErrorKinds; ++kind) {
    const std::int64_t count = level.errors[static_cast<std::size_t>(kind)];
    if (count > 0) writer.Field(Name(static_cast<ErrorKind>(kind)), count);
  }
  writer.Close('}');
}

void WriteLevel(const LevelSummary& level, Writer& writer) {
  writer.Open('{');
  writer.Field("concurrency", level.concurrency);
  writer.Field("measured", level.measured);
  writer.Field("succeeded", level.succeeded);
  writer.Field("warmup", level.warmup);
  WriteErrors(level, writer);
  writer.Field("ttft_ms", level.ttft_ms);
  writer.Field("ttft_service_ms", level.ttft_service_ms);
  writer.Field("tpot_ms", level.tpot_ms);
  writer.Field("icl_ms", level.icl_ms);
  writer.Field("latency_ms", level.latency_ms);
  writer.Field("end_ms", level.end_ms);
  writer.Field("send_lag_ms", level.send_lag_ms);
  WriteRates("in_steady", level.in_steady, writer);
  WriteRates("whole", level.whole, writer);
  writer.Field("failed_output_tokens_per_s", level.failed_output_tokens_per_s);
  writer.Field("input_tokens_mean", level.input_tokens_mean);
  writer.Field("output_tokens_mean", level.output_tokens_mean);
  writer.Field("cached_tokens", level.tokens.cached_tokens);
  writer.Field("identity_residual_max", level.identity_residual_max);
  writer.Field("common_identity_residual_mean", level.common_identity_residual_mean);
  writer.Field("shared_read_share", level.shared_read_share);
  writer.Field("client_load", level.client_load);
  WriteWarnings(level.warnings, writer);
  writer.Close('}');
}

void WriteSettings(const RunHeader& header, Writer& writer) {
  const RunSettings& settings = header.settings;
  writer.Field("started_at", std::string_view(header.started_at));
  writer.Key("settings");
  writer.Open('{');
  writer.Field("url", std::string_view(settings.url));
  writer.Field("model", std::string_view(settings.model));
  writer.Field("mode", std::string_view(settings.mode));
  writer.Field("input_tokens", settings.input_tokens);
  writer.Field("output_tokens", settings.output_tokens);
  writer.Flag("streamed", settings.streamed);
  writer.Field("timeout_ms", settings.timeout_ms);
  writer.Field("threads", settings.threads);
  writer.Field("seed", settings.seed);
  writer.Field("salt", settings.salt);
  writer.Field("corpus", std::string_view(settings.corpus));
  writer.Field("command", std::string_view(settings.command));
  writer.Close('}');
  writer.Key("environment");
  writer.Open('{');
  writer.Field("host_cpu", std::string_view(header.environment.host_cpu));
  writer.Field("host_cores", header.environment.host_cores);
  writer.Field("system", std::string_view(header.environment.system));
  writer.Field("build_type", std::string_view(header.environment.build_type));
  writer.Field("version", std::string_view(header.environment.version));
  writer.Close('}');
}

void WritePlace(std::string_view name, const RunSummary& summary, std::optional<std::size_t> place,
                Writer& writer) {
  if (place) return writer.Field(name, summary.levels[*place].concurrency);
  writer.Key(name);
  writer.Raw("null");
}

}  // namespace

std::string RenderJson(const RunSummary& summary) {
  Writer writer;
  writer.Open('{');
  writer.Flag("valid", summary.valid);
  WritePlace("fastest", summary, summary.fastest, writer);
  WritePlace("balanced", summary, summary.balanced, writer);
  WritePlace("highest", summary, summary.highest, writer);
  writer.Key("levels");
  writer.Open('[');
  for (const LevelSummary& level : summary.levels) WriteLevel(level, writer);
  writer.Close(']');
  WriteWarnings(summary.warnings, writer);
  WriteSettings(summary.header, writer);
  writer.Close('}');
  return writer.Take() + "\n";
}

}  // namespace penstock::bench
