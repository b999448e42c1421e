// penstock usage: who used what: sums, records, minutes; of a running server or of its files.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "api/answers.h"
#include "app/command.h"
#include "app/flags.h"
#include "app/json_print.h"
#include "app/remote.h"
#include "app/usage_table.h"
#include "http/url.h"
#include "meter/series_check.h"
#include "meter/time_text.h"
#include "meter/usage_report.h"
#include "store/data_directory.h"

namespace penstock::app {

namespace {

struct UsageOptions {
  RemoteOptions remote;
  std::string from = "24h";
  std::string until = "now";
  std::string endpoint;
  std::string key;
  std::string model;
  int status = 0;
  std::string group_by = "endpoint";
  std::string format = "table";
  bool json = false;
  std::size_t limit = 100;
};

WallTime WallNow() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

std::string LedgerOf(const UsageOptions& options) { return options.remote.data_dir + "/ledger"; }
std::string SeriesOf(const UsageOptions& options) { return options.remote.data_dir + "/series.db"; }

// A server of ours runs, or one was named.
bool HasServer(const UsageOptions& options) {
  if (!options.remote.server.empty()) return true;
  if (access((options.remote.data_dir + "/run/url").c_str(), R_OK) != 0) return false;
  // A killed server leaves its URL behind; the lock goes with it.
  const auto lock = store::DataDirectory::Open(options.remote.data_dir);
  return !lock;
}

std::string QueryOf(const UsageOptions& options) {
  std::string query = fmt::format("from={}&until={}&limit={}", http::PercentEncode(options.from),
                                  http::PercentEncode(options.until), options.limit);
  const auto add = [&query](const char* name, const std::string& value) {
    if (!value.empty()) query += fmt::format("&{}={}", name, http::PercentEncode(value));
  };
  add("endpoint", options.endpoint);
  add("key", options.key);
  add("model", options.model);
  add("group_by", options.group_by);
  if (options.status != 0) query += fmt::format("&status={}", options.status);
  return query;
}

Result<meter::UsageFilter> FilterOf(const UsageOptions& options) {
  const WallTime now = WallNow();
  const auto from = meter::ParseTime(options.from, now, "--from");
  if (!from) return Fail(from.error());
  const auto until = meter::ParseTime(options.until, now, "--until");
  if (!until) return Fail(until.error());
  meter::UsageFilter filter{.from = *from, .until = *until};
  if (!options.endpoint.empty()) filter.endpoint = options.endpoint;
  if (!options.key.empty()) filter.requester = options.key;
  if (!options.model.empty()) filter.model = options.model;
  if (options.status != 0) filter.status = static_cast<std::uint16_t>(options.status);
  return filter;
}

// The server's answer to `path`, or what its files say.
Result<std::string> Ask(const UsageOptions& options, const char* path,
                        const std::function<Result<std::string>(const meter::UsageFilter&)>& read) {
  if (HasServer(options)) {
    const auto answer =
        CallServer(options.remote, "GET", fmt::format("{}?{}", path, QueryOf(options)), "");
    if (!answer) return Fail(answer.error());
    if (answer->status == 200) return answer->body;
    return Fail(CodeOfHttpStatus(answer->status), ReadErrorMessage(answer->body), kAnswered);
  }
  if (access(options.remote.data_dir.c_str(), R_OK) != 0) {
    return Fail(Code::kInvalidArgument,
                fmt::format("--data-dir {}: there is no such folder", options.remote.data_dir),
                "--data-dir");
  }
  const auto filter = FilterOf(options);
  if (!filter) return Fail(filter.error());
  return read(*filter);
}

int Print(const Result<std::string>& body, const UsageOptions& options,
          const std::function<std::string(const boost::json::value&)>& table) {
  if (!body) return Report(body.error());
  if (options.json || options.format == "json") {
    PrintJson(*body);
    return kExitGood;
  }
  fmt::print("{}", table(boost::json::parse(*body)));
  return kExitGood;
}

int Summary(const UsageOptions& options) {
  const auto groups = meter::ParseGroups(options.group_by);
  if (!groups) return Report(groups.error());
  const auto body =
      Ask(options, "/api/2.0/usage", [&](const meter::UsageFilter& filter) -> Result<std::string> {
        const auto summary = meter::SummariseUsage(LedgerOf(options), filter, *groups);
        if (!summary) return Fail(summary.error());
        return meter::ToJson(*summary, *groups, filter);
      });
  return Print(body, options, [&](const boost::json::value& value) {
    return options.format == "csv" ? SummaryCsv(value, options.group_by)
                                   : SummaryTable(value, options.group_by);
  });
}

// Whole ledgers are exported from the files, as they are read.
int ExportRecords(const UsageOptions& options) {
  const auto filter = FilterOf(options);
  if (!filter) return Report(filter.error());
  const bool databricks = options.format == "databricks";
  if (databricks) fmt::print("{}", meter::DatabricksHeader());
  std::string text;
  const auto flush = [&text] {
    std::fwrite(text.data(), 1, text.size(), stdout);
    text.clear();
  };
  constexpr std::size_t kFlushBytes = std::size_t{1} << 16;
  const auto stats = meter::ReadLedger(LedgerOf(options), filter->from, filter->until,
                                       {.usage =
                                            [&](const meter::UsageRecord& record) {
                                              if (!filter->Matches(record)) return;
                                              if (databricks) {
                                                meter::AppendDatabricksRow(record, text);
                                              } else {
                                                meter::AppendJsonLine(record, text);
                                              }
                                              if (text.size() > kFlushBytes) flush();
                                            },
                                        .gauge = {}});
  flush();
  if (!stats) return Report(stats.error());
  if (stats->damaged_bytes != 0) {
    fmt::print(stderr, "penstock: {} bytes of the ledger are damaged and left out\n",
               stats->damaged_bytes);
    return kExitMissedGoal;
  }
  return kExitGood;
}

int Records(const UsageOptions& options) {
  if (options.format == "databricks" || options.format == "jsonl") return ExportRecords(options);
  const auto body = Ask(options, "/api/2.0/usage/records", [&](const meter::UsageFilter& filter) {
    return meter::RecordsToJson(LedgerOf(options), filter, options.limit);
  });
  return Print(body, options, RecordsTable);
}

Result<meter::Series> OpenSeries(const UsageOptions& options) {
  if (access(SeriesOf(options).c_str(), R_OK) != 0) {
    return Fail(Code::kNotFound, fmt::format("there is no {}", SeriesOf(options)));
  }
  return meter::Series::Open(SeriesOf(options));
}

int Minutes(const UsageOptions& options) {
  const auto body =
      Ask(options, "/api/2.0/usage/minutes",
          [&](const meter::UsageFilter& filter) -> Result<std::string> {
            auto series = OpenSeries(options);
            if (!series) return Fail(series.error());
            const meter::Series::Range range{.from = meter::MinuteOf(filter.from),
                                             .until = meter::MinuteOf(filter.until) + 1};
            return meter::MinutesToJson(
                filter.endpoint, range,
                [&](meter::Series::Range wanted, const meter::Series::Visit& visit) {
                  return series->Read(filter.endpoint, wanted, meter::Columns::All(), visit);
                });
          });
  return Print(body, options, options.format == "csv" ? MinutesCsv : MinutesTable);
}

int Check(const UsageOptions& options) {
  const auto body =
      Ask(options, "/api/2.0/usage/check",
          [&](const meter::UsageFilter& filter) -> Result<std::string> {
            auto series = OpenSeries(options);
            if (!series) return Fail(series.error());
            const auto counted = series->ReadPositions();
            if (!counted) return Fail(counted.error());
            const auto check = meter::CheckSeries(
                LedgerOf(options),
                {.from = meter::MinuteOf(filter.from), .until = meter::MinuteOf(filter.until) + 1},
                [&](meter::Series::Range wanted, const meter::Series::Visit& visit) {
                  return series->Read(std::nullopt, wanted, meter::Columns::All(), visit);
                },
                &*counted);
            if (!check) return Fail(check.error());
            return meter::ToJson(*check);
          });
  const int printed = Print(body, options, CheckText);
  if (printed != kExitGood) return printed;
  const bool agree = boost::json::parse(*body).at("agree").as_bool();
  return agree ? kExitGood : kExitMissedGoal;
}

void AddFilters(CLI::App& command, UsageOptions& options) {
  AddRemoteFlags(command, options.remote);
  AddFlag(command, "--from", options.from,
          "Since when: 2026-11-25T15:00:00Z, or how long ago: 90s, 15m, 2h, 30d");
  AddFlag(command, "--until", options.until, "Until when; likewise, or now");
  AddFlag(command, "--endpoint", options.endpoint, "Of this endpoint only");
  AddSwitch(command, "--json", options.json, "Print JSON");
}

void AddRecordFilters(CLI::App& command, UsageOptions& options) {
  AddFlag(command, "--key", options.key, "Of this key only, by its name");
  AddFlag(command, "--model", options.model, "Of this model only, catalog.schema.model");
  AddFlag(command, "--status", options.status, "Of this HTTP status only")
      ->check(CLI::Range(100, 999));
}

CLI::App* AddUsage(Program& program, CLI::App* group, const char* name, const char* help,
                   int (*run)(const UsageOptions&), std::shared_ptr<UsageOptions> options) {
  CLI::App* command = program.Add(name, help, [options, run] { return run(*options); }, group);
  AddFilters(*command, *options);
  return command;
}

}  // namespace

void AddUsageCommand(Program& program) {
  CLI::App* group = program.AddGroup(
      "usage", "Who used what: sums, records, minutes; of a running server or its files");

  auto options = std::make_shared<UsageOptions>();
  CLI::App* summary = AddUsage(program, group, "summary",
                               "Requests, tokens and latencies, summed up", Summary, options);
  AddRecordFilters(*summary, *options);
  AddFlag(*summary, "--group-by", options->group_by,
          "A list of endpoint, key, model, served_entity, operation, stream, status, end, day, "
          "hour, minute");
  AddFlag(*summary, "--format", options->format, "table, csv or json")
      ->check(CLI::IsMember({"table", "csv", "json"}));

  options = std::make_shared<UsageOptions>();
  CLI::App* records = AddUsage(program, group, "records",
                               "Usage records, one a request; jsonl and databricks print all of "
                               "them, out of the files",
                               Records, options);
  AddRecordFilters(*records, *options);
  AddFlag(*records, "--limit", options->limit, "The newest so many (table, json)")
      ->check(CLI::Range(1, 100000));
  AddFlag(*records, "--format", options->format,
          "table, json, jsonl, or databricks: CSV with the columns of endpoint_usage")
      ->check(CLI::IsMember({"table", "json", "jsonl", "databricks"}));

  options = std::make_shared<UsageOptions>();
  CLI::App* minutes = AddUsage(program, group, "minutes", "The minute series, as kept for 93 days",
                               Minutes, options);
  AddFlag(*minutes, "--format", options->format, "table, csv or json")
      ->check(CLI::IsMember({"table", "csv", "json"}));

  options = std::make_shared<UsageOptions>();
  options->from = "93d";
  AddUsage(program, group, "check",
           "Make the minutes again from the ledger and compare; exit 1 where they differ", Check,
           options);
}

}  // namespace penstock::app
