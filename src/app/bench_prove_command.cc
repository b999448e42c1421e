// penstock bench prove: whether an endpoint keeps the throughput that it was sold with.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include <fmt/format.h>

#include "app/bench_flags.h"
#include "app/bench_outputs.h"
#include "app/bench_stop.h"
#include "app/command.h"
#include "app/flags.h"
#include "app/json_print.h"
#include "bench/prove/prove_report.h"
#include "bench/prove/prove_run.h"
#include "bench/run.h"
#include "bench/self_test.h"

namespace penstock::app {
namespace {

struct ProveCommandOptions {
  bench::ProveOptions prove;
  std::string budget;
  double window_s = 60;
  double warmup_s = 10;
  double rest_s = 10;
  double refusal_max_ms = 1000;
  double shortfall_max_percent = 2;
  double timeout_s = 120;
  std::string api_key_file;
  std::string neighbour_api_key_file;
  bool self_test = false;
  std::string report;
  std::string markdown;
  bool json = false;
};

Duration FromSeconds(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

int Show(const ProveCommandOptions& options, const bench::Proof& proof) {
  const struct {
    const char* flag;
    const std::string& path;
    std::string (*render)(const bench::Proof&);
  } files[] = {{"report", options.report, bench::RenderProofPage},
               {"markdown", options.markdown, bench::RenderProofMarkdown}};
  for (const auto& [flag, path, render] : files) {
    if (path.empty()) continue;
    if (const Status written = WriteText(flag, path, render(proof)); !written) {
      return Report(written.error());
    }
    fmt::print(stderr, "{}: {}\n", flag, path);
  }
  if (options.json) {
    PrintJson(bench::RenderProofJson(proof));
  } else {
    fmt::print("{}", bench::RenderProofText(proof));
  }
  return proof.kept ? kExitGood : kExitMissedGoal;
}

// Keys out of files, and what this machine can measure.
Status Prepare(ProveCommandOptions& options, const std::atomic<bool>& stop) {
  const struct {
    const char* flag;
    const std::string& path;
    std::string& key;
  } files[] = {
      {"api-key-file", options.api_key_file, options.prove.api_key},
      {"neighbour-api-key-file", options.neighbour_api_key_file, options.prove.neighbour_api_key}};
  for (const auto& [flag, path, key] : files) {
    if (path.empty()) continue;
    auto read = ReadKeyFile(path, flag);
    if (!read) return Fail(read.error());
    key = std::move(*read);
  }
  if (!options.self_test) return {};
  const auto tested = bench::RunSelfTest({}, stop);
  if (!tested) return Fail(tested.error());
  options.prove.self_test = *tested;
  fmt::print(stderr, "{}", bench::Describe(*tested));
  return {};
}

int Run(ProveCommandOptions& options) {
  auto budget = bench::Budget::Parse(options.budget);
  if (!budget) return Report(budget.error());
  bench::ProofTerms& terms = options.prove.terms;
  terms.budget = std::move(*budget);
  terms.window = FromSeconds(options.window_s);
  terms.warmup = FromSeconds(options.warmup_s);
  terms.rest = FromSeconds(options.rest_s);
  terms.refusal_max = FromSeconds(options.refusal_max_ms / 1000);
  terms.shortfall_max = options.shortfall_max_percent / 100;
  options.prove.timeout = FromSeconds(options.timeout_s);
  const std::atomic<bool>& stop = StopOnSignal();
  if (const Status ready = Prepare(options, stop); !ready) return Report(ready.error());
  const auto proof = bench::RunProve(options.prove, stop);
  return proof ? Show(options, *proof) : Report(proof.error());
}

void AddTermFlags(CLI::App& command, ProveCommandOptions& options) {
  bench::ProofTerms& terms = options.prove.terms;
  AddFlag(command, "--sold", terms.sold_tokens_per_s,
          "Tokens/s that were sold, input and output together")
      ->required();
  AddFlag(command, "--output-weight", terms.output_weight,
          "What an output token counts as, where it is sold so (PTU): in tokens of input");
  AddFlag(command, "--budget", options.budget,
          "The latency that goes with them, as ttft_p95<2s,tpot_p95<100ms")
      ->required();
  AddFlag(command, "--input-tokens", terms.input_tokens, "Tokens of each prompt, exactly");
  AddFlag(command, "--output-tokens", terms.output_tokens, "Tokens of each reply");
  AddFlag(command, "--windows", terms.windows, "Windows that must each be kept");
  AddFlag(command, "--window-s", options.window_s, "Seconds of a window, at least");
  AddFlag(command, "--warmup-s", options.warmup_s, "Seconds at that rate before the first window");
  AddFlag(command, "--rest-s", options.rest_s, "Seconds of silence between stages");
  AddFlag(command, "--shortfall-max-percent", options.shortfall_max_percent,
          "Share of its tokens that a window may lack");
  AddFlag(command, "--beyond", terms.beyond,
          "Times the rate, when more is sent than was sold; doubled up to 8 until it is refused");
  AddFlag(command, "--refusal-max-ms", options.refusal_max_ms, "A later refusal is not prompt");
  AddFlag(command, "--retries", terms.retries, "Refusals whose Retry-After is obeyed; 0: none");
}

}  // namespace

void AddBenchProveCommand(Program& program, CLI::App* bench) {
  auto options = std::make_shared<ProveCommandOptions>();
  bench::ProveOptions& prove = options->prove;
  prove.terms.input_tokens = bench::kReferenceInputTokens;
  prove.terms.output_tokens = bench::kReferenceOutputTokens;
  prove.command = bench::WithoutKeys(program.arguments());
  CLI::App* command = program.Add(
      "prove", "Prove that an endpoint keeps what was sold: every window, refusals, isolation",
      [options] { return Run(*options); }, bench);
  command->footer("");  // Not the examples of `bench`.
  command->add_option("url", prove.url, "As bench takes it")->required();
  AddFlag(*command, "--model", prove.model, "The endpoint's name, sent as 'model'");
  AddFlag(*command, "--api-key", prove.api_key,
          "Sent as a bearer token, to Azure as api-key; never kept");
  AddFlag(*command, "--api-key-file", options->api_key_file, "The key, from a file");
  AddFlag(*command, "--header", prove.headers, "A field for each request, as 'NAME: VALUE'")
      ->allow_extra_args(false);
  AddTermFlags(*command, *options);
  AddFlag(*command, "--neighbour-url", prove.neighbour_url,
          "A neighbour that floods meanwhile: its URL, model or key, what differs");
  AddFlag(*command, "--neighbour-model", prove.neighbour_model, "The neighbour's model");
  AddFlag(*command, "--neighbour-api-key", prove.neighbour_api_key, "The neighbour's key");
  AddFlag(*command, "--neighbour-api-key-file", options->neighbour_api_key_file,
          "The neighbour's key, from a file");
  AddFlag(*command, "--neighbour-factor", prove.terms.neighbour, "Times the rate that it sends");
  AddFlag(*command, "--api-version", prove.api_version, "Of Azure's deployments");
  AddFlag(*command, "--corpus", prove.corpus_path, "UTF-8 text to cut prompts from; else our own");
  AddFlag(*command, "--seed", prove.seed, "Chooses the texts and their order");
  AddFlag(*command, "--timeout-s", options->timeout_s, "Seconds for one request");
  AddSwitch(*command, "--insecure", prove.insecure, "Accept any TLS certificate");
  AddSwitch(*command, "--self-test", options->self_test,
            "First measure what this machine can measure, for the page");
  AddFlag(*command, "--evidence", prove.evidence_path,
          "Keep the evidence: FILE.jsonl, whose SHA-256 the page shows");
  AddFlag(*command, "--report", options->report, "Write a page to sign: FILE.html");
  AddFlag(*command, "--markdown", options->markdown, "Write a summary for a ticket: FILE.md");
  AddSwitch(*command, "--progress", prove.progress, "Live progress on stderr");
  AddSwitch(*command, "--json", options->json, "One JSON document on stdout");
}

}  // namespace penstock::app
