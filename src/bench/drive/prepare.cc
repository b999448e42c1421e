#include "bench/drive/prepare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cmath>
#include <fstream>
#include <memory>
#include <string_view>

#include "bench/drive/environment.h"
#include "bench/drive/optimization_info.h"
#include "bench/drive/resolve.h"
#include "bench/judge/budget.h"

namespace penstock::bench {
namespace {

std::int64_t MillisecondsOf(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

// "NAME: VALUE".
Result<std::pair<std::string, std::string>> ParseHeader(std::string_view text) {
  const auto wrong = [&text](std::string_view why) {
    // The value may be a secret.
    return Fail(Code::kInvalidArgument,
                fmt::format("header '{}': {}", text.substr(0, text.find(':')), why), "header");
  };
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) return wrong("it must be 'NAME: VALUE'");
  const std::string_view name = text.substr(0, colon);
  std::string_view value = text.substr(colon + 1);
  while (value.starts_with(' ')) value.remove_prefix(1);
  const auto of_token = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
  };
  if (!std::ranges::all_of(name, of_token))
    return wrong("the name has a character that it may not");
  const auto unprintable = [](char c) { return (c < 0x20 && c != '\t') || c == 0x7F; };
  if (std::ranges::any_of(value, unprintable)) {
    return wrong("the value has a control character");
  }
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  });
  for (const std::string_view own :
       {"host", "content-type", "content-length", "connection", "transfer-encoding"}) {
    if (lower == own) return wrong("the client sets this field itself");
  }
  return std::pair(lower, std::string(value));
}

RunHeader MakeHeader(const BenchOptions& options, const Prepared& prepared) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  RunHeader header;
  header.started_at = UtcText(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  header.start_ns = prepared.start.time_since_epoch().count();
  header.environment = ReadEnvironment();
  header.self_test = options.self_test;
  RunSettings& settings = header.settings;
  settings.url = prepared.endpoint.url;
  settings.model = options.model;
  settings.concurrency = options.concurrency;
  settings.requests_per_level = options.requests;
  settings.warmup_per_level = options.warmup;
  settings.input_tokens = static_cast<int>(std::llround(prepared.mix.parts.front().input.mean()));
  settings.output_tokens = static_cast<int>(std::llround(prepared.mix.parts.front().output.mean()));
  settings.streamed = options.streamed && prepared.endpoint.dialect != Dialect::kEmbeddings;
  settings.timeout_ms = MillisecondsOf(options.timeout);
  settings.threads = options.threads;
  settings.seed = options.seed;
  // The clock tells runs apart: a server's prefix cache must not know this run from the last.
  settings.salt = static_cast<std::uint64_t>(now.count());
  settings.corpus = prepared.corpus.name();
  settings.command = options.command;
  if (auto budget = Budget::Parse(options.budget)) settings.budget = budget->Text();
  settings.throughput_chunk_size = prepared.chunk;
  settings.duration_ms = MillisecondsOf(options.shape.duration);
  settings.warmup_ms = MillisecondsOf(options.shape.warmup.value_or(Duration{}));
  settings.cooldown_ms = MillisecondsOf(options.shape.cooldown);
  settings.workload = options.content.workload;
  if (prepared.mix.parts.front().data != nullptr) {
    settings.workload = "data set " + prepared.mix.parts.front().data->name;
  }
  settings.salted = options.content.salted;
  settings.tokenizer = options.tokenizer;
  settings.in_flight_max = options.target.in_flight_max;
  settings.tokens_max = options.target.tokens_max;
  settings.agents = static_cast<int>(options.agents.size());
  if (SearchesRates(options)) settings.mode = options.shape.arrivals;
  if (prepared.open) {
    settings.mode = prepared.open->mode;
    settings.rates_per_s = prepared.open->rates;
    settings.trace = prepared.open->trace;
    if (options.shape.arrivals == "gamma") settings.burstiness = options.shape.burstiness;
  }
  return header;
}

