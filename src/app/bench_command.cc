// penstock bench: load-tests any LLM endpoint and says what it gives.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "app/bench_agent_command.h"
#include "app/bench_flags.h"
#include "app/bench_outputs.h"
#include "app/bench_stop.h"
#include "app/command.h"
#include "app/flags.h"
#include "app/local_agents.h"
#include "bench/run.h"
#include "bench/self_test.h"

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
  BenchOutputs outputs;
  int processes = 0;
  bool self_test = false;
};

// Says what this machine can measure, and keeps it for the report.
Status SelfTest(BenchCommandOptions& options, const std::atomic<bool>& stop_requested) {
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
  if (options.bench.url.empty() && !options.self_test) {
    return Report({Code::kInvalidArgument,
                   "URL: missing; kept records are shown by penstock bench report FILE.jsonl",
                   "URL"});
  }
  if (const Status good = ApplyFlags(options.flags, options.bench); !good) {
    return Report(good.error());
  }
  options.bench.report_path = options.outputs.report;
  const std::atomic<bool>& stop_requested = StopOnSignal();
  if (options.self_test) {
    if (const Status tested = SelfTest(options, stop_requested); !tested)
      return Report(tested.error());
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
  if (!outcome) {
    // At the URL only a bad one is a matter of usage; the others are what it answered.
    Error error = outcome.error();
    if (error.field == "url" && error.code != Code::kInvalidArgument) error.field = kAnswered;
    return Report(error);
  }
  const int code = ShowOutputs(outcome->summary, options.outputs);
  return stop_requested ? kExitMissedGoal : code;
}

void AddSearchFlags(CLI::App& command, bench::BenchOptions& bench, BenchFlags& flags) {
  const auto search = [](CLI::Option* option) { option->group("Budget and search"); };
  search(
      AddFlag(command, "--budget", bench.budget,
              "Find the most load within it, as ttft_p95<2s,tpot_p95<100ms,errors<1%; where levels "
              "are given: judge those"));
  search(AddFlag(command, "--search", bench.search, "What it raises: concurrency, or rate")
             ->check(CLI::IsMember({"concurrency", "rate"})));
  search(AddFlag(command, "--rate-max", bench.rate_max, "Where a search over rates ends"));
  search(AddFlag(command, "--probe-max-s", flags.probe_max_s,
                 "Seconds of one probe: then the share seen decides; 0: no limit"));
  search(AddFlag(command, "--search-max-s", flags.search_max_s,
                 "Seconds of the whole search: then it ends with what it knows; 0: no limit"));
  search(AddFlag(command, "--optimization-info", bench.optimization_info,
                 "MODEL/VERSION: ask the server for its chunk, to say what to provision"));
  search(
      AddFlag(command, "--chunk", bench.chunk, "Or the chunk itself, in tokens/s; 0: not known"));
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
  AddSearchFlags(*command, bench, options->flags);
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
  scale(AddSwitch(*command, "--agent-tls", bench.agent_tls,
                  "Encrypt what goes to agents on loopback, too; others always are"));
  AddBenchAgentCommand(program, *command);
  AddFlag(*command, "--source-addresses", options->flags.source_addresses,
          "Connect from so many loopback addresses, where ports run out");
  AddFlag(*command, "--records", bench.records_path, "Keep a record per request: FILE.jsonl");
  AddOutputFlags(*command, options->outputs);
  AddSwitch(*command, "--progress", bench.progress, "Live progress on stderr");
  AddBenchReportCommand(program, command);
  AddBenchCompareCommand(program, command);
  AddBenchProveCommand(program, command);
}

}  // namespace penstock::app
