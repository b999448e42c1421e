#include "bench/record/record_json.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <cstdint>
#include <iterator>
#include <string>
#include <utility>

#include "bench/record/json_fields.h"

namespace penstock::bench {
namespace {

using simdjson::dom::element;

// Each Visit names every field of a record once, for the writer and the reader alike, so that the
// two cannot disagree. The template parameter is the record, const or not.
template <typename Visitor, typename Record>
void VisitRequest(Visitor& visit, Record& record) {
  visit("id", record.id);
  visit("level", record.level);
  visit("concurrency", record.concurrency);
  visit("agent", record.agent);
  visit("turn", record.turn);
  visit("workload", record.workload);
  visit("phase", record.phase);
  visit("streamed", record.streamed);
  visit("scheduled_ns", record.scheduled_ns);
  visit("sent_ns", record.sent_ns);
  visit("first_byte_ns", record.first_byte_ns);
  visit("first_token_ns", record.first_token_ns);
  visit("first_answer_ns", record.first_answer_ns);
  visit("last_token_ns", record.last_token_ns);
  visit("end_ns", record.end_ns);
  visit("chunks", record.chunks);
  visit("first_chunk_tokens", record.first_chunk_tokens);
  visit("reads", record.reads);
  visit("shared_reads", record.shared_reads);
  visit("http_status", record.http_status);
  visit("retry_after_ms", record.retry_after_ms);
  visit("utilization_permille", record.utilization_permille);
  visit("server_queue_ns", record.server_queue_ns);
  visit("error", record.error);
  visit("error_message", record.error_message);
  visit("oddities", record.oddities);
  visit("finish_reason", record.finish_reason);
  visit("input_tokens_wanted", record.input_tokens_wanted);
  visit("output_tokens_wanted", record.output_tokens_wanted);
  visit("input_tokens", record.input_tokens);
  visit("output_tokens", record.output_tokens);
  visit("cached_tokens", record.cached_tokens);
  visit("input_tokens_counted", record.input_tokens_counted);
  visit("output_tokens_counted", record.output_tokens_counted);
  visit("prompt_bytes", record.prompt_bytes);
  visit("gaps_ns", record.gaps_ns);
}

template <typename Visitor, typename Record>
void VisitLevel(Visitor& visit, Record& record) {
  visit("number", record.number);
  visit("concurrency", record.concurrency);
  visit("rate_per_s", record.rate_per_s);
  visit("started_ns", record.started_ns);
  visit("ended_ns", record.ended_ns);
  visit("client_cpu_ns", record.client_cpu_ns);
  visit("threads", record.threads);
  visit("scout", record.scout);
  visit("repeats", record.repeats);
  visit("cut", record.cut);
  visit("scheduled", record.scheduled);
  visit("unsent", record.unsent);
  visit("in_flight_max", record.in_flight_max);
  visit("loop_lag_p99_ns", record.loop_lag_p99_ns);
  visit("loop_lag_max_ns", record.loop_lag_max_ns);
}

template <typename Visitor, typename Settings>
void VisitSettings(Visitor& visit, Settings& settings) {
  visit("url", settings.url);
  visit("model", settings.model);
  visit("mode", settings.mode);
  visit("concurrency", settings.concurrency);
  visit("requests_per_level", settings.requests_per_level);
  visit("warmup_per_level", settings.warmup_per_level);
  visit("input_tokens", settings.input_tokens);
  visit("output_tokens", settings.output_tokens);
  visit("streamed", settings.streamed);
  visit("timeout_ms", settings.timeout_ms);
  visit("threads", settings.threads);
  visit("seed", settings.seed);
  visit("salt", settings.salt);
  visit("corpus", settings.corpus);
  visit("budget", settings.budget);
  visit("throughput_chunk_size", settings.throughput_chunk_size);
  visit("command", settings.command);
  visit("rates_per_s", settings.rates_per_s);
  visit("burstiness", settings.burstiness);
  visit("duration_ms", settings.duration_ms);
  visit("warmup_ms", settings.warmup_ms);
  visit("cooldown_ms", settings.cooldown_ms);
  visit("workload", settings.workload);
  visit("trace", settings.trace);
  visit("salted", settings.salted);
  visit("tokenizer", settings.tokenizer);
  visit("in_flight_max", settings.in_flight_max);
  visit("tokens_max", settings.tokens_max);
  visit("agents", settings.agents);
}

template <typename Visitor, typename Test>
void VisitSelfTest(Visitor& visit, Test& test) {
  visit("streams", test.streams);
  visit("samples", test.samples);
  visit("ttft_error_p50_ns", test.ttft_error_p50_ns);
  visit("ttft_error_p99_ns", test.ttft_error_p99_ns);
  visit("ttft_bias_us", test.ttft_bias_us);
  visit("stamp_error_p50_ns", test.stamp_error_p50_ns);
  visit("stamp_error_p99_ns", test.stamp_error_p99_ns);
  visit("stamp_error_p999_ns", test.stamp_error_p999_ns);
  visit("events_per_s", test.events_per_s);
  visit("events_per_s_per_core", test.events_per_s_per_core);
  visit("events_per_read", test.events_per_read);
}

template <typename Visitor, typename Where>
void VisitEnvironment(Visitor& visit, Where& environment) {
  visit("host_cpu", environment.host_cpu);
  visit("host_cores", environment.host_cores);
  visit("system", environment.system);
  visit("build_type", environment.build_type);
  visit("version", environment.version);
}

// What every reader of records may rely on. "" when all holds.
std::string Inconsistency(const RequestRecord& record) {
  if (record.concurrency < 1 && record.level < 1) {
    return "neither \"concurrency\" nor \"level\" is at least 1";
  }
  const std::size_t gaps = record.chunks > 0 ? static_cast<std::size_t>(record.chunks) - 1 : 0;
  if (record.gaps_ns.size() != gaps) {
    return fmt::format("\"gaps_ns\" has {} entries, and {} chunks have {} gaps",
                       record.gaps_ns.size(), record.chunks, gaps);
  }
  if (record.chunks == 0) return "";
  if (record.first_token_ns == kNever || record.last_token_ns == kNever) {
    return "\"chunks\" are counted, but \"first_token_ns\" or \"last_token_ns\" is missing";
  }
  std::int64_t last_ns = record.first_token_ns;
  bool overflow = false;
  for (const std::int64_t gap : record.gaps_ns) {
    overflow = overflow || __builtin_add_overflow(last_ns, gap, &last_ns);
  }
  if (overflow || last_ns != record.last_token_ns) {
    return "\"gaps_ns\" do not lead from \"first_token_ns\" to \"last_token_ns\"";
  }
  return "";
}

std::string ParseLine(element line, bool first, RunRecords& run) {
  std::string_view kind;
  if (line["kind"].get(kind) != simdjson::SUCCESS) return "there is no \"kind\"";
  FieldReader reader(line);
  if (kind == "run") {
    if (!first) return "\"kind\" is \"run\", which only the first line may be";
    reader("started_at", run.header.started_at);
    reader("start_ns", run.header.start_ns);
    element part;
    if (line["settings"].get(part) != simdjson::SUCCESS) return "\"settings\" is missing";
    FieldReader settings(part);
    VisitSettings(settings, run.header.settings);
    if (!settings.problem().empty()) return "settings: " + settings.problem();
    if (line["environment"].get(part) != simdjson::SUCCESS) return "\"environment\" is missing";
    FieldReader environment(part);
    VisitEnvironment(environment, run.header.environment);
    if (!environment.problem().empty()) return "environment: " + environment.problem();
    if (line["self_test"].get(part) == simdjson::SUCCESS) {
      FieldReader test(part);
      VisitSelfTest(test, run.header.self_test);
      if (!test.problem().empty()) return "self_test: " + test.problem();
    }
    return reader.problem();
  }
  if (first) return "the first line must be of kind \"run\"";
  if (kind == "request") {
    RequestRecord record;
    for (const std::string_view name : {"id", "scheduled_ns", "end_ns"}) {
      reader.Require(name);
    }
    VisitRequest(reader, record);
    if (!reader.problem().empty()) return reader.problem();
    std::string inconsistency = Inconsistency(record);
    run.requests.push_back(std::move(record));
    return inconsistency;
  }
  if (kind == "level") {
    VisitLevel(reader, run.levels.emplace_back());
    return reader.problem();
  }
  return "";  // A later version's kind.
}

Status CheckFormat(element line) {
  std::int64_t format = 0;
  if (line["format"].get(format) != simdjson::SUCCESS) {
    return Fail(Code::kCorrupt, "line 1 has no \"format\": this is not a records file", "format");
  }
  if (format != kRecordsFormat) {
    return Fail(
        Code::kUnsupported,
        fmt::format("records have format {}, this version reads format {}", format, kRecordsFormat),
        "format");
  }
  return {};
}

}  // namespace

void AppendJsonString(std::string_view text, std::string& out) {
  const bool valid = simdjson::validate_utf8(text);
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    } else if (byte >= 0x80 && !valid) {
      out += "\xEF\xBF\xBD";
    } else {
      out += c;
    }
  }
  out += '"';
}

