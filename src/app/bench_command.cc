// penstock bench: load-tests any LLM endpoint and says what it gives.
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "app/bench_agent_command.h"
#include "app/bench_flags.h"
#include "app/command.h"
#include "app/flags.h"
#include "app/json_print.h"
#include "app/local_agents.h"
#include "app/signals.h"
#include "bench/run.h"
#include "bench/self_test.h"
#include "bench/summary_json.h"
#include "bench/table.h"

namespace penstock::app {

namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "    penstock bench URL --model m                         what does it give, and how fast?\n"
    "    penstock bench URL --model m --rate 5                five users a second, whatever "
    "happens\n"
    "    penstock bench URL --model m --workload chat=3,rag=1 --concurrency 16 --duration-s 300\n"
    "    penstock bench URL --model m --trace day.csv --records day.jsonl --report day.html\n"
    "    penstock bench --self-test                           what can this machine measure?\n"
    "The words and figures stand in docs/benchmarking.md.";

struct BenchCommandOptions {
  bench::BenchOptions bench;
  BenchFlags flags;
  std::string render;
  int processes = 0;
  bool self_test = false;
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

// Says what this machine can measure, and keeps it for the report.
Status SelfTest(BenchCommandOptions& options) {
  bench::SelfTestOptions test{.threads = options.bench.threads};
  if (!options.bench.concurrency.empty()) {
    test.streams = *std::ranges::max_element(options.bench.concurrency);
  }
  const auto tested = bench::RunSelfTest(test, stop_requested);
  if (!tested) return Fail(tested.error());
  options.bench.self_test = *tested;
  fmt::print(options.bench.url.empty() ? stdout : stderr, "{}", bench::Describe(*tested));
  return {};
}

int Run(BenchCommandOptions& options) {
  if (!options.render.empty()) return Render(options);
  if (options.bench.url.empty() && !options.self_test) {
    return Report({Code::kInvalidArgument, "URL: missing; or give --render FILE.jsonl", "URL"});
  }
  if (const Status good = ApplyFlags(options.flags, options.bench); !good) {
    return Report(good.error());
  }
  StopOnSignal();
  if (options.self_test) {
    if (const Status tested = SelfTest(options); !tested) return Report(tested.error());
    if (options.bench.url.empty()) return kExitGood;
  }
  std::optional<LocalAgents> agents;
  if (options.processes > 0) {
    auto started = LocalAgents::Start(options.processes);
    if (!started) return Report(started.error());
    agents.emplace(std::move(*started));
    options.bench.agents = agents->addresses();
    options.bench.agent_key = agents->key();
  }
  const auto outcome = bench::RunBench(options.bench, stop_requested);
  if (!outcome) return Report(outcome.error());
  const int code = Show(outcome->summary, options.json);
  if (!options.bench.report_path.empty()) {
    fmt::print(stderr, "report: {}\n", options.bench.report_path);
  }
  return stop_requested ? kExitMissedGoal : code;
}

}  // namespace

void AddBenchCommand(Program& program) {
  auto options = std::make_shared<BenchCommandOptions>();
  bench::BenchOptions& bench = options->bench;
  bench.command = bench::WithoutKeys(program.arguments());
  CLI::App* command = program.Add(
      "bench", "Load-test an endpoint: what it gives, and how fast, under every shape of load",
      [options] { return Run(*options); });
  command->footer(kExamples);
  command->add_option(
      "url", bench.url,
      "http://HOST:PORT, or the full path of a chat, completions, embeddings, invocations or Azure "
      "deployments API");
  AddTargetFlags(*command, bench, options->flags);
  AddShapeFlags(*command, bench, options->flags);
  AddContentFlags(*command, bench, options->flags);
  AddFlag(*command, "--threads", bench.threads, "Threads that drive the load");
  AddSwitch(*command, "--self-test", options->self_test,
            "First measure what this machine can measure, for the report; alone without a URL");
  const auto scale = [](CLI::Option* option) { option->group("Many machines"); };
  scale(AddFlag(*command, "--processes", options->processes,
                "Send the load from so many processes here, where one may not hold all streams")
            ->check(CLI::Range(0, 64)));
  scale(AddFlag(*command, "--agents", bench.agents,
                "Send it from these machines, as host:port,host:port: see `penstock bench agent`")
            ->delimiter(',')
            ->allow_extra_args(false));
  scale(AddFlag(*command, "--agent-key", bench.agent_key, "What the agents want to be shown"));
  AddBenchAgentCommand(program, *command);
  AddFlag(*command, "--source-addresses", options->flags.source_addresses,
          "Connect from so many loopback addresses, where ports run out");
  AddFlag(*command, "--records", bench.records_path, "Keep a record per request: FILE.jsonl");
  AddFlag(*command, "--report", bench.report_path, "Write a report: FILE.html");
  AddFlag(*command, "--render", options->render, "Show kept records again instead of a new run");
  AddSwitch(*command, "--progress", bench.progress, "Live progress on stderr (default)");
  AddSwitch(*command, "--json", options->json, "The summary as one JSON document on stdout");
}

}  // namespace penstock::app