// How many requests may be under way at once; 0 for as many as come.
Result<int> InFlightMax(const BenchOptions& options, bool open) {
  if (!options.agents.empty()) return options.target.in_flight_max;  // Each agent's own matter.
  if (!open) {
    if (auto room = ReserveDescriptors(ConcurrencyMax(options)); !room) return Fail(room.error());
    return ConcurrencyMax(options);
  }
  if (options.target.in_flight_max > 0) {
    if (auto room = ReserveDescriptors(options.target.in_flight_max); !room) {
      return Fail(room.error());
    }
    return options.target.in_flight_max;
  }
  return std::min(AllDescriptors(), kConcurrencyLimit);
}

}  // namespace

bool Searches(const BenchOptions& options) {
  return !options.budget.empty() && options.concurrency.empty() && !options.shape.open();
}

bool SearchesRates(const BenchOptions& options) {
  return Searches(options) && options.search == "rate";
}

int ConcurrencyMax(const BenchOptions& options) {
  return options.concurrency.empty() ? options.concurrency_max
                                     : *std::ranges::max_element(options.concurrency);
}

Result<OpenLevelShape> DrawLevel(const BenchOptions& options, const ScheduleDraw& draw) {
  // Far apart, since each level of a shape adds one.
  constexpr std::uint64_t kSeedsPerRound = 1'000'003;
  const std::uint64_t seed = options.seed + static_cast<std::uint64_t>(draw.round) * kSeedsPerRound;
  ShapeOptions shape = options.shape;
  int requests = options.requests;
  if (draw.rate_per_s > 0) {
    shape.rates = {draw.rate_per_s};
    shape.duration = {};
    requests = draw.requests;
  }
  auto open = MakeOpenShape(shape, requests, seed);
  if (!open) return Fail(open.error());
  const auto place = static_cast<std::size_t>(draw.level);
  if (place >= open->levels.size()) {
    return Fail(
        Code::kInvalidArgument,
        fmt::format("level: {} is none of the {} of this load", draw.level, open->levels.size()),
        "level");
  }
  return std::move(open->levels[place]);
}

Result<Mix> MixOf(const BenchOptions& options) {
  const ContentOptions& content = options.content;
  auto mix = Mix::Parse(content.workload);
  if (!mix) return mix;
  const auto set = [](std::string_view text, std::string_view flag, auto assign) -> Status {
    if (text.empty()) return {};
    auto lengths = Lengths::Parse(text, flag);
    if (!lengths) return Fail(lengths.error());
    assign(*lengths);
    return {};
  };
  if (content.workload.empty()) {
    mix->parts.front().input = Lengths::Fixed(options.input_tokens);
    mix->parts.front().output = Lengths::Fixed(options.output_tokens);
  }
  const Status lengths[] = {
      set(content.input, "input-tokens",
          [&](const Lengths& value) {
            for (auto& part : mix->parts) part.input = value;
          }),
      set(content.output, "output-tokens",
          [&](const Lengths& value) {
            for (auto& part : mix->parts) part.output = value;
          }),
      set(content.turns, "turns",
          [&](const Lengths& value) {
            for (auto& part : mix->parts) part.turns = value;
          }),
      content.prefix.empty() ? Status{} : SetPrefix(content.prefix, *mix),
  };
  for (const Status& good : lengths) {
    if (!good) return Fail(good.error());
  }
  if (content.think_s > 86'400) {
    return Fail(Code::kInvalidArgument,
                fmt::format("think-s is {}, it must be from 0 to 86400", content.think_s),
                "think-s");
  }
  for (WorkloadPart& part : mix->parts) {
    if (content.think_s >= 0) part.think_ms = std::llround(content.think_s * 1000);
  }
  if (!content.data_set_path.empty()) {
    auto data = DataSet::FromFile(content.data_set_path);
    if (!data) return Fail(data.error());
    const auto shared = std::make_shared<const DataSet>(std::move(*data));
    for (WorkloadPart& part : mix->parts) part.data = shared;
  }
  return mix;
}