void AppendLine(const RunHeader& header, std::string& out) {
  FieldWriter writer(out);
  writer.Text("kind", "run");
  writer("format", kRecordsFormat);
  writer("started_at", header.started_at);
  writer("start_ns", header.start_ns);
  writer.Key("settings");
  FieldWriter settings(out);
  VisitSettings(settings, header.settings);
  settings.Close();
  writer.Key("environment");
  FieldWriter environment(out);
  VisitEnvironment(environment, header.environment);
  environment.Close();
  if (header.self_test.samples > 0) {
    writer.Key("self_test");
    FieldWriter test(out);
    VisitSelfTest(test, header.self_test);
    test.Close();
  }
  writer.Close();
  out += '\n';
}

void AppendLine(const RequestRecord& record, std::string& out) {
  FieldWriter writer(out);
  writer.Text("kind", "request");
  VisitRequest(writer, record);
  writer.Close();
  out += '\n';
}

void AppendLine(const LevelRecord& record, std::string& out) {
  FieldWriter writer(out);
  writer.Text("kind", "level");
  VisitLevel(writer, record);
  writer.Close();
  out += '\n';
}

Result<RunRecords> ParseRecords(std::string_view text) {
  RunRecords run;
  simdjson::dom::parser parser;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t feed = text.find('\n');
    const bool torn = feed == std::string_view::npos;
    const std::string_view line = text.substr(0, feed);
    text.remove_prefix(torn ? text.size() : feed + 1);
    if (line.empty()) continue;

    element parsed;
    if (const auto error = parser.parse(simdjson::padded_string(line)).get(parsed)) {
      if (torn && number > 1) {
        run.truncated = true;
        break;
      }
      return Fail(Code::kCorrupt,
                  fmt::format("line {} is not JSON: {}", number, simdjson::error_message(error)));
    }
    if (number == 1) {
      if (auto format = CheckFormat(parsed); !format) return Fail(format.error());
    }
    if (const std::string problem = ParseLine(parsed, number == 1, run); !problem.empty()) {
      return Fail(Code::kCorrupt, fmt::format("line {}: {}", number, problem));
    }
  }
  if (run.header.started_at.empty()) return Fail(Code::kCorrupt, "the records are empty");
  return run;
}

}  // namespace penstock::bench
