// JSON fields: one object's fields written and read by visiting them, for the records' JSON.
//
// A visit calls `visit(name, field)` for each field of a struct; the writer and the reader are two
// such visitors, so that names and types are told once.
#pragma once

#include <fmt/format.h>
#include <simdjson.h>

#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "bench/record/record.h"
#include "bench/record/record_json.h"

namespace penstock::bench {

// Writes the fields of one object: negative integers (kNever, kUnknown) and empty values are left
// out.
class FieldWriter {
 public:
  explicit FieldWriter(std::string& out) : out_(out) {}

  template <typename Integer>
    requires std::is_integral_v<Integer>
  void operator()(std::string_view name, const Integer& value) {
    if constexpr (std::is_same_v<Integer, bool>) {
      Key(name);
      out_ += value ? "true" : "false";
    } else {
      if (std::is_signed_v<Integer> && value < Integer{0}) return;
      Key(name);
      fmt::format_to(std::back_inserter(out_), "{}", value);
    }
  }
  // The shortest text that reads back to the same value.
  void operator()(std::string_view name, double value) {
    Key(name);
    fmt::format_to(std::back_inserter(out_), "{}", value);
  }
  void operator()(std::string_view name, const std::string& value) {
    if (!value.empty()) Text(name, value);
  }
  void operator()(std::string_view name, Oddities value) {
    if (value.empty()) return;
    Key(name);
    char before = '[';
    for (int i = 0; i < kOddities; ++i) {
      if (!value.Has(static_cast<Oddity>(i))) continue;
      fmt::format_to(std::back_inserter(out_), "{}\"{}\"", before, Name(static_cast<Oddity>(i)));
      before = ',';
    }
    out_ += ']';
  }
  void operator()(std::string_view name, Phase value) { Text(name, Name(value)); }
  void operator()(std::string_view name, ErrorKind value) {
    if (value != ErrorKind::kNone) Text(name, Name(value));
  }
  void operator()(std::string_view name, const std::vector<std::string>& values) {
    if (values.empty()) return;
    Key(name);
    char before = '[';
    for (const std::string& value : values) {
      out_ += before;
      AppendJsonString(value, out_);
      before = ',';
    }
    out_ += ']';
  }
  template <typename Integer>
  void operator()(std::string_view name, const std::vector<Integer>& values) {
    if (values.empty()) return;
    Key(name);
    fmt::format_to(std::back_inserter(out_), "[{}]", fmt::join(values, ","));
  }

  void Text(std::string_view name, std::string_view value) {
    Key(name);
    AppendJsonString(value, out_);
  }
  void Key(std::string_view name) {
    out_ += first_ ? '{' : ',';
    first_ = false;
    fmt::format_to(std::back_inserter(out_), "\"{}\":", name);
  }
  void Close() { out_ += first_ ? "{}" : "}"; }

 private:
  std::string& out_;
  bool first_ = true;
};

// Reads the fields of one object. An absent field keeps its default; the first wrong one is kept as
// the error, and the later ones are skipped.
class FieldReader {
 public:
  explicit FieldReader(simdjson::dom::element object) : object_(object) {}

