// AnswerFields: header fields of an answer, with their texts.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/head.h"

namespace penstock::gateway {

class AnswerFields {
 public:
  // `name` must live as long as this; an empty value adds nothing.
  void Add(std::string_view name, std::string value) {
    if (!value.empty()) fields_.emplace_back(name, std::move(value));
  }
  void Remove(std::string_view name) {
    std::erase_if(fields_, [name](const auto& field) { return field.first == name; });
  }
  void Clear() { fields_.clear(); }
  bool empty() const { return fields_.empty(); }

  // Views into this.
  void AppendTo(std::vector<http::Field>& fields) const {
    for (const auto& [name, value] : fields_) fields.push_back({name, value});
  }

 private:
  std::vector<std::pair<std::string_view, std::string>> fields_;
};

}  // namespace penstock::gateway
