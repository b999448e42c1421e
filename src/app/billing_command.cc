// penstock billing: provisioned hours by the level scaled to.
#include <algorithm>
#include <chrono>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "app/command.h"
#include "app/flags.h"
#include "app/json_print.h"
#include "app/remote.h"
#include "app/text_table.h"
#include "meter/time_text.h"

namespace penstock::app {

namespace {

struct BillingOptions {
  RemoteOptions remote;
  std::string start;
  std::string end;
  std::string format = "table";
};

std::string Csv(const boost::json::value& answer) {
  std::string text =
      "endpoint,endpoint_id,served_entity,model,unit,level,minutes,hours,amount,currency\n";
  for (const auto& row : answer.at("rows").as_array()) {
    // No field of these can hold a comma or a quote: names are letters, digits, '-', '_' and '.'.
    text += fmt::format("{},{},{},{},{},{},{},{:.4f},{},{}\n", JsonText(row, "endpoint_name"),
                        JsonText(row, "endpoint_id"), JsonText(row, "served_entity_name"),
                        JsonText(row, "entity_name"), JsonText(row, "unit"), JsonText(row, "level"),
                        JsonText(row, "minutes"), row.at("hours").to_number<double>(),
                        JsonText(row, "amount"), JsonText(answer, "currency"));
  }
  return text;
}

std::string Table(const boost::json::value& answer) {
  TextTable table({"ENDPOINT", "SERVED ENTITY", "LEVEL", "UNIT", "HOURS", "AMOUNT"});
  for (const auto& row : answer.at("rows").as_array()) {
    const auto* amount = JsonAt(row, "amount");
    table.Add({JsonText(row, "endpoint_name"), JsonText(row, "served_entity_name"),
               JsonText(row, "level"), JsonText(row, "unit"),
               fmt::format("{:.2f}", row.at("hours").to_number<double>()),
               amount == nullptr ? std::string("-")
                                 : fmt::format("{:.2f}", amount->to_number<double>())});
  }
  const auto& rows = answer.at("rows").as_array();
  const bool priced = std::ranges::any_of(
      rows, [](const boost::json::value& row) { return JsonAt(row, "amount") != nullptr; });
  std::string text =
      fmt::format("{} to {} (UTC)\n{}", TimeText(answer.at("start").to_number<std::int64_t>()),
                  TimeText(answer.at("end").to_number<std::int64_t>()),
                  rows.empty() ? "Nothing was provisioned.\n" : table.ToString());
  if (!priced) return rows.empty() ? text : text + "No prices: see serve --price-table.\n";
  return text + fmt::format("total {:.2f} {}\n", answer.at("total").to_number<double>(),
                            JsonText(answer, "currency"));
}

// A time or how long ago, as the API takes it: milliseconds. Empty stays empty.
Result<std::string> MsOf(const std::string& text, const char* flag) {
  if (text.find_first_not_of("0123456789") == std::string::npos) return text;
  const auto now =
      std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const auto time = meter::ParseTime(text, now, flag);
  if (!time) return Fail(time.error());
  return fmt::format("{}", time->time_since_epoch().count());
}

int Run(const BillingOptions& options) {
  const auto start = MsOf(options.start, "--start");
  if (!start) return Report(start.error());
  const auto end = MsOf(options.end, "--end");
  if (!end) return Report(end.error());
  const auto answer = CallForJson(
      options.remote, "GET", fmt::format("/api/2.0/billing?start={}&end={}", *start, *end), "");
  if (!answer) return Report(answer.error());
  if (options.format == "json") {
    PrintJson(boost::json::serialize(*answer));
  } else {
    fmt::print("{}", options.format == "csv" ? Csv(*answer) : Table(*answer));
  }
  return kExitGood;
}

}  // namespace

void AddBillingCommand(Program& program) {
  auto options = std::make_shared<BillingOptions>();
  CLI::App* command =
      program.Add("billing", "Provisioned hours by the level scaled to, and what they cost",
                  [options] { return Run(*options); });
  AddRemoteFlags(*command, options->remote);
  AddFlag(*command, "--start", options->start,
          "UTC time like 2026-11-01T00:00, or how long ago: 15m, 36h, 30d; else the month's begin");
  AddFlag(*command, "--end", options->end, "Likewise; else now");
  AddFlag(*command, "--format", options->format, "table, csv or json")
      ->check(CLI::IsMember({"table", "csv", "json"}));
}

}  // namespace penstock::app
