#include "trace/files.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "trace/lines_trace.h"
#include "trace/table_trace.h"

namespace penstock::trace {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFileBytesMax = std::size_t{4} << 30;

template <typename T>
Result<T> Under(const std::string& path, Result<T> result) {
  if (result) return result;
  Error error = std::move(result.error());
  error.message = fmt::format("trace {}: {}", path, error.message);
  return Fail(std::move(error));
}

// N of "chunk-N-trace.csv".
std::optional<int> ClientNumber(std::string_view name) {
  constexpr std::string_view kBefore = "chunk-";
  constexpr std::string_view kAfter = "-trace.csv";
  if (!name.starts_with(kBefore) || !name.ends_with(kAfter)) return std::nullopt;
  if (name.size() <= kBefore.size() + kAfter.size()) return std::nullopt;
  const std::string_view digits =
      name.substr(kBefore.size(), name.size() - kBefore.size() - kAfter.size());
  int number = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size()) return std::nullopt;
  return number;
}

Result<Client> ReadClient(const std::string& folder, int number) {
  const std::string windows_path = fmt::format("{}/chunk-{}-trace.csv", folder, number);
  const std::string lengths_path = fmt::format("{}/chunk-{}-dataset.json", folder, number);
  const auto windows_text = ReadSmallFile(windows_path, kFileBytesMax);
  if (!windows_text) return Fail(windows_text.error());
  const auto lengths_text = ReadSmallFile(lengths_path, kFileBytesMax);
  if (!lengths_text) return Fail(lengths_text.error());
  auto windows = Under(windows_path, ParseClientWindows(*windows_text));
  if (!windows) return Fail(windows.error());
  auto lengths = Under(lengths_path, ParseClientLengths(*lengths_text));
  if (!lengths) return Fail(lengths.error());
  return Client{.number = number, .windows = std::move(*windows), .lengths = std::move(*lengths)};
}

}  // namespace

Result<std::vector<Client>> ReadClients(const std::string& folder) {
  std::vector<int> numbers;
  std::error_code failure;
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    if (const auto number = ClientNumber(entry->path().filename().string())) {
      numbers.push_back(*number);
    }
  }
  if (failure) {
    return Fail(Code::kNotFound,
                fmt::format("trace {} cannot be read: {}", folder, failure.message()), "trace");
  }
  if (numbers.empty()) {
    return Fail(
        Code::kNotFound,
        fmt::format("trace {}: the folder has no chunk-N-trace.csv, as ServeGen's have", folder),
        "trace");
  }
  std::ranges::sort(numbers);
  std::vector<Client> clients;
  for (const int number : numbers) {
    auto client = ReadClient(folder, number);
    if (!client) return Fail(client.error());
    clients.push_back(std::move(*client));
  }
  return clients;
}

Result<Trace> ReadTrace(const std::string& path, const ReadOptions& options) {
  std::error_code failure;
  const std::string name = fs::path(path).filename().string();
  if (fs::is_directory(path, failure)) {
    const auto clients = ReadClients(path);
    if (!clients) return Fail(clients.error());
    auto trace = Under(path, DrawArrivals(*clients, options.draw));
    if (trace) trace->name = name;
    return trace;
  }
  const auto text = ReadSmallFile(path, kFileBytesMax);
  if (!text) return Fail(Code::kNotFound, "trace: " + text.error().message, "trace");
  const bool lines = text->starts_with('{');
  auto trace =
      Under(path, lines ? ParseLines(*text, options.columns) : ParseTable(*text, options.columns));
  if (trace) trace->name = name;
  return trace;
}

}  // namespace penstock::trace
