// penstock bench: load-tests any LLM endpoint and says what it gives.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "app/command.h"
#include "app/flags.h"
#include "app/json_print.h"
#include "app/signals.h"
#include "bench/run.h"
#include "bench/summary_json.h"
#include "bench/table.h"

namespace penstock::app {

namespace {

struct BenchCommandOptions {
  bench::BenchOptions bench;
  std::string render;
  int timeout_s = 600;
  bool json = false;
};

std::atomic<bool> stop_requested = false;

// The first signal ends the run and reports what was done; the second ends the process.
void StopOnSignal() {
  for (const int signal : {SIGINT, SIGTERM}) {
    std::signal(signal, [](int) {
      if (stop_requested.exchange(true)) std::_Exit(kExitForced);
    });
  }
  std::signal(SIGPIPE, SIG_IGN);
}

int Show(const bench::RunSummary& summary, bool json) {
  if (json) {
    PrintJson(bench::RenderJson(summary));
  } else {
    fmt::print("{}", bench::RenderTable(summary));
  }
  return kExitGood;
}

int Render(const BenchCommandOptions& options) {
  const auto summary = bench::LoadSummary(options.render);
  if (!summary) return Report(summary.error());
  if (!options.bench.report_path.empty()) {
    const Status written = bench::WriteReport(options.bench.report_path, *summary);
    if (!written) return Report(written.error());
  }
  return Show(*summary, options.json);
}

int Run(BenchCommandOptions& options) {
  if (!options.render.empty()) return Render(options);
  if (options.bench.url.empty()) {
    return Report({Code::kInvalidArgument, "URL: missing; or give --render FILE.jsonl", "URL"});
  }
  options.bench.timeout = std::chrono::seconds(options.timeout_s);
  StopOnSignal();
  const auto outcome = bench::RunBench(options.bench, stop_requested);
  if (!outcome) return Report(outcome.error());
  const int code = Show(outcome->summary, options.json);
  if (!options.bench.report_path.empty()) {
    fmt::print(stderr, "report: {}\n", options.bench.report_path);
  }
  return stop_requested ? kExitMissedGoal : code;
}

void AddWorkloadFlags(CLI::App& command, bench::BenchOptions& bench) {
  AddFlag(command, "--input-tokens", bench.input_tokens, "Tokens of each prompt, exactly");
  AddFlag(command, "--output-tokens", bench.output_tokens, "Tokens of each reply");
  AddFlag(command, "--corpus", bench.corpus_path, "UTF-8 text to cut prompts from; else our own");
  AddFlag(command, "--seed", bench.seed, "Chooses the texts and their order");
  AddSwitch(command, "--stream", bench.streamed, "Streamed replies (default), or whole ones");
}

}  // namespace

void AddBenchCommand(Program& program) {
  auto options = std::make_shared<BenchCommandOptions>();
  bench::BenchOptions& bench = options->bench;
  bench.command = bench::WithoutKeys(program.arguments());
  CLI::App* command = program.Add(
      "bench", "Load-test an endpoint: latency against throughput over rising concurrency",
      [options] { return Run(*options); });
  command->add_option(
      "url", bench.url,
      "http://HOST:PORT, or the full path of a chat, completions or invocations API");
  AddFlag(*command, "--model", bench.model, "The endpoint's name, sent as 'model'");
  AddFlag(*command, "--api-key", bench.api_key, "Sent as a bearer token; never kept");
  AddFlag(*command, "--concurrency", bench.concurrency,
          "Levels, as 1,2,4; without: 1, 2, 4, 8 ... while it pays")
      ->delimiter(',');
  AddFlag(*command, "--concurrency-max", bench.concurrency_max, "Where doubling ends");
  AddFlag(*command, "--requests", bench.requests,
          "Measured requests per level; 0: the more of 10 and 4 x concurrency");
  AddFlag(*command, "--warmup", bench.warmup,
          "Requests per level before those; -1: as many as concurrency");
  AddWorkloadFlags(*command, bench);
  AddFlag(*command, "--latency-max-ms", bench.latency_max_ms,
          "Doubling ends once the p90 latency is beyond; 0: no limit");
  AddFlag(*command, "--timeout-s", options->timeout_s, "Seconds for one request")
      ->check(CLI::Range(1, 86400));
  AddFlag(*command, "--threads", bench.threads, "Threads that drive the load");
  AddSwitch(*command, "--insecure", bench.insecure, "Accept any TLS certificate");
  AddFlag(*command, "--records", bench.records_path, "Keep a record per request: FILE.jsonl");
  AddFlag(*command, "--report", bench.report_path, "Write a report: FILE.html");
  AddFlag(*command, "--render", options->render, "Show kept records again instead of a new run");
  AddSwitch(*command, "--progress", bench.progress, "Live progress on stderr (default)");
  AddSwitch(*command, "--json", options->json, "The summary as one JSON document on stdout");
}

}  // namespace penstock::app
