#include "bench/report/summary_json.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>

#include "bench/judge/answer.h"
#include "bench/report/json_writer.h"
#include "bench/report/summary_times.h"

namespace penstock::bench {
namespace {

void WriteRates(std::string_view name, const Rates& rates, JsonWriter& writer) {
  writer.Key(name);
  writer.Open('{');
  writer.Field("seconds", rates.seconds);
  writer.Field("output_tokens_per_s", rates.output_tokens_per_s);
  writer.Field("total_tokens_per_s", rates.total_tokens_per_s);
  writer.Field("requests_per_s", rates.requests_per_s);
  writer.Close('}');
}

void WriteWarnings(const std::vector<Warning>& warnings, JsonWriter& writer) {
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

void WriteErrors(const LevelSummary& level, JsonWriter& writer) {
  writer.Key("errors");
  writer.Open('{');
  for (int kind = 1; kind < kErrorKinds; ++kind) {
    const std::int64_t count = level.errors[static_cast<std::size_t>(kind)];
    if (count > 0) writer.Field(Name(static_cast<ErrorKind>(kind)), count);
  }
  writer.Close('}');
}

void WriteVerdict(const Budget& budget, const LevelSummary& level, JsonWriter& writer) {
  writer.Field("goodput_share", level.goodput_share);
  writer.Key("budget");
  writer.Open('{');
  writer.Field("judged", level.verdict.judged);
  writer.Flag("passes", level.verdict.passes);
  writer.Flag("proven", level.verdict.proven);
  writer.Key("terms");
  writer.Open('[');
  for (std::size_t i = 0; i < level.verdict.terms.size(); ++i) {
    const TermVerdict& term = level.verdict.terms[i];
    writer.Open('{');
    writer.Field("term", std::string_view(budget.terms[i].text));
    writer.Flag("holds", term.holds);
    writer.Field("over", term.over);
    writer.FieldOrNull("seen", term.seen);
    writer.Close('}');
  }
  writer.Close(']');
  writer.Close('}');
}

// What the client's own tokenizer counted, beside the usage.
void WriteRetokenised(const TokenFacts& facts, JsonWriter& writer) {
  writer.Key("tokenizer");
  writer.Open('{');
  writer.Field("replies", facts.retokenised);
  writer.Field("disagree", facts.retokenised_off);
  writer.Field("usage_output_tokens", facts.usage_output);
  writer.Field("counted_output_tokens", facts.counted_output);
  writer.Field("usage_input_tokens", facts.usage_input);
  writer.Field("counted_input_tokens", facts.counted_input);
  writer.Close('}');
}

void WriteRepeats(const Repeats& repeats, JsonWriter& writer) {
  writer.Key("repeats");
  writer.Open('{');
  writer.Field("count", repeats.count);
  writer.Field("method", std::string_view("student_t"));
  writer.Field("confidence", 0.95);
  for (const auto& [name, interval] : kRepeatFigures) {
    writer.Key(name);
    writer.Open('{');
    writer.Field("mean", ((repeats.*interval).low + (repeats.*interval).high) / 2);
    writer.Field("low", (repeats.*interval).low);
    writer.Field("high", (repeats.*interval).high);
    writer.Close('}');
  }
  writer.Close('}');
}

void WriteLevel(const RunSummary& summary, const LevelSummary& level, JsonWriter& writer) {
  writer.Open('{');
  writer.Field("concurrency", level.concurrency);
  if (level.rate_per_s > 0) writer.Field("rate_per_s", level.rate_per_s);
  if (level.scout) writer.Flag("scout", true);
  if (level.repeats.count > 1) WriteRepeats(level.repeats, writer);
  writer.Field("measured", level.measured);
  writer.Field("succeeded", level.succeeded);
  writer.Field("warmup", level.warmup);
  WriteErrors(level, writer);
  for (const SummaryTime& time : kSummaryTimes) {
    writer.Field(fmt::format("{}_ms", time.name), level.*time.of);
  }
  WriteRates("in_steady", level.in_steady, writer);
  WriteRates("whole", level.whole, writer);
  writer.Field("failed_output_tokens_per_s", level.failed_output_tokens_per_s);
  writer.Field("input_tokens_mean", level.input_tokens_mean);
  writer.Field("output_tokens_mean", level.output_tokens_mean);
  writer.Field("cached_tokens", level.tokens.cached_tokens);
  if (level.tokens.retokenised > 0) WriteRetokenised(level.tokens, writer);
  writer.Field("tokens_per_chunk", level.tokens_per_chunk);
  if (!summary.budget.empty()) WriteVerdict(summary.budget, level, writer);
  writer.Field("identity_residual_max", level.identity_residual_max);
  writer.Field("common_identity_residual_mean", level.common_identity_residual_mean);
  writer.Field("shared_read_share", level.shared_read_share);
  writer.Field("client_load", level.client_load);
  WriteWarnings(level.warnings, writer);
  writer.Close('}');
}

void WriteSettings(const RunHeader& header, JsonWriter& writer) {
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
                JsonWriter& writer) {
  if (place) {
    const LevelSummary& level = summary.levels[*place];
    if (level.rate_per_s > 0) return writer.Field(name, level.rate_per_s);
    return writer.Field(name, level.concurrency);
  }
  writer.Key(name);
  writer.Raw("null");
}

void WriteProvision(const RunSummary& summary, JsonWriter& writer) {
  const auto provision = Recommend(summary);
  writer.Key("provision");
  if (!provision) return writer.Raw("null");
  writer.Open('{');
  writer.Field("min_provisioned_throughput", provision->min_tokens_per_s);
  writer.Field("max_provisioned_throughput", provision->max_tokens_per_s);
  writer.Field("throughput_chunk_size", provision->chunk);
  writer.Close('}');
}

}  // namespace

std::string RenderJson(const RunSummary& summary) {
  JsonWriter writer;
  writer.Open('{');
  writer.Flag("valid", summary.valid);
  WritePlace("fastest", summary, summary.fastest, writer);
  WritePlace("balanced", summary, summary.balanced, writer);
  WritePlace("highest", summary, summary.highest, writer);
  writer.Field("answer", std::string_view(Answer(summary)));
  if (!summary.budget.empty()) {
    writer.Field("budget", std::string_view(summary.header.settings.budget));
    WritePlace("within_budget", summary, summary.within_budget, writer);
    WriteProvision(summary, writer);
  }
  writer.Key("levels");
  writer.Open('[');
  for (const LevelSummary& level : summary.levels) WriteLevel(summary, level, writer);
  writer.Close(']');
  WriteWarnings(summary.warnings, writer);
  WriteSettings(summary.header, writer);
  writer.Close('}');
  return writer.Take() + "\n";
}

}  // namespace penstock::bench
