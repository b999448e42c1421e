// Table reader: vendor tables, which are data files in YAML: `source`, `date`, `defaults`,
// `models`.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <yaml-cpp/yaml.h>

#include "base/result.h"

namespace penstock::plan {

// One row; a field that it lacks is taken from the table's defaults. Errors name row and field.
class TableRow {
 public:
  TableRow(YAML::Node row, YAML::Node defaults, std::size_t index);

  // "models[3] (gpt-4o)", for messages.
  const std::string& where() const { return where_; }

  bool Has(const char* field) const;
  Result<std::string> Text(const char* field) const;
  Result<double> PositiveNumber(const char* field) const;
  Result<std::pair<std::int64_t, std::int64_t>> IntegerPair(const char* field) const;
  Result<std::string> OneOf(const char* field,
                            std::initializer_list<std::string_view> values) const;

 private:
  YAML::Node Get(const char* field) const;
  std::unexpected<Error> Bad(const char* field, const std::string& what) const;

  YAML::Node row_;
  YAML::Node defaults_;
  std::string where_;
};

// What every table has around its rows.
struct TableFrame {
  std::string source;
  std::string date;
  std::vector<TableRow> rows;
};
Result<TableFrame> ReadTableFrame(const std::string& yaml);

// Reads a table of rows that `read` maps to models.
template <typename Table, typename Read>
Result<Table> ParseTable(const std::string& yaml, Read read) {
  auto frame = ReadTableFrame(yaml);
  if (!frame) return Fail(frame.error());
  Table table{.source = frame->source, .date = frame->date};
  for (const TableRow& row : frame->rows) {
    auto model = read(row);
    if (!model) return Fail(model.error());
    table.models.push_back(*std::move(model));
  }
  return table;
}

bool EqualIgnoringCase(std::string_view a, std::string_view b);

// "… not in TABLE; nearest: a, b, c", nearest by edit distance.
Error NoSuchName(const std::vector<std::string>& names, std::string_view name,
                 const std::string& table);

template <typename Model>
const Model* FindByName(const std::vector<Model>& models, std::string_view name) {
  for (const Model& model : models) {
    if (EqualIgnoringCase(model.name, name)) return &model;
  }
  return nullptr;
}

template <typename Model>
Error NoSuchModel(const std::vector<Model>& models, std::string_view name,
                  const std::string& table) {
  std::vector<std::string> names;
  for (const Model& model : models) names.push_back(model.name);
  return NoSuchName(names, name, table);
}

}  // namespace penstock::plan
