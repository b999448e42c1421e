// Options: everything that a load test is told, one field per flag.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "bench/drive/progress.h"
#include "bench/record/record.h"
#include "bench/workload/workload.h"

namespace penstock::bench {

inline constexpr int kConcurrencyLimit = 100'000;
inline constexpr int kThreadsLimit = 256;
inline constexpr int kRepeatsLimit = 100;
inline constexpr int kTokensLimit = 1'000'000;

// --rate and its like: an open loop. Without any of rates, ramp, steps and trace the loop is
// closed.
struct ShapeOptions {
  std::string arrivals = "poisson";  // --arrivals: constant, poisson, gamma.
  double burstiness = 1;             // --burstiness: of gamma; less than 1 comes in bursts.
  std::vector<double> rates{};       // --rate LIST: requests/s, each a level.
  std::string ramp{};                // --ramp FROM:TO: one level, its rate rising or falling.
  std::vector<double> steps{};       // --steps LIST: one level of equal parts.
  std::string trace_path{};          // --trace FILE|FOLDER: times and lengths of a trace.
  std::string trace_columns{};       // --trace-columns time=…,input=…,output=…
  double speed = 1;                  // --trace-speed: 2 replays in half of the time.
  double trace_from_s = 0;           // --trace-from-s, --trace-span-s: a part of it. 0: to its end.
  double trace_span_s = 0;
  Duration duration{};                        // --duration-s: of each level. 0: requests end it.
  std::optional<Duration> warmup{};           // --warmup-s: dropped at a level's begin.
  Duration cooldown{};                        // --cooldown-s: dropped at its end.
  Duration drain = std::chrono::seconds(60);  // --drain-s: then what still runs is cancelled.

  bool open() const {
    return !rates.empty() || !ramp.empty() || !steps.empty() || !trace_path.empty();
  }
};

// What requests say.
struct ContentOptions {
  std::string workload{};       // --workload: "chat", "chat=3,rag=1"; "" is the reference workload.
  std::string input{};          // --input-tokens as a distribution; "" leaves it to the workload.
  std::string output{};         // --output-tokens likewise.
  std::string prefix{};         // --prefix SHARE:TOKENS[:COUNT]
  std::string turns{};          // --turns: of a conversation, as a distribution.
  double think_s = -1;          // --think-s: between a reply and the next turn; -1: the workload's.
  std::string data_set_path{};  // --dataset FILE
  bool salted = true;           // --no-salt
};

// How the endpoint is spoken to, and how much it may be asked.
struct TargetOptions {
  std::string api{};                   // --api: chat, completions, embeddings; "": the URL tells.
  std::string api_version{};           // --api-version, of Azure.
  std::vector<std::string> headers{};  // --header "NAME: VALUE"
  int in_flight_max = 0;               // --in-flight-max; 0: as many as descriptors allow.
  std::int64_t tokens_max = 0;         // --tokens-max: the run ends before it costs more. 0: none.
  Duration stall_timeout = std::chrono::seconds(60);  // --stall-timeout-s; 0: none.
  std::vector<std::string> sources{};                 // --source-addresses: to connect from.
};

// What is wrong with a field is said by RunBench() before anything is sent.
struct BenchOptions {
  std::string url;      // Base URL, or the full path of an API; see Endpoint::FromUrl.
  std::string model;    // --model: sent as "model"; "" where the URL names the endpoint.
  std::string api_key;  // --api-key, PENSTOCK_API_KEY: sent as a bearer token, never kept.
  std::vector<int>
      concurrency;  // --concurrency LIST: these levels; empty: 1, 2, 4, 8 … while it pays.
  int concurrency_max = 256;  // --concurrency-max: where doubling ends.
  int requests = 0;           // --requests: measured ones per level; 0: max(10, 4 × concurrency).
  int warmup = -1;  // --warmup: requests per level before those; -1: as many as concurrency.
  int input_tokens = kReferenceInputTokens;    // --input-tokens: kInputTokensMin to kTokensLimit.
  int output_tokens = kReferenceOutputTokens;  // --output-tokens: 1 to kTokensLimit.
  std::string corpus_path;  // --corpus FILE: UTF-8 text to cut prompts from; "": the shipped one.
  std::uint64_t seed = 1;   // --seed: chooses texts and their order.
  std::string budget{};  // --budget: as Budget::Parse() takes it. Without levels, a rate or a trace
                         // the run searches for the most load that holds it.
  std::string search = "concurrency";  // --search: concurrency, rate.
  double rate_max = 10'000;            // --rate-max: requests/s where a search over rates ends.
  // --probe-max-s, --search-max-s: of one probe, of the whole search. 0: no limit.
  Duration probe_time_max = std::chrono::minutes(10);
  Duration search_time_max = std::chrono::hours(2);
  int repeats = 1;  // --repeats: of each level; of a search, of the load that it found.
  int chunk = 0;    // --chunk: unit of sale of the endpoint in tokens/s; 0: ask, or not known.
  std::string optimization_info{};  // --optimization-info MODEL/VERSION: asks for the chunk.
  double latency_max_ms = 0;  // --latency-max-ms: doubling ends once p90 exceeds it; 0: no limit.
  bool streamed = true;       // --stream, --no-stream.
  Duration timeout = std::chrono::minutes(10);  // --timeout-s: of one request, connecting included.
  int threads = 1;           // --threads: driver threads, each with its own loop.
  bool insecure = false;     // --insecure: accept any TLS certificate.
  std::string records_path;  // --records FILE.jsonl: "" keeps no records.
  std::string report_path;   // --report FILE.html: "" writes no report.
  bool progress = true;      // --no-progress: nothing on stderr.
  ShapeOptions shape{};
  ContentOptions content{};
  TargetOptions target{};
  // --tokenizer FILE: counts a text's tokens, on one thread; null: the server's usage alone counts.
  std::function<int(std::string_view)> count_tokens{};
  std::string tokenizer{};            // Its name, for the report.
  std::vector<std::string> agents{};  // --agents HOST:PORT,…: machines that send the load.
  std::string agent_key{};            // --agent-key, PENSTOCK_AGENT_KEY.
  bool agent_tls = false;             // --agent-tls: to agents on loopback, too.
  SelfTest self_test{};               // What --self-test found on this machine, for the report.
  // Told how far the run is, a few times a second, on the thread that called RunBench().
  std::function<void(const ProgressState&)> on_progress;
  std::string command;  // The command line for the report; WithoutKeys() it first.
};

// Checks each field by itself. Errors: kInvalidArgument naming the flag.
Status CheckOptions(const BenchOptions& options);

}  // namespace penstock::bench