  template <typename Integer>
    requires std::is_integral_v<Integer>
  void operator()(std::string_view name, Integer& value) {
    simdjson::dom::element found;
    if (!Find(name, found)) return;
    if constexpr (std::is_same_v<Integer, bool>) {
      if (found.get(value) != simdjson::SUCCESS) Wrong(name, "true or false");
    } else {
      ReadInteger(name, found, value);
    }
  }
  void operator()(std::string_view name, double& value) {
    simdjson::dom::element found;
    if (Find(name, found)) ReadNumber(name, found, value);
  }
  void operator()(std::string_view name, std::string& value) {
    std::string_view text;
    if (Text(name, text)) value = text;
  }
  void operator()(std::string_view name, Oddities& value) {
    simdjson::dom::element found;
    if (!Find(name, found)) return;
    simdjson::dom::array items;
    if (found.get(items) != simdjson::SUCCESS) return Wrong(name, "a list of names");
    for (const simdjson::dom::element item : items) {
      std::string_view text;
      if (item.get(text) != simdjson::SUCCESS) return Wrong(name, "a list of names");
      // A later version's oddity is none that this one can count.
      if (const auto known = OddityNamed(text)) value.Add(*known);
    }
  }
  void operator()(std::string_view name, std::vector<std::string>& values) {
    simdjson::dom::element found;
    if (!Find(name, found)) return;
    simdjson::dom::array items;
    if (found.get(items) != simdjson::SUCCESS) return Wrong(name, "a list of strings");
    for (const simdjson::dom::element item : items) {
      std::string_view text;
      if (item.get(text) != simdjson::SUCCESS) return Wrong(name, "a list of strings");
      values.emplace_back(text);
    }
  }
  void operator()(std::string_view name, std::vector<double>& values) {
    simdjson::dom::element found;
    if (!Find(name, found)) return;
    simdjson::dom::array items;
    if (found.get(items) != simdjson::SUCCESS) return Wrong(name, "a list of numbers");
    for (const simdjson::dom::element item : items) ReadNumber(name, item, values.emplace_back());
  }
  void operator()(std::string_view name, Phase& value) { Named(name, value, PhaseNamed); }
  void operator()(std::string_view name, ErrorKind& value) { Named(name, value, ErrorKindNamed); }
  template <typename Integer>
  void operator()(std::string_view name, std::vector<Integer>& values) {
    simdjson::dom::element found;
    if (!Find(name, found)) return;
    simdjson::dom::array items;
    if (found.get(items) != simdjson::SUCCESS) return Wrong(name, "a list of integers");
    values.reserve(items.size());
    for (const simdjson::dom::element item : items) ReadInteger(name, item, values.emplace_back());
  }

  void Require(std::string_view name) {
    simdjson::dom::element found;
    if (problem_.empty() && !Find(name, found)) problem_ = fmt::format("\"{}\" is missing", name);
  }
  const std::string& problem() const { return problem_; }

 private:
  bool Find(std::string_view name, simdjson::dom::element& found) const {
    return problem_.empty() && object_[name].get(found) == simdjson::SUCCESS;
  }
  bool Text(std::string_view name, std::string_view& text) {
    simdjson::dom::element found;
    if (!Find(name, found)) return false;
    if (found.get(text) == simdjson::SUCCESS) return true;
    Wrong(name, "a string");
    return false;
  }
  template <typename Enum>
  void Named(std::string_view name, Enum& value, std::optional<Enum> (*lookup)(std::string_view)) {
    std::string_view text;
    if (!Text(name, text)) return;
    if (const auto known = lookup(text)) {
      value = *known;
    } else {
      problem_ = fmt::format("\"{}\" is \"{}\", which is not known", name, text);
    }
  }
  template <typename Integer>
  void ReadInteger(std::string_view name, simdjson::dom::element found, Integer& value) {
    using Read = std::conditional_t<std::is_signed_v<Integer>, std::int64_t, std::uint64_t>;
    Read read = 0;
    if (found.get(read) != simdjson::SUCCESS || !std::in_range<Integer>(read) ||
        std::cmp_less(read, 0)) {
      return Wrong(name,
                   fmt::format("an integer from 0 to {}", std::numeric_limits<Integer>::max()));
    }
    value = static_cast<Integer>(read);
  }
  void ReadNumber(std::string_view name, simdjson::dom::element found, double& value) {
    if (found.get(value) != simdjson::SUCCESS) Wrong(name, "a number");
  }
  void Wrong(std::string_view name, std::string_view wanted) {
    if (problem_.empty()) problem_ = fmt::format("\"{}\" is not {}", name, wanted);
  }

  simdjson::dom::element object_;
  std::string problem_;
};

}  // namespace penstock::bench
