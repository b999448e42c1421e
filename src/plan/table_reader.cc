#include "plan/table_reader.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <exception>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace penstock::plan {
namespace {

constexpr std::size_t kNearestNames = 3;

char Lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

// Levenshtein's distance, letters' case set aside.
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (Lower(a[i - 1]) == Lower(b[j - 1]) ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

TableRow::TableRow(YAML::Node row, YAML::Node defaults, std::size_t index)
    : row_(std::move(row)),
      defaults_(std::move(defaults)),
      where_(fmt::format("models[{}]", index)) {
  if (auto name = Text("name")) where_ += fmt::format(" ({})", *name);
}

YAML::Node TableRow::Get(const char* field) const {
  if (const YAML::Node own = row_[field]) return own;
  if (defaults_.IsMap()) return defaults_[field];
  return YAML::Node(YAML::NodeType::Undefined);
}

std::unexpected<Error> TableRow::Bad(const char* field, const std::string& what) const {
  return Fail(Code::kInvalidArgument, fmt::format("{}: '{}' {}", where_, field, what), field);
}

bool TableRow::Has(const char* field) const { return Get(field).IsDefined(); }

Result<std::string> TableRow::Text(const char* field) const {
  const YAML::Node node = Get(field);
  if (!node.IsDefined() || !node.IsScalar()) return Bad(field, "is missing; it must be a text");
  return node.Scalar();
}

Result<double> TableRow::PositiveNumber(const char* field) const {
  auto text = Text(field);
  if (!text) return Bad(field, "is missing; it must be a number above 0");
  double value = 0;
  if (!YAML::convert<double>::decode(Get(field), value) || !std::isfinite(value) || value <= 0) {
    return Bad(field, fmt::format("is '{}'; it must be a number above 0", *text));
  }
  return value;
}

Result<std::pair<std::int64_t, std::int64_t>> TableRow::IntegerPair(const char* field) const {
  const YAML::Node node = Get(field);
  std::int64_t first = 0;
  std::int64_t second = 0;
  const bool good = node.IsDefined() && node.IsSequence() && node.size() == 2 &&
                    YAML::convert<std::int64_t>::decode(node[0], first) &&
                    YAML::convert<std::int64_t>::decode(node[1], second) && first > 0 && second > 0;
  if (!good) return Bad(field, "must be [MINIMUM, INCREMENT], two whole numbers above 0");
  return std::pair{first, second};
}

Result<std::string> TableRow::OneOf(const char* field,
                                    std::initializer_list<std::string_view> values) const {
  auto text = Text(field);
  if (!text) return Fail(text.error());
  if (std::ranges::find(values, *text) != values.end()) return text;
  return Bad(field, fmt::format("is '{}'; it must be one of {}", *text, fmt::join(values, ", ")));
}

Result<TableFrame> ReadTableFrame(const std::string& yaml) {
  try {
    const YAML::Node root = YAML::Load(yaml);
    if (!root.IsMap() || !root["models"] || !root["models"].IsSequence()) {
      return Fail(Code::kInvalidArgument, "the table has no list 'models'", "models");
    }
    TableFrame frame;
    if (root["source"]) frame.source = root["source"].as<std::string>();
    if (root["date"]) frame.date = root["date"].as<std::string>();
    const YAML::Node defaults =
        root["defaults"] ? root["defaults"] : YAML::Node(YAML::NodeType::Map);
    for (const YAML::Node& row : root["models"]) {
      if (!row.IsMap()) {
        return Fail(Code::kInvalidArgument,
                    fmt::format("models[{}] is not a mapping of fields", frame.rows.size()),
                    "models");
      }
      frame.rows.emplace_back(row, defaults, frame.rows.size());
    }
    return frame;
  } catch (const YAML::Exception& exception) {
    return Fail(Code::kInvalidArgument, fmt::format("the table is not YAML: {}", exception.what()));
  }
}

bool EqualIgnoringCase(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return Lower(x) == Lower(y); });
}

Error NoSuchName(const std::vector<std::string>& names, std::string_view name,
                 const std::string& table) {
  std::vector<std::pair<std::size_t, std::string>> ranked;
  for (const std::string& other : names) ranked.emplace_back(EditDistance(name, other), other);
  std::ranges::sort(ranked);
  ranked.resize(std::min(ranked.size(), kNearestNames));
  std::vector<std::string> nearest;
  for (auto& [distance, other] : ranked) nearest.push_back(std::move(other));
  return {
      Code::kNotFound,
      fmt::format("model '{}' is not in {}; nearest: {}", name, table, fmt::join(nearest, ", ")),
      "model"};
}

}  // namespace penstock::plan
