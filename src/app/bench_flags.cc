#include "app/bench_flags.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>

#include <fmt/format.h>

#include "app/flags.h"
#include "app/tokenizer.h"
#include "base/file.h"
#include "bench/workload/mix.h"

namespace penstock::app {

namespace {

constexpr std::size_t kKeyFileBytesMax = 64 * 1024;
constexpr int kSourceAddressesMax = 250;

Duration FromSeconds(double seconds) { return Duration(std::llround(seconds * 1e9)); }

Status CheckSeconds(std::string_view flag, double seconds) {
  if (seconds >= -1 && seconds <= 7 * 86'400) return {};
  return Fail(Code::kInvalidArgument,
              fmt::format("{} is {}, it must be from 0 to {}", flag, seconds, 7 * 86'400),
              std::string(flag));
}

}  // namespace

Result<std::string> ReadKeyFile(const std::string& path, std::string_view flag) {
  const auto wrong = [flag](std::string_view why) {
    return Fail(Code::kInvalidArgument, fmt::format("--{}: {}", flag, why), std::string(flag));
  };
  auto text = ReadSmallFile(path, kKeyFileBytesMax);
  if (!text) return wrong(text.error().message);
  while (!text->empty() && (text->back() == '\n' || text->back() == '\r' || text->back() == ' ')) {
    text->pop_back();
  }
  if (text->empty()) return wrong(fmt::format("{} is empty", path));
  return text;
}

void AddTargetFlags(CLI::App& command, bench::BenchOptions& bench, BenchFlags& flags) {
  const auto group = [](CLI::Option* option) { option->group("The endpoint"); };
  bench::TargetOptions& target = bench.target;
  group(AddFlag(command, "--model", bench.model, "The endpoint's name, sent as 'model'"));
  group(AddFlag(command, "--api", target.api,
                "chat, completions or embeddings; without: as the path says"));
  group(AddFlag(command, "--api-version", target.api_version, "Azure's, added to the query"));
  group(AddFlag(command, "--api-key", bench.api_key,
                "Sent as a bearer token, to Azure as api-key; never kept"));
  group(AddFlag(command, "--api-key-file", flags.api_key_file, "The key, from a file"));
  group(AddFlag(command, "--header", target.headers, "A field for each request, as 'NAME: VALUE'")
            ->allow_extra_args(false));
  group(AddSwitch(command, "--insecure", bench.insecure, "Accept any TLS certificate"));
  group(AddFlag(command, "--timeout-s", flags.timeout_s, "Seconds for one request")
            ->check(CLI::Range(1, 86400)));
  group(AddFlag(command, "--stall-timeout-s", flags.stall_timeout_s,
                "Seconds without a byte within an answer; 0: no limit"));
  group(AddFlag(command, "--in-flight-max", target.in_flight_max,
                "Never more requests at once; what is due then waits, and the wait counts"));
  group(AddFlag(command, "--tokens-max", target.tokens_max,
                "The run ends before it has cost more tokens, input and output; 0: no limit"));
}

void AddShapeFlags(CLI::App& command, bench::BenchOptions& bench, BenchFlags& flags) {
  const auto closed = [](CLI::Option* option) { option->group("Closed loop"); };
  closed(AddFlag(command, "--concurrency", bench.concurrency,
                 "Levels, as 1,2,4; without: 1, 2, 4, 8 ... while it pays")
             ->delimiter(','));
  closed(AddFlag(command, "--concurrency-max", bench.concurrency_max, "Where doubling ends"));
  closed(AddFlag(command, "--latency-max-ms", bench.latency_max_ms,
                 "Doubling ends once the p90 latency is beyond; 0: no limit"));
  closed(AddFlag(command, "--warmup", bench.warmup,
                 "Requests per level before the measured ones; -1: as many as concurrency"));

  const auto open = [](CLI::Option* option) { option->group("Open loop"); };
  bench::ShapeOptions& shape = bench.shape;
  open(AddFlag(command, "--rate", shape.rates, "Requests per second, each a level, as 1,2,5")
           ->delimiter(',')
           ->allow_extra_args(false));
  open(AddFlag(command, "--arrivals", shape.arrivals, "constant, poisson or gamma"));
  open(AddFlag(command, "--burstiness", shape.burstiness,
               "Of gamma arrivals: 1 is Poisson, less comes in bursts"));
  open(AddFlag(command, "--ramp", shape.ramp, "One level whose rate goes FROM:TO, as 1:20"));
  open(AddFlag(command, "--steps", shape.steps, "One level of equal parts at these rates")
           ->delimiter(',')
           ->allow_extra_args(false));
  open(AddFlag(command, "--trace", shape.trace_path,
               "Replay times and lengths: Azure or BurstGPT CSV, Mooncake or our records (JSON "
               "lines), a ServeGen folder"));
  open(AddFlag(command, "--trace-columns", shape.trace_columns,
               "time=A,input=B,output=C,unit=s|ms|us|ns, where the names are others"));
  open(AddFlag(command, "--trace-speed", shape.speed, "2 replays it in half of the time"));
  open(AddFlag(command, "--trace-from-s", shape.trace_from_s, "Where in the trace to begin"));
  open(AddFlag(command, "--trace-span-s", shape.trace_span_s, "How much of it; 0: to its end"));

  const auto both = [](CLI::Option* option) { option->group("How long"); };
  both(
      AddFlag(command, "--repeats", bench.repeats,
              "Run each level so often, for intervals of its figures; of a search the load found"));
  both(AddFlag(command, "--requests", bench.requests,
               "Measured requests per level; 0: the more of 10 and 4 x concurrency"));
  both(AddFlag(command, "--duration-s", flags.duration_s,
               "Seconds per level, in place of --requests"));
  both(AddFlag(command, "--warmup-s", flags.warmup_s,
               "Dropped at a level's begin; -1: none, in an open loop a tenth, at most 30"));
  both(AddFlag(command, "--cooldown-s", flags.cooldown_s, "Dropped at a level's end"));
  both(AddFlag(command, "--drain-s", flags.drain_s,
               "What still runs so long after a level's end is cancelled"));
}

void AddContentFlags(CLI::App& command, bench::BenchOptions& bench, BenchFlags& flags) {
  const auto group = [](CLI::Option* option) { option->group("The workload"); };
  bench::ContentOptions& content = bench.content;
  group(AddFlag(command, "--workload", content.workload,
                "A preset, or a mix as chat=3,rag=1: " + bench::Mix::Presets()));
  const std::string lengths =
      ": N, uniform:A-B, normal:MEAN,DEVIATION, lognormal:MEDIAN,SIGMA or file:PATH";
  group(AddFlag(command, "--input-tokens", flags.input_tokens,
                "Tokens of each prompt" + lengths + "; without: the workload's"));
  group(AddFlag(command, "--output-tokens", flags.output_tokens, "Tokens of each reply, likewise"));
  group(AddFlag(command, "--prefix", content.prefix,
                "Shared prefixes, SHARE:TOKENS[:COUNT], as 0.5:1024:8"));
  group(
      AddFlag(command, "--turns", content.turns, "Turns of a conversation, a number or as above"));
  group(AddFlag(command, "--think-s", content.think_s,
                "Between a reply and the next turn; -1: as the workload has it"));
  group(AddFlag(command, "--dataset", content.data_set_path,
                "JSON lines of prompt or messages, or ShareGPT"));
  group(AddSwitch(command, "--salt", content.salted,
                  "Each prompt begins unlike all others, so that no cache flatters"));
  group(AddFlag(command, "--corpus", bench.corpus_path,
                "UTF-8 text to cut prompts from; else our own"));
  group(AddFlag(command, "--tokenizer", flags.tokenizer,
                "FILE.gguf whose vocabulary counts tokens beside the server"));
  group(AddFlag(command, "--seed", bench.seed, "Chooses texts, lengths and arrivals"));
  group(AddSwitch(command, "--stream", bench.streamed, "Streamed replies, or whole ones"));
}

Status ApplyFlags(const BenchFlags& flags, bench::BenchOptions& bench) {
  const std::pair<std::string_view, double> seconds[] = {
      {"duration-s", flags.duration_s},           {"warmup-s", flags.warmup_s},
      {"cooldown-s", flags.cooldown_s},           {"drain-s", flags.drain_s},
      {"stall-timeout-s", flags.stall_timeout_s}, {"probe-max-s", flags.probe_max_s},
      {"search-max-s", flags.search_max_s}};
  for (const auto& [flag, value] : seconds) {
    if (auto good = CheckSeconds(flag, value); !good) return good;
  }
  bench.timeout = std::chrono::seconds(flags.timeout_s);
  bench.shape.duration = FromSeconds(flags.duration_s);
  if (flags.warmup_s >= 0) bench.shape.warmup = FromSeconds(flags.warmup_s);
  bench.shape.cooldown = FromSeconds(flags.cooldown_s);
  bench.shape.drain = FromSeconds(flags.drain_s);
  bench.target.stall_timeout = FromSeconds(flags.stall_timeout_s);
  bench.probe_time_max = FromSeconds(std::max(flags.probe_max_s, 0.0));
  bench.search_time_max = FromSeconds(std::max(flags.search_max_s, 0.0));
  bench.content.input = flags.input_tokens;
  bench.content.output = flags.output_tokens;
  if (!flags.api_key_file.empty()) {
    auto key = ReadKeyFile(flags.api_key_file, "api-key-file");
    if (!key) return Fail(key.error());
    bench.api_key = std::move(*key);
  }
  if (flags.source_addresses < 0 || flags.source_addresses > kSourceAddressesMax) {
    return Fail(Code::kInvalidArgument,
                fmt::format("source-addresses is {}, it must be from 0 to {}",
                            flags.source_addresses, kSourceAddressesMax),
                "source-addresses");
  }
  for (int i = 0; i < flags.source_addresses; ++i) {
    bench.target.sources.push_back(fmt::format("127.0.0.{}", 2 + i));
  }
  if (!flags.tokenizer.empty()) {
    auto tokenizer = OpenTokenizer(flags.tokenizer);
    if (!tokenizer) {
      return Fail(Code::kInvalidArgument, "--tokenizer: " + tokenizer.error().message, "tokenizer");
    }
    bench.count_tokens = std::move(*tokenizer);
    bench.tokenizer = flags.tokenizer.substr(flags.tokenizer.rfind('/') + 1);
  }
  return {};
}

}  // namespace penstock::app
