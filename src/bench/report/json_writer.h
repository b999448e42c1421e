// JSON writer: nested JSON in order, for the documents that people and programs read.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <concepts>
#include <string>
#include <string_view>
#include <utility>

#include "bench/record/record_json.h"
#include "bench/record/statistics.h"

namespace penstock::bench {

// Puts the commas; whoever uses it balances the brackets.
class JsonWriter {
 public:
  void Open(char bracket) {
    Separate();
    out_ += bracket;
    first_ = true;
  }
  void Close(char bracket) {
    out_ += bracket;
    first_ = false;
  }
  void Key(std::string_view name) {
    Separate();
    AppendJsonString(name, out_);
    out_ += ':';
    first_ = true;  // No comma between a name and its value.
  }
  void Text(std::string_view text) {
    Separate();
    AppendJsonString(text, out_);
  }
  void Raw(std::string_view text) {
    Separate();
    out_ += text;
  }
  void Number(double value) { Raw(fmt::format("{}", std::round(value * 1000) / 1000)); }
  void Integer(std::integral auto value) { Raw(fmt::format("{}", value)); }

  void Field(std::string_view name, const Distribution& of) {
    Key(name);
    Open('{');
    Key("count");
    Integer(of.count);
    for (const auto& [key, value] : {std::pair{"mean", of.mean},
                                     {"min", of.minimum},
                                     {"p50", of.p50},
                                     {"p90", of.p90},
                                     {"p95", of.p95},
                                     {"p99", of.p99},
                                     {"max", of.maximum}}) {
      Field(key, value);
    }
    Close('}');
  }
  void Field(std::string_view name, double value) { Key(name), Number(value); }
  // null where there is no such value: a percentile that so many failures left none of.
  void FieldOrNull(std::string_view name, double value) {
    Key(name);
    if (std::isfinite(value)) {
      Number(value);
    } else {
      Raw("null");
    }
  }
  void Field(std::string_view name, std::integral auto value) { Key(name), Integer(value); }
  void Field(std::string_view name, std::string_view value) { Key(name), Text(value); }
  void Flag(std::string_view name, bool value) { Key(name), Raw(value ? "true" : "false"); }

  std::string Take() { return std::move(out_); }

 private:
  void Separate() {
    if (!first_) out_ += ',';
    first_ = false;
  }

  std::string out_;
  bool first_ = true;
};

}  // namespace penstock::bench
