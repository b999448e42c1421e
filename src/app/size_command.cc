// penstock size: what capacity a workload needs, from its shape or from its usage history.
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "app/asked_file.h"
#include "app/command.h"
#include "app/flags.h"
#include "app/json_print.h"
#include "app/own_models.h"
#include "app/remote.h"
#include "base/file.h"
#include "page/numbers.h"
#include "plan/sizing.h"
#include "plan/sizing_text.h"
#include "plan/usage_reader.h"

namespace penstock::app {
namespace {

constexpr std::size_t kTableBytesMax = std::size_t{4} << 20;

struct SizeOptions {
  plan::Workload shape;
  double provisioned = 0;
  std::vector<std::string> usage;
  std::string columns;
  std::string peak = "p99";
  std::string azure_model = "gpt-4o-mini";
  std::string databricks_model = "llama";
  std::string ptu_table;
  std::string chunk_table;
  std::string prices;
  double max_tokens = 0;
  double quota_rpm_per_unit = 0;  // 0: as the table has it.
  RemoteOptions remote;
  std::vector<std::string> own;  // Models of a running server.
  double own_cost_per_s = 0;
  std::int64_t own_chunk = 1;
  double own_output_weight = 4;
  std::string csv;
  std::string markdown;
  std::string report;
  bool json = false;
};

// The table of a file, or the one that is built in.
template <typename Table>
Result<Table> TableOf(const std::string& path, Result<Table> (*parse)(const std::string&),
                      const Table& built_in) {
  if (path.empty()) return built_in;
  auto text = ReadSmallFile(path, kTableBytesMax);
  if (!text) return Fail(text.error());
  auto table = parse(*text);
  if (!table) return Fail(table.error().code, path + ": " + table.error().message);
  return table;
}

Result<plan::Offers> OffersOf(const SizeOptions& options, plan::SizingBasis& basis) {
  plan::Offers offers{.standard = plan::QuotaUnit{}, .max_tokens = options.max_tokens};
  if (options.azure_model != "none") {
    auto table = TableOf(options.ptu_table, plan::ParsePtuTable, plan::BuiltInPtuTable());
    if (!table) return Fail(table.error());
    auto model = table->Find(options.azure_model);
    if (!model) return Fail(model.error());
    offers.azure = *model;
    offers.standard = model->quota_unit;
    basis.sources.push_back(fmt::format("PTUs: {} ({})", table->source, table->date));
  }
  if (options.quota_rpm_per_unit > 0) {
    offers.standard->requests_per_minute = options.quota_rpm_per_unit;
  }
  if (options.databricks_model != "none") {
    auto table = TableOf(options.chunk_table, plan::ParseChunkTable, plan::BuiltInChunkTable());
    if (!table) return Fail(table.error());
    auto model = table->Find(options.databricks_model);
    if (!model) return Fail(model.error());
    offers.databricks = *model;
    basis.sources.push_back(
        fmt::format("Chunks: {} ({}); an output token counts as {:g} input tokens", table->source,
                    table->date, model->weights.output));
  }
  if (options.own_cost_per_s > 0) {
    offers.own.push_back({.name = "as given",
                          .capacity = {.cost_per_s = options.own_cost_per_s,
                                       .chunk_tokens_per_s = options.own_chunk,
                                       .weights = {.output = options.own_output_weight}}});
  }
  if (!options.own.empty()) {
    auto own = ReadOwnModels(options.remote, options.own);
    if (!own) return Fail(own.error());
    std::ranges::move(own->models, std::back_inserter(offers.own));
    std::ranges::move(own->sources, std::back_inserter(basis.sources));
  }
  if (!options.prices.empty()) {
    auto text = ReadSmallFile(options.prices, kTableBytesMax);
    if (!text) return Fail(text.error());
    auto prices = plan::ParsePrices(*text);
    if (!prices) return Fail(prices.error().code, options.prices + ": " + prices.error().message);
    offers.prices = *prices;
    basis.currency = prices->currency;
  }
  return offers;
}

Result<plan::UsageHistory> ReadHistory(const SizeOptions& options, plan::SizingBasis& basis) {
  auto columns = plan::UsageColumns::Parse(options.columns);
  if (!columns) return Fail(columns.error());
  plan::UsageHistory history;
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  for (const std::string& path : options.usage) {
    const auto show = [&](double share) {
      if (terminal) {
        fmt::print(stderr, "\rreading {}: {:3.0f} %, {} rows", path, share * 100,
                   page::Count(history.rows));
      }
    };
    const Status read = plan::ReadUsage(path, *columns, show, history);
    if (terminal) fmt::print(stderr, "\r\x1b[K");
    if (!read) return Fail(read.error());
  }
  if (history.series.empty()) {
    return Fail(Code::kInvalidArgument, "--usage: no request in these files", "usage");
  }
  basis.sources.push_back("Usage: " + page::Counted(history.rows, "request"));
  if (history.bad_rows > 0) {
    basis.sources.push_back(fmt::format("Left out: {} rows that cannot be read; the first: {}",
                                        page::Count(history.bad_rows), history.first_bad));
  }
  return history;
}

Result<std::vector<plan::Sizing>> SizeHistory(const plan::UsageHistory& history,
                                              const std::string& peak_word,
                                              const plan::Offers& offers) {
  auto peak = plan::ParsePeak(peak_word);
  if (!peak) return Fail(peak.error());
  std::vector<plan::Sizing> sizings;
  for (const auto& [name, series] : history.series) {
    auto sizing = plan::SizeFor(name, series, *peak, offers);
    if (!sizing) return Fail(sizing.error());
    sizings.push_back(*std::move(sizing));
  }
  return sizings;
}

// What `--provisioned` buys of the shape, on stdout.
int ShowBought(const SizeOptions& options, const plan::Offers& offers) {
  if (options.shape.input_tokens + options.shape.output_tokens <= 0) {
    return Report({Code::kInvalidArgument,
                   "--provisioned: give the shape, too: --input-tokens and --output-tokens",
                   "input-tokens"});
  }
  const auto rows = plan::Buys(options.provisioned, options.shape, offers);
  if (rows.empty()) {
    return Report(
        {Code::kInvalidArgument,
         "--provisioned: nothing here is sold in tokens/s: name --databricks-model, --own "
         "or --own-cost-per-s",
         "provisioned"});
  }
  if (options.json) {
    boost::json::array offered;
    for (const auto& [offer, model, bought] : rows) {
      offered.push_back({{"offer", offer},
                         {"model", model},
                         {"requests_per_minute", bought.requests_per_minute},
                         {"input_tpm", bought.input_tpm},
                         {"output_tpm", bought.output_tpm}});
    }
    PrintJson(boost::json::serialize(boost::json::object{
        {"provisioned_tokens_per_s", options.provisioned}, {"offers", std::move(offered)}}));
    return kExitGood;
  }
  for (const auto& [offer, model, bought] : rows) {
    fmt::print(
        "{}, {}: {:g} tokens/s buy {} requests a minute of {:g} input and {:g} output tokens: {} "
        "input and {} output tokens a minute\n",
        offer, model, options.provisioned, page::Figure(bought.requests_per_minute),
        options.shape.input_tokens, options.shape.output_tokens, page::Figure(bought.input_tpm),
        page::Figure(bought.output_tpm));
  }
  return kExitGood;
}

int Show(const SizeOptions& options, const std::vector<plan::Sizing>& sizings,
         const plan::SizingBasis& basis, const plan::UsageHistory* history) {
  for (const Status& written : {
           WriteWhereAsked(options.csv, [&] { return plan::SizingCsv(sizings); }),
           WriteWhereAsked(options.markdown, [&] { return plan::SizingMarkdown(sizings, basis); }),
           WriteWhereAsked(options.report,
                           [&] { return plan::SizingPage(sizings, basis, history); }),
       }) {
    if (!written) return app::Report(written.error());
  }
  if (options.json) {
    PrintJson(plan::SizingJson(sizings, basis));
  } else {
    fmt::print("{}", plan::SizingTable(sizings, basis));
  }
  return kExitGood;
}

int Run(const SizeOptions& options, const std::string& command) {
  plan::SizingBasis basis{.command = command};
  const auto offers = OffersOf(options, basis);
  if (!offers) return Report(offers.error());
  if (const Status good = plan::CheckWorkload(options.shape); !good) return Report(good.error());
  if (options.provisioned > 0) return ShowBought(options, *offers);
  if (!options.usage.empty()) {
    const auto history = ReadHistory(options, basis);
    if (!history) return Report(history.error());
    const auto sizings = SizeHistory(*history, options.peak, *offers);
    if (!sizings) return Report(sizings.error());
    return Show(options, *sizings, basis, &*history);
  }
  if (options.shape.requests_per_minute <= 0) {
    return Report(
        {Code::kInvalidArgument,
         "give a workload: --requests-per-minute with --input-tokens and --output-tokens, or "
         "--usage FILE",
         "requests-per-minute"});
  }
  return Show(options, {plan::SizeFor(plan::Sum(std::span(&options.shape, 1)), *offers)}, basis,
              nullptr);
}

constexpr const char* kHelp = "Say what capacity a workload needs: PTUs, tokens/s, quota, replicas";
constexpr const char* kExamples =
    "From a shape:   penstock size --requests-per-minute 1000 --input-tokens 300 --output-tokens "
    "500\n"
    "From history:   penstock size --usage usage.jsonl --peak p99 --report sizing.html\n"
    "In reverse:     penstock size --provisioned 980 --input-tokens 1000 --output-tokens 100\n"
    "With our own:   penstock size --requests-per-minute 20 --input-tokens 1000 --output-tokens "
    "100 "
    "--own all";

void AddWorkloadFlags(CLI::App& command, SizeOptions& options) {
  AddFlag(command, "--requests-per-minute", options.shape.requests_per_minute,
          "At the peak that matters");
  AddFlag(command, "--input-tokens", options.shape.input_tokens, "Of one request, on average");
  AddFlag(command, "--output-tokens", options.shape.output_tokens,
          "Of one reply, on average, as generated");
  AddFlag(command, "--cache-rate", options.shape.cache_rate,
          "Share of the input found in a prompt cache, 0 to 1");
  AddFlag(command, "--max-tokens", options.max_tokens,
          "As requests carry it, x best_of: what a standard quota counts; 0: what is generated");
  AddFlag(command, "--provisioned", options.provisioned,
          "The reverse: what so many tokens/s buy of this shape");
  command
      .add_option("--usage", options.usage,
                  "Files of requests instead of a shape: JSON lines of responses with 'usage', our "
                  "ledger's export, traces, CSV")
      ->type_name("FILE");
  AddFlag(command, "--columns", options.columns,
          "Names in these files: time=,input=,output=,cached=,key=,unit=s|ms|us|ns,zone=+02:00");
  AddFlag(command, "--peak", options.peak, "Minute to size for: mean, p95, p99 or max");
}

void AddOfferFlags(CLI::App& command, SizeOptions& options) {
  AddFlag(command, "--azure-model", options.azure_model, "Model of the PTU table; none: leave out");
  AddFlag(command, "--databricks-model", options.databricks_model,
          "Model of the chunk table; none: leave out");
  AddFlag(command, "--ptu-table", options.ptu_table,
          "YAML file in place of the built-in PTU table");
  AddFlag(command, "--chunk-table", options.chunk_table,
          "YAML file in place of the built-in chunk table");
  AddFlag(command, "--quota-rpm-per-unit", options.quota_rpm_per_unit,
          "Requests a minute that a standard quota unit brings; else as the PTU table has it")
      ->check(CLI::PositiveNumber);
  AddRemoteFlags(command, options.remote);
  command
      .add_option(
          "--own", options.own,
          "This hardware: calibrated models of the running server, as catalog.schema.model, "
          "that/VERSION, or all")
      ->type_name("MODEL");
  AddFlag(command, "--own-cost-per-s", options.own_cost_per_s,
          "This hardware, without a server: normalised tokens/s of one replica, from its "
          "calibration; 0: leave out");
  AddFlag(command, "--own-chunk", options.own_chunk, "This hardware: the model's chunk, tokens/s")
      ->check(CLI::PositiveNumber);
  AddFlag(command, "--own-output-weight", options.own_output_weight,
          "This hardware: input tokens that an output token costs")
      ->check(CLI::PositiveNumber);
  AddFlag(command, "--prices", options.prices,
          "YAML: currency, per_hour: {ptu_global, ptu_regional, chunk, replica}");
}

}  // namespace

void AddSizeCommand(Program& program) {
  auto options = std::make_shared<SizeOptions>();
  std::string line;
  for (const std::string& word : program.arguments()) line += (line.empty() ? "" : " ") + word;
  CLI::App* command = program.Add("size", kHelp, [options, line] { return Run(*options, line); });
  command->footer(kExamples);
  AddWorkloadFlags(*command, *options);
  AddOfferFlags(*command, *options);
  AddFlag(*command, "--csv", options->csv, "Also write the answers as CSV");
  AddFlag(*command, "--markdown", options->markdown, "Also write them as Markdown");
  AddFlag(*command, "--report", options->report, "Also write them as an HTML page, with a plot");
  AddSwitch(*command, "--json", options->json, "JSON on stdout");
}

}  // namespace penstock::app
