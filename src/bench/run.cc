#include "bench/run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <memory>
#include <optional>
#include <utility>

#include "bench/corpus.h"
#include "bench/environment.h"
#include "bench/load.h"
#include "bench/progress_display.h"
#include "bench/records_file.h"
#include "bench/report.h"
#include "http/origin.h"
#include "http/url.h"
#include "io/tls.h"

namespace penstock::bench {
namespace {

struct IntegerRule {
  std::string_view field;
  long long value;
  long long least;
  long long most;
};

Status CheckOptions(const BenchOptions& options) {
  const long long timeout_s =
      std::chrono::duration_cast<std::chrono::seconds>(options.timeout).count();
  const IntegerRule rules[] = {
      {"concurrency-max", options.concurrency_max, 1, kConcurrencyLimit},
      {"requests", options.requests, 0, 1'000'000},
      {"warmup", options.warmup, -1, 1'000'000},
      {"input-tokens", options.input_tokens, kInputTokensMin, kTokensLimit},
      {"output-tokens", options.output_tokens, 1, kTokensLimit},
      {"timeout-s", timeout_s, 1, 86'400},
      {"threads", options.threads, 1, kThreadsLimit},
  };
  for (const IntegerRule& rule : rules) {
    if (rule.value >= rule.least && rule.value <= rule.most) continue;
    return Fail(Code::kInvalidArgument,
                fmt::format("{} is {}, it must be from {} to {}", rule.field, rule.value,
                            rule.least, rule.most),
                std::string(rule.field));
  }
  for (const int level : options.concurrency) {
    if (level >= 1 && level <= kConcurrencyLimit) continue;
    return Fail(
        Code::kInvalidArgument,
        fmt::format("concurrency has {}, each must be from 1 to {}", level, kConcurrencyLimit),
        "concurrency");
  }
  const auto unprintable = [](char c) { return c < 0x21 || c > 0x7E; };
  if (std::ranges::any_of(options.api_key, unprintable)) {
    return Fail(Code::kInvalidArgument, "api-key holds a blank or a character that no header may",
                "api-key");
  }
  return {};
}

// Where to connect: name resolution blocks, so that it comes before the loops.
Result<http::Origin> ResolveOrigin(const Endpoint& endpoint, bool insecure) {
  auto url = http::Url::Parse(endpoint.origin);
  if (!url) return Fail(url.error());
  http::Url numeric = *url;
  if (url->scheme != http::Url::Scheme::kUnix) {
    const auto address = io::ResolveBlocking(url->host, url->port);
    if (!address) return Fail(Code::kUnavailable, address.error().message, "url");
    numeric.host = address->host;
  }
  auto origin = http::Origin::From(numeric);
  if (!origin) return Fail(origin.error());
  origin->host = url->HostField();
  if (url->scheme == http::Url::Scheme::kHttps) {
    auto tls = io::TlsContext::ForClient({.ca_file = "", .insecure = insecure});
    if (!tls) return Fail(tls.error());
    origin->connect.tls = std::move(*tls);
    origin->connect.tls_server_name = url->host;
  }
  return origin;
}

RunHeader MakeHeader(const BenchOptions& options, const Endpoint& endpoint, const Corpus& corpus) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  RunHeader header;
  header.started_at = UtcText(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  header.environment = ReadEnvironment();
  RunSettings& settings = header.settings;
  settings.url = endpoint.url;
  settings.model = options.model;
  settings.concurrency = options.concurrency;
  settings.requests_per_level = options.requests;
  settings.warmup_per_level = options.warmup;
  settings.input_tokens = options.input_tokens;
  settings.output_tokens = options.output_tokens;
  settings.streamed = options.streamed;
  settings.timeout_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(options.timeout).count();
  settings.threads = options.threads;
  settings.seed = options.seed;
  // The clock tells runs apart: a server's prefix cache must not know this run from the last.
  settings.salt = static_cast<std::uint64_t>(now.count());
  settings.corpus = corpus.name();
  settings.command = options.command;
  return header;
}

int ConcurrencyMax(const BenchOptions& options) {
  return options.concurrency.empty() ? options.concurrency_max
                                     : *std::ranges::max_element(options.concurrency);
}

// All that a run needs, checked before anything is sent.
struct Prepared {
  Endpoint endpoint;
  http::Origin origin;
  Corpus corpus;
  RunHeader header;
  std::optional<RecordsWriter> writer;
};

Result<Prepared> Prepare(const BenchOptions& options) {
  if (auto good = CheckOptions(options); !good) return Fail(good.error());
  auto endpoint = Endpoint::FromUrl(options.url);
  if (!endpoint) return Fail(endpoint.error());
  auto corpus = options.corpus_path.empty() ? Result<Corpus>(Corpus::Shipped())
                                            : Corpus::FromFile(options.corpus_path);
  if (!corpus) return Fail(corpus.error());
  if (auto room = ReserveDescriptors(ConcurrencyMax(options)); !room) return Fail(room.error());
  if (!options.report_path.empty() && !std::ofstream(options.report_path, std::ios::app)) {
    return Fail(Code::kInvalidArgument,
                fmt::format("report {} cannot be written", options.report_path), "report");
  }
  auto origin = ResolveOrigin(*endpoint, options.insecure);
  if (!origin) return Fail(origin.error());
  RunHeader header = MakeHeader(options, *endpoint, *corpus);
  std::optional<RecordsWriter> writer;
  if (!options.records_path.empty()) {
    auto created = RecordsWriter::Create(options.records_path, header);
    if (!created) return Fail(created.error());
    writer.emplace(std::move(*created));
  }
  return Prepared{std::move(*endpoint), std::move(*origin), std::move(*corpus), std::move(header),
                  std::move(writer)};
}

DriverSettings SettingsFor(const BenchOptions& options, const Prepared& prepared) {
  DriverSettings settings;
  settings.endpoint = prepared.endpoint;
  settings.origin = prepared.origin;
  settings.model = options.model;
  settings.api_key = options.api_key;
  settings.input_tokens = options.input_tokens;
  settings.output_tokens = options.output_tokens;
  settings.streamed = options.streamed;
  settings.timeout = options.timeout;
  settings.workers_max = ConcurrencyMax(options);
  settings.start = Clock::now();
  return settings;
}

LevelOutcome OutcomeOf(const RunRecords& level, int concurrency) {
  const RunSummary summary = Summarise(level);
  if (summary.levels.empty()) return {.concurrency = concurrency, .error_share = 1};
  const LevelSummary& only = summary.levels.front();
  return {.concurrency = concurrency,
          .output_tokens_per_s = only.best_rates().output_tokens_per_s,
          .latency_p90_ms = only.latency_ms.p90,
          .error_share = only.error_share()};
}

// Runs level after level until the plan ends, keeping all records in `run`.
Result<StopReason> Sweep(const BenchOptions& options, Load& load, const std::atomic<bool>& stop,
                         RunRecords& run) {
  ConcurrencyPlan plan({.levels = options.concurrency,
                        .concurrency_max = options.concurrency_max,
                        .latency_max_ms = options.latency_max_ms});
  for (int number = 1; !stop.load(std::memory_order_relaxed); ++number) {
    const auto concurrency = plan.Next();
    if (!concurrency) break;
    const int measured = options.requests > 0 ? options.requests : DefaultRequests(*concurrency);
    auto level = load.RunLevel({.concurrency = *concurrency,
                                .warmup = options.warmup >= 0 ? options.warmup : *concurrency,
                                .measured = measured,
                                .number = number,
                                .levels = static_cast<int>(options.concurrency.size())});
    if (!level) return Fail(level.error());
    if (!stop.load(std::memory_order_relaxed)) plan.Observe(OutcomeOf(*level, *concurrency));
    std::ranges::move(level->requests, std::back_inserter(run.requests));
    std::ranges::move(level->levels, std::back_inserter(run.levels));
  }
  return plan.reason();
}

}  // namespace

Result<BenchOutcome> RunBench(const BenchOptions& options, const std::atomic<bool>& stop) {
  auto prepared = Prepare(options);
  if (!prepared) return Fail(prepared.error());
  RunRecords run{.header = prepared->header, .requests = {}, .levels = {}};
  BenchOutcome outcome;
  {
    ProgressDisplay display(STDERR_FILENO, options.progress, options.on_progress);
    const PromptPool pool(prepared->corpus, {.input_tokens = options.input_tokens,
                                             .seed = options.seed,
                                             .salt = prepared->header.settings.salt});
    RecordsWriter* writer = prepared->writer ? &*prepared->writer : nullptr;
    Load load(std::min(options.threads, ConcurrencyMax(options)), SettingsFor(options, *prepared),
              pool, writer, display, stop);
    const auto fitted = load.FitPrompts();
    if (!fitted) return Fail(fitted.error());
    const auto reason = Sweep(options, load, stop, run);
    if (!reason) return Fail(reason.error());
    outcome.stop_reason = *reason;
    if (writer != nullptr) {
      if (auto flushed = writer->Flush(); !flushed) return Fail(flushed.error());
    }
  }
  outcome.summary = Summarise(run);
  if (!options.report_path.empty()) {
    if (auto written = WriteReport(options.report_path, outcome.summary); !written) {
      return Fail(written.error());
    }
  }
  return outcome;
}

Result<RunSummary> LoadSummary(const std::string& records_path) {
  auto run = ReadRecords(records_path);
  if (!run) return Fail(run.error());
  return Summarise(*run);
}

Status WriteReport(const std::string& path, const RunSummary& summary) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << RenderReport(summary);
  file.close();
  if (!file) {
    return Fail(Code::kInvalidArgument, fmt::format("report {} cannot be written", path), "report");
  }
  return {};
}

std::string WithoutKeys(const std::vector<std::string>& arguments) {
  constexpr std::string_view kKeyFlag = "--api-key";
  std::string command;
  bool hide_next = false;
  for (const std::string& argument : arguments) {
    if (!command.empty()) command += ' ';
    if (hide_next) {
      command += "***";
    } else if (argument.starts_with(std::string(kKeyFlag) + "=")) {
      command += std::string(kKeyFlag) + "=***";
    } else {
      command += argument;
    }
    hide_next = !hide_next && argument == kKeyFlag;
  }
  return command;
}

}  // namespace penstock::bench