Result<Prepared> Prepare(const BenchOptions& options) {
  if (auto good = CheckOptions(options); !good) return Fail(good.error());
  const TargetOptions& target = options.target;
  const auto dialect = DialectNamed(target.api);
  if (!target.api.empty() && !dialect) {
    return Fail(Code::kInvalidArgument,
                fmt::format("api is '{}', it must be chat, completions or embeddings", target.api),
                "api");
  }
  auto endpoint = Endpoint::FromUrl(options.url, dialect, target.api_version);
  if (!endpoint) return Fail(endpoint.error());
  auto corpus = options.corpus_path.empty() ? Result<Corpus>(Corpus::Shipped())
                                            : Corpus::FromFile(options.corpus_path);
  if (!corpus) return Fail(corpus.error());
  auto mix = MixOf(options);
  if (!mix) return Fail(mix.error());
  std::optional<OpenShape> open;
  if (options.shape.open()) {
    auto shape = MakeOpenShape(options.shape, options.requests, options.seed);
    if (!shape) return Fail(shape.error());
    open = std::move(*shape);
  }
  const auto in_flight_max = InFlightMax(options, open.has_value() || SearchesRates(options));
  if (!in_flight_max) return Fail(in_flight_max.error());
  auto headers = ParseHeaders(target.headers);
  if (!headers) return Fail(headers.error());
  if (!options.report_path.empty() && !std::ofstream(options.report_path, std::ios::app)) {
    return Fail(Code::kInvalidArgument,
                fmt::format("report {} cannot be written", options.report_path), "report");
  }
  auto origin = ResolveOrigin(*endpoint, options.insecure);
  if (!origin) return Fail(origin.error());
  Prepared prepared{.endpoint = std::move(*endpoint),
                    .origin = std::move(*origin),
                    .corpus = std::move(*corpus),
                    .mix = std::move(*mix),
                    .header = {},
                    .open = std::move(open),
                    .headers = std::move(*headers),
                    .start = Clock::now(),
                    .chunk = options.chunk,
                    .in_flight_max = *in_flight_max};
  if (options.chunk == 0 && !options.optimization_info.empty()) {
    const auto info = FetchOptimizationInfo(prepared.origin, options.api_key,
                                            options.optimization_info, options.timeout);
    if (!info) return Fail(info.error());
    prepared.chunk = info->throughput_chunk_size;
  }
  prepared.header = MakeHeader(options, prepared);
  return prepared;
}

Result<HeaderFields> ParseHeaders(const std::vector<std::string>& texts) {
  HeaderFields headers;
  for (const std::string& text : texts) {
    auto header = ParseHeader(text);
    if (!header) return Fail(header.error());
    headers.push_back(std::move(*header));
  }
  return headers;
}

DriverSettings SettingsFor(const BenchOptions& options, const Prepared& prepared) {
  DriverSettings settings;
  settings.endpoint = prepared.endpoint;
  settings.origin = prepared.origin;
  settings.model = options.model;
  settings.api_key = options.api_key;
  settings.key_field = prepared.endpoint.key_field;
  settings.headers = prepared.headers;
  settings.streamed = prepared.header.settings.streamed;
  settings.timeout = options.timeout;
  settings.stall_timeout = options.target.stall_timeout;
  const bool open = prepared.open || SearchesRates(options);
  settings.workers_max = open ? 1 : ConcurrencyMax(options);
  if (open && prepared.in_flight_max > 0) {
    settings.in_flight_max = std::max(prepared.in_flight_max / options.threads, 1);
  }
  settings.keep_text = static_cast<bool>(options.count_tokens);
  settings.start = prepared.start;
  settings.spending = std::make_shared<Spending>(options.target.tokens_max);
  return settings;
}

ComposerSettings ComposerFor(const BenchOptions& options, const Prepared& prepared) {
  return {.mix = prepared.mix,
          .seed = options.seed,
          .salt = prepared.header.settings.salt,
          .salted = options.content.salted};
}

}  // namespace penstock::bench
