#include "trace/lines_trace.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <optional>
#include <span>
#include <string>

#include "trace/moment.h"

namespace penstock::trace {
namespace {

using simdjson::dom::element;

constexpr std::size_t kBlocksMax = 1'000'000;  // Of one request.

// The first of the keys that the object has.
std::optional<std::string_view> KeyOf(element line, std::span<const std::string_view> keys) {
  for (const std::string_view key : keys) {
    if (line[key].error() == simdjson::SUCCESS) return key;
  }
  return std::nullopt;
}

constexpr std::string_view kTimeKeys[] = {"timestamp", "arrival_time", "arrived_at", "time"};
constexpr std::string_view kInputKeys[] = {"input_length", "input_tokens", "prompt_tokens"};
constexpr std::string_view kOutputKeys[] = {"output_length", "output_tokens", "completion_tokens"};
constexpr std::string_view kBlockKeys[] = {"hash_ids", "block_hashes"};

class LineReader {
 public:
  LineReader(element line, std::size_t row) : line_(line), row_(row) {}

  // Under the key that the user named, else under the first usual one that is there.
  Result<std::string_view> Key(const std::string& named, std::span<const std::string_view> usual) {
    if (!named.empty()) {
      if (line_[named].error() == simdjson::SUCCESS) return named;
      return FailAt(row_, named, "the object has no such key");
    }
    const auto found = KeyOf(line_, usual);
    if (!found) return FailAt(row_, usual.front(), "the object has no such key");
    return *found;
  }

  Result<int> Tokens(std::string_view key) {
    double number = -1;
    if (line_[key].get(number) != simdjson::SUCCESS) {
      return FailAt(row_, key, "the value is not a number of tokens");
    }
    const auto tokens = ParseTokens(fmt::format("{:.17g}", number));
    if (!tokens) return FailAt(row_, key, fmt::format("{} is not a number of tokens", number));
    return *tokens;
  }

  Result<std::int64_t> Time(std::string_view key, std::int64_t unit_ns) {
    std::string_view text;
    std::string number_text;
    if (line_[key].get(text) != simdjson::SUCCESS) {
      std::int64_t whole = 0;
      double number = 0;
      if (line_[key].get(whole) == simdjson::SUCCESS) {
        number_text = fmt::format("{}", whole);
      } else if (line_[key].get(number) == simdjson::SUCCESS) {
        number_text = fmt::format("{:.17g}", number);
      } else {
        return FailAt(row_, key, "the value is not a time");
      }
      text = number_text;
    }
    const auto at_ns = ParseMoment(text, unit_ns);
    if (!at_ns) return FailAt(row_, key, fmt::format("'{}' is not a time", text.substr(0, 60)));
    return *at_ns;
  }

  Status Blocks(std::string_view key, std::vector<std::int64_t>& blocks) {
    simdjson::dom::array ids;
    if (line_[key].get(ids) != simdjson::SUCCESS || ids.size() > kBlocksMax) {
      return FailAt(row_, key, "the value is not a list of whole numbers");
    }
    blocks.reserve(ids.size());
    for (const element id : ids) {
      if (id.get(blocks.emplace_back()) != simdjson::SUCCESS) {
        return FailAt(row_, key, "the value is not a list of whole numbers");
      }
    }
    return {};
  }

 private:
  element line_;
  std::size_t row_;
};

Result<Arrival> ReadForeign(LineReader reader, element line, const ColumnNames& names) {
  Arrival arrival;
  const auto time = reader.Key(names.time, kTimeKeys);
  if (!time) return Fail(time.error());
  const auto at_ns =
      reader.Time(*time, names.time_unit_ns > 0 ? names.time_unit_ns : std::int64_t{1'000'000});
  if (!at_ns) return Fail(at_ns.error());
  arrival.at_ns = *at_ns;
  const auto input = reader.Key(names.input, kInputKeys);
  if (!input) return Fail(input.error());
  const auto input_tokens = reader.Tokens(*input);
  if (!input_tokens) return Fail(input_tokens.error());
  arrival.input_tokens = *input_tokens;
  const auto output = reader.Key(names.output, kOutputKeys);
  if (!output) return Fail(output.error());
  const auto output_tokens = reader.Tokens(*output);
  if (!output_tokens) return Fail(output_tokens.error());
  arrival.output_tokens = *output_tokens;
  const auto blocks = names.blocks.empty() ? KeyOf(line, kBlockKeys)
                                           : std::optional<std::string_view>(names.blocks);
  if (blocks) {
    if (auto read = reader.Blocks(*blocks, arrival.blocks); !read) return Fail(read.error());
  }
  return arrival;
}

// A request of our own records: none where it only fitted prompts.
Result<std::optional<Arrival>> ReadOwn(LineReader reader, element line) {
  std::string_view text;
  if (line["kind"].get(text) != simdjson::SUCCESS || text != "request") return std::nullopt;
  if (line["phase"].get(text) == simdjson::SUCCESS && text == "fit") return std::nullopt;
  constexpr std::string_view kTime[] = {"scheduled_ns"};
  constexpr std::string_view kInput[] = {"input_tokens", "input_tokens_wanted"};
  constexpr std::string_view kOutput[] = {"output_tokens", "output_tokens_wanted"};
  const auto time = reader.Key("", kTime);
  if (!time) return Fail(time.error());
  const auto at_ns = reader.Time(*time, 1);
  if (!at_ns) return Fail(at_ns.error());
  const auto input = reader.Key("", kInput);
  if (!input) return Fail(input.error());
  const auto input_tokens = reader.Tokens(*input);
  if (!input_tokens) return Fail(input_tokens.error());
  const auto output = reader.Key("", kOutput);
  if (!output) return Fail(output.error());
  const auto output_tokens = reader.Tokens(*output);
  if (!output_tokens) return Fail(output_tokens.error());
  return Arrival{.at_ns = *at_ns, .input_tokens = *input_tokens, .output_tokens = *output_tokens};
}

}  // namespace

Result<Trace> ParseLines(std::string_view text, const ColumnNames& names) {
  Trace trace{.format = "lines"};
  simdjson::dom::parser parser;
  bool own = false;
  for (std::size_t row = 1; !text.empty(); ++row) {
    const std::size_t feed = text.find('\n');
    const std::string_view bytes = text.substr(0, feed);
    text.remove_prefix(feed == std::string_view::npos ? text.size() : feed + 1);
    if (bytes.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    element line;
    if (const auto error = parser.parse(simdjson::padded_string(bytes)).get(line)) {
      if (own && text.empty()) break;  // The run was killed while it wrote.
      return FailAt(row, "all", fmt::format("not JSON: {}", simdjson::error_message(error)));
    }
    std::string_view kind;
    if (row == 1) own = line["kind"].get(kind) == simdjson::SUCCESS && kind == "run";
    if (trace.arrivals.size() >= kArrivalsMax) {
      return Fail(Code::kTooLarge, fmt::format("there are more than {} rows", kArrivalsMax));
    }
    const LineReader reader(line, row);
    if (own) {
      auto arrival = ReadOwn(reader, line);
      if (!arrival) return Fail(arrival.error());
      if (*arrival) trace.arrivals.push_back(std::move(**arrival));
      continue;
    }
    auto arrival = ReadForeign(reader, line, names);
    if (!arrival) return Fail(arrival.error());
    if (!arrival->blocks.empty()) trace.block_tokens = kMooncakeBlockTokens;
    trace.arrivals.push_back(std::move(*arrival));
  }
  if (trace.arrivals.empty()) return Fail(Code::kCorrupt, "there is no request in it");
  if (own) trace.format = "records";
  if (trace.block_tokens > 0) trace.format = "mooncake";
  Normalise(trace);
  return trace;
}

}  // namespace penstock::trace
